"""What the native module has that programs see under the names of the package, and what the package uses."""

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar, final

from typing_extensions import Self

__version__: str

_Q = TypeVar("_Q", contravariant=True)
_T = TypeVar("_T", covariant=True)

@final
class CancelToken:
    """Cancels calls from another thread or task: give it as `cancel`.

    Example:
        token = pillion.CancelToken()
        threading.Timer(5, token.cancel).start()
        answer = p.apis.state.get("k", cancel=token)
    """

    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """Cancels the calls that were given this token; they raise `CancelledError`."""

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""

@final
class Stream(Generic[_T]):
    """Messages of a call, as an iterator. An error ends it."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> _T: ...
    def close(self) -> None:
        """Ends the call; whoever waits for a message is told that there is none."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: Any) -> None: ...

@final
class Upload(Generic[_Q, _T]):
    """A call that takes many messages and has one answer."""

    def send(self, message: _Q) -> None:
        """Sends a message; waits while too many are under way."""

    def finish(self) -> _T:
        """Ends the upload well, and returns the answer."""

    def abort(self) -> None:
        """Ends the upload with an error: what came is not to be taken as complete."""

    def close(self) -> None:
        """Gives the call up."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: Any) -> None: ...

@final
class Duplex(Generic[_Q, _T]):
    """A call that takes many messages and gives many; an iterator of those it gives."""

    def send(self, message: _Q) -> None:
        """Sends a message; waits while too many are under way."""

    def finish(self) -> None:
        """Ends the sending side well; the other side goes on."""

    def abort(self) -> None:
        """Ends the sending side with an error."""

    def close(self) -> None:
        """Gives the call up."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> _T: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: Any) -> None: ...

@final
class AsyncStream(Generic[_T]):
    """Messages of a call, as an asynchronous iterator. Awaiting it opens the call; iterating does, too."""

    def __await__(self) -> Coroutine[Any, Any, Self]: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, _T]: ...
    def close(self) -> None:
        """Ends the call; whoever waits for a message is told that there is none."""

    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(self, *_exception: Any) -> Coroutine[Any, Any, None]: ...

@final
class AsyncUpload(Generic[_Q, _T]):
    """A call that takes many messages and has one answer."""

    def send(self, message: _Q) -> Coroutine[Any, Any, None]:
        """Sends a message; waits while too many are under way."""

    def finish(self) -> Coroutine[Any, Any, _T]:
        """Ends the upload well, and returns the answer."""

    def abort(self) -> Coroutine[Any, Any, None]:
        """Ends the upload with an error: what came is not to be taken as complete."""

    def close(self) -> None:
        """Gives the call up."""

    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(self, *_exception: Any) -> Coroutine[Any, Any, None]: ...

@final
class AsyncDuplex(Generic[_Q, _T]):
    """A call that takes many messages and gives many; an asynchronous iterator of those it gives."""

    def send(self, message: _Q) -> Coroutine[Any, Any, None]:
        """Sends a message; waits while too many are under way."""

    def finish(self) -> None:
        """Ends the sending side well; the other side goes on."""

    def abort(self) -> Coroutine[Any, Any, None]:
        """Ends the sending side with an error."""

    def close(self) -> None:
        """Gives the call up."""

    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, _T]: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(self, *_exception: Any) -> Coroutine[Any, Any, None]: ...

# For the package itself.

@final
class Queue:
    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def drain(self) -> None: ...

open: Any
embedded: Any
connect: Any
state_list: Any
state_watch: Any

def command(arguments: list[str]) -> int: ...
def leaving() -> None: ...
def forked() -> None: ...
