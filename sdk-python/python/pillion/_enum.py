"""The base of all enums."""

from __future__ import annotations

import enum


class Enumeration(enum.IntEnum):
    """An enum of the contract.

    A value that this version does not know is kept: it has its number, and the name `UNKNOWN_…`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Enumeration | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member
