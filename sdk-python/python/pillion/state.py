"""What state stores give: entries, and the changes that a watch reports.

    import pillion
    from pillion.state import Written

    with pillion.open() as p, p.state.watch("cart:") as changes:
        for change in changes:
            match change:
                case Written(entry):
                    print(entry.key, entry.value)
"""

from __future__ import annotations

import typing

from pillion._value import decode
from pillion.types import state as types

if typing.TYPE_CHECKING:
    from dataclasses import dataclass
    from datetime import timedelta
else:
    from pillion._record import dataclass

T = typing.TypeVar("T")


@dataclass(frozen=True)
class Entry(typing.Generic[T]):
    """An entry of a store."""

    key: str
    """Its key."""
    value: T
    """Its value."""
    etag: str
    """Which write of the entry it was; opaque, for `if_match`."""
    content_type: str
    """The media type of the value; empty if unknown."""
    expires_in: timedelta | None
    """How long it will still be readable; none if it stays."""


@dataclass(frozen=True)
class Written(typing.Generic[T]):
    """An entry was written, or is there at the beginning of a watch."""

    entry: Entry[T]
    revision: int
    """Where `watch(after=…)` goes on; 0 while that is impossible."""


@dataclass(frozen=True)
class Deleted:
    """An entry is gone."""

    key: str
    expired: bool
    """Its time was up; nobody deleted it."""
    revision: int


@dataclass(frozen=True)
class Resync:
    """Changes were missed: forget what you know. The present entries and `Synced` follow."""


@dataclass(frozen=True)
class Synced:
    """Everything up to here was reported."""

    revision: int


# Records have no `|` of their own.
Change = typing.Union[Written[T], Deleted, Resync, Synced]  # noqa: UP007
"""What a watch reports."""


def as_entry(found: types.Entry, into: typing.Any) -> Entry[typing.Any]:
    """An entry of the contract, its value read."""
    value = found.value
    return Entry(
        key=found.key,
        value=None if value is None else decode(value, into),
        etag=found.etag,
        content_type="" if value is None else value.content_type,
        expires_in=found.expires_in,
    )


def as_condition(if_absent: bool, if_match: str | None) -> types.Condition | None:
    """The condition that these arguments stand for."""
    if if_absent and if_match is not None:
        raise TypeError("give if_absent or if_match, not both")
    if if_absent:
        return types.Condition(types.Condition.IfAbsent(types.IfAbsent()))
    if if_match is not None:
        if not isinstance(if_match, str):
            raise TypeError(f"if_match takes an etag, as `set` and `get_entry` give it, not {type(if_match).__name__}")
        return types.Condition(types.Condition.IfMatch(if_match))
    return None


def as_change(message: types.WatchResponse, into: typing.Any) -> Change[typing.Any]:
    """A change of the contract, its value read."""
    event = message.event
    if isinstance(event, types.WatchResponse.Written):
        entry = event.value.entry
        assert entry is not None, "a write without an entry"
        return Written(as_entry(entry, into), event.value.revision)
    if isinstance(event, types.WatchResponse.Deleted):
        return Deleted(event.value.key, event.value.expired, event.value.revision)
    if isinstance(event, types.WatchResponse.Resync):
        return Resync()
    return Synced(event.value.revision if event is not None else 0)


__all__ = ["Change", "Deleted", "Entry", "Resync", "Synced", "Written"]
