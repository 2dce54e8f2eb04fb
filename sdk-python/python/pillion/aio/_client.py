"""Opening runtimes, and the handle on one."""

from __future__ import annotations

import sys
import typing
import warnings

from pillion import _native
from pillion.aio._opening import opening
from pillion.aio._state import State

if typing.TYPE_CHECKING:
    import os
    from datetime import timedelta
    from types import TracebackType

    from pillion.aio.apis import Apis

ASYNC = True


def _level() -> int:
    """From where on records are wanted; a program that never imported `logging` wants none below warnings."""
    logging = sys.modules.get("logging")
    return logging.getLogger("pillion").getEffectiveLevel() if logging else 30


@opening
async def open() -> Pillion:
    """The runtime that this program was started beside.

    That is the sidecar at `PILLION_ENDPOINT` if the variable is set, which `pillion dev -- command` does,
    and otherwise one of its own in this process. So the same program runs in both modes; `connect` and
    `embedded` choose one.

    Raises:
        InvalidError: `request.invalid` for an endpoint that is none.
    """
    return Pillion(await _native.open(ASYNC, _level()))


@opening
async def embedded(
    *,
    data_dir: str | os.PathLike[str] | None = None,
    config_file: str | os.PathLike[str] | None = None,
    app_id: str | None = None,
    testing: bool = False,
) -> Pillion:
    """A runtime of its own in this process, without any socket.

    Unless told otherwise it keeps its data in memory: the data is this runtime's own and ends with it.

    Args:
        data_dir: Keep the data in this folder, which is made if there is none. One process at a time can
            have it open.
        config_file: Use the components, limits and deadlines of a configuration file.
        app_id: The application that this program is. Default: the environment variable `PILLION_APP_ID`.
        testing: With the test kit, `apis.testing`: a clock that moves and components that fail on demand.

    Raises:
        PillionError: The data or the configuration cannot be used; it says why.
    """
    if data_dir is not None and config_file is not None:
        raise TypeError("give data_dir or config_file, not both")
    client = await _native.embedded(
        ASYNC, _level(), data_dir=data_dir, config_file=config_file, app_id=app_id, testing=testing
    )
    return Pillion(client)


@opening
async def connect(
    url: str = "http://127.0.0.1:34904",
    *,
    connections: int | None = None,
    token: str | None = None,
    app_id: str | None = None,
    timeout: timedelta | float | None = None,
    retries: int | None = None,
    max_message: int | None = None,
    keep_alive: timedelta | float | None = None,
) -> Pillion:
    """A handle on the sidecar at `url`.

    Nothing is connected yet: this succeeds while the sidecar is down. Calls then fail with
    `runtime.unreachable`, and work as soon as it is up; `wait_ready` waits for that.

    Args:
        url: `http://HOST:PORT`, or `unix:///PATH` for a Unix socket.
        connections: How many connections calls are spread over. Default: 4 over TCP, 1 over a Unix socket.
        token: The token of the sidecar. Default: the environment variable `PILLION_TOKEN`.
        app_id: The application that this program is. Default: the environment variable `PILLION_APP_ID`.
        timeout: How long a call may take, retries included. Default: 30 s.
        retries: How often a failed call is made again, where that is safe. Default: 3.
        max_message: The largest answer that is taken, in bytes. Default: 64 MiB.
        keep_alive: How often a silent sidecar is asked whether it is still there. Default: 10 s.

    Raises:
        InvalidError: `request.invalid` for a URL that leads nowhere.
    """
    client = await _native.connect(
        ASYNC,
        _level(),
        url,
        connections=connections,
        token=token,
        app_id=app_id,
        timeout=timeout,
        retries=retries,
        max_message=max_message,
        keep_alive=keep_alive,
    )
    return Pillion(client)


class Pillion:
    """A handle on a runtime: one in this process, or a sidecar.

    Get one from `open`, `embedded` or `connect`. Use it with `async with`, or `close` it: one that is
    forgotten warns with a `ResourceWarning`.
    """

    def __init__(self, client: typing.Any = None, *, owner: bool = True) -> None:
        """Not for programs: use `open`, `embedded` or `connect`."""
        if client is None:
            raise TypeError("get a handle from `pillion.aio.open`, `embedded` or `connect`")
        self._client = client
        self._open = owner

    @property
    def apis(self) -> Apis:
        """The APIs as they are in the contract, complete: for what the handles do not offer."""
        return typing.cast("Apis", self._client.apis)

    @property
    def state(self) -> State:
        """The default state store; `state.store(name)` gives the others."""
        return State(self._client, self.apis.state)

    @property
    def closed(self) -> bool:
        """Whether the handle was closed."""
        return bool(self._client.is_closed)

    async def wait_ready(self, timeout: timedelta | float = 30.0) -> None:
        """Waits until the runtime answers and every component can be used.

        Raises:
            UnavailableError: What was still in the way when the time was up.
        """
        await self._client.wait_ready(timeout)

    async def close(self) -> None:
        """Closes the connection, or stops the embedded runtime.

        Calls that are under way end first; streams end with `runtime.closed`, and so does every later
        call. Closing twice is harmless.
        """
        self._open = False
        await self._client.close()

    async def __aenter__(self) -> Pillion:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<pillion.aio.Pillion {'closed' if self.closed else 'open'}>"

    def __del__(self) -> None:
        if getattr(self, "_open", False) and not self.closed:
            text = f"unclosed {self!r}: use it with `async with`, or close it"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)
