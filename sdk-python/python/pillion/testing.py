"""For tests of programs: a runtime in the test's process whose clock moves and whose components fail on demand.

The plug-in for pytest gives it as the fixture `pillion`:

    def test_carts_expire(pillion):
        pillion.state.set("cart:42", {"items": 3}, ttl=600)
        pillion.clock.advance("10m")
        assert pillion.state.get("cart:42") is None

Elsewhere, as in `unittest`, `open` gives the same.
"""

from __future__ import annotations

import re
import typing
from datetime import timedelta

from pillion import _native, aio
from pillion._client import Pillion

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def open() -> TestRuntime:
    """A runtime of its own in this process, in memory, with the test kit."""
    return TestRuntime(_native.embedded(False, 30, testing=True))


class TestRuntime(Pillion):
    """A runtime for tests, and what tests do to it."""

    __test__ = False

    @property
    def clock(self) -> Clock:
        """The clock from which components take the time."""
        return Clock(self)

    @property
    def aio(self) -> aio.Pillion:
        """The same runtime, to be awaited."""
        return aio.Pillion(self._client.twin(True), owner=False)

    def fail(
        self,
        block: str,
        component: str = "",
        operation: str = "",
        *,
        after: int = 0,
        times: int = 0,
        reason: str = "",
    ) -> None:
        """From now on, calls that match fail as if their component had failed, and have no effect.

        Args:
            block: The building block: `state`.
            component: One component of the block; empty for all.
            operation: One method: `get`, `set_many`; empty for all.
            after: How many matching calls are let through first.
            times: How many matching calls fail then; 0 for all until `reset`.
            reason: The reason they fail with; empty for `component.unavailable`.

        Example:
            pillion.fail("state", operation="set", after=2)
        """
        self.apis.testing.fail(
            block, component=component, operation=operation, after=after, times=times, reason=reason
        )

    def reset(self) -> None:
        """Takes every fault back. The clock stays where it is."""
        self.apis.testing.reset()


class Clock:
    """The clock of a runtime for tests."""

    def __init__(self, runtime: Pillion) -> None:
        self._runtime = runtime

    def advance(self, by: timedelta | float | str) -> None:
        """Moves the clock forward at once: entries whose lifetime ends by then are expired when this returns.

        Args:
            by: Seconds, a timedelta, or text such as `10m` or `1h30m`.
        """
        self._runtime.apis.testing.advance_clock(by=_duration(by))


def _duration(by: timedelta | float | str) -> timedelta | float:
    if not isinstance(by, str):
        return by
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", by)
    if not parts or "".join(number + unit for number, unit in parts) != by:
        raise ValueError(f"`{by}` is no duration; write it like `10m`, `1h30m` or `250ms`")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


__all__: typing.Final = ["Clock", "TestRuntime", "open"]
