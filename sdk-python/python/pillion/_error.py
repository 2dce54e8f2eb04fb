"""The base of all exceptions."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


class PillionError(Exception):
    """What went wrong, whether the call may have taken effect, and what to do next.

    `str()` is one line for logs; the advice stands below it in tracebacks.

    Attributes:
        reason: The code: `state.etag_mismatch`. `pillion explain` knows each.
        message: What happened, to which component, in one or two sentences.
        outcome: `rejected` if the call surely had no effect, `unknown` if it may have had one.
        retryable: Whether trying again later may succeed.
        component: The component that failed; empty if none did.
        metadata: Details for programs.
        retry_after: How long to wait at least before trying again.
        advice: What to do next.
    """

    category: str = "unspecified"
    """What kind of failure it was; each has a class of its own."""

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "runtime.internal",
        outcome: str = "rejected",
        retryable: bool = False,
        component: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.outcome = outcome
        self.retryable = retryable
        self.component = component
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.advice = advice
        if advice:
            # What `add_note` of Python 3.11 keeps; older versions leave it alone.
            self.__notes__ = [advice]

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def __reduce__(self) -> tuple[typing.Any, ...]:
        details = dict(self.__dict__)
        details.pop("__notes__", None)
        return (_revive, (type(self), details))


PillionError.__module__ = "pillion"


def _revive(kind: type[PillionError], details: dict[str, typing.Any]) -> PillionError:
    message = details.pop("message")
    return kind(message, **details)
