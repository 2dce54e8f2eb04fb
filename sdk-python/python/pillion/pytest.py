"""The plug-in for pytest: a runtime for each test, without ports or files, so tests may run at the same time."""

from __future__ import annotations

import typing

import pytest

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from pillion.testing import TestRuntime


def _runtime() -> Iterator[TestRuntime]:
    # Not before a test asks for it: a plug-in is imported by every run of pytest.
    from pillion import testing

    with testing.open() as runtime:
        yield typing.cast("TestRuntime", runtime)


@pytest.fixture
def pillion() -> Iterator[TestRuntime]:
    """A fresh runtime in memory, with a clock that moves and components that fail on demand."""
    yield from _runtime()


@pytest.fixture(scope="session")
def pillion_session() -> Iterator[TestRuntime]:
    """As `pillion`, one for all tests of the run; what a test leaves in it, the next one finds."""
    yield from _runtime()
