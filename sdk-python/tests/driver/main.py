"""Reading commands and writing answers; what both forms of the driver share."""

from __future__ import annotations

import json
import sys
import threading
import typing

from driver import codec
from driver.model import Method
from driver.table import METHODS
from pillion import InvalidError, PillionError, UnsupportedError

USAGE = "usage: driver [--aio] [--endpoint URL | --embedded CONFIG.yaml | --memory]"
Json = typing.Any

CANCELLED = object()
"""The answer of what was cancelled."""
END = object()
"""The answer of a stream that is over."""

_writing = threading.Lock()


def main(arguments: list[str]) -> int:
    """Runs the driver until the end of stdin; its exit code."""
    asynchronous = arguments[:1] == ["--aio"]
    arguments = arguments[1:] if asynchronous else arguments
    match arguments:
        case [] | ["--memory"] | ["--endpoint", _] | ["--embedded", _]:
            pass
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    try:
        if asynchronous:
            import asyncio

            from driver import awaiting

            asyncio.run(awaiting.run(arguments))
        else:
            from driver import blocking

            blocking.run(arguments)
    except PillionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def answer(identity: Json, result: Json) -> None:
    """Writes the answer of a command."""
    if result is CANCELLED:
        line = {"id": identity, "cancelled": True}
    elif result is END:
        line = {"id": identity, "end": True}
    elif isinstance(result, PillionError):
        line = {"id": identity, "error": codec.describe(result)}
    else:
        line = {"id": identity, "ok": result}
    text = json.dumps(line)
    with _writing:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def refused(error: Exception) -> PillionError:
    """What a call raised, as the error of its answer. Python's own exceptions are about arguments."""
    return error if isinstance(error, PillionError) else invalid(f"{type(error).__name__}: {error}")


def invalid(message: str) -> PillionError:
    """The error of what the driver itself refuses."""
    return InvalidError(message, reason="request.invalid")


def read(line: str) -> dict[str, Json] | None:
    """The command in a line; none, and answered, if it is no command."""
    try:
        command = json.loads(line)
        if isinstance(command, dict) and isinstance(command.get("id"), int):
            return command
    except ValueError:
        pass
    answer(None, invalid("the line is no command"))
    return None


def method(call: Json) -> Method:
    """The method that a call names."""
    found = METHODS.get((call.get("api"), call.get("method")))
    if found is None:
        name = f"{call.get('api')}.{call.get('method')}"
        raise UnsupportedError(f"there is no method `{name}` in the contract", reason="request.unknown_method")
    return found


def options(call: Json) -> dict[str, Json]:
    """What a call takes beside its request."""
    found = {name: call[name] for name in ("app_id", "token") if name in call}
    if call.get("timeout") is not None:
        found["timeout"] = call["timeout"] / 1000
    return found


def no_clock() -> PillionError:
    """The error where the clock cannot be moved."""
    return UnsupportedError("this driver cannot move the clock", reason="component.unsupported")
