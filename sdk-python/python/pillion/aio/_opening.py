"""Opening a handle, to be awaited or entered."""

from __future__ import annotations

import functools
import typing
from collections.abc import Coroutine

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from pillion.aio._client import Pillion

    P = typing.ParamSpec("P")


class Opening(Coroutine[typing.Any, typing.Any, "Pillion"]):
    """A handle that is being opened: `p = await …`, or `async with … as p`, which closes it."""

    def __init__(self, coroutine: Coroutine[typing.Any, typing.Any, Pillion]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[typing.Any, None, Pillion]:
        return self._coroutine.__await__()

    def send(self, value: typing.Any) -> typing.Any:
        """As of any coroutine."""
        return self._coroutine.send(value)

    def throw(self, *raised: typing.Any) -> typing.Any:
        """As of any coroutine."""
        return self._coroutine.throw(*raised)

    def close(self) -> None:
        """As of any coroutine."""
        self._coroutine.close()

    async def __aenter__(self) -> Pillion:
        self._opened = await self._coroutine
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opened.close()


def opening(function: Callable[P, Coroutine[typing.Any, typing.Any, Pillion]]) -> Callable[P, Opening]:
    """Has a function that opens give an `Opening`."""

    @functools.wraps(function)
    def opened(*args: P.args, **named: P.kwargs) -> Opening:
        return Opening(function(*args, **named))

    return opened
