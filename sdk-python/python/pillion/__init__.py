"""State and more for Python programs: in-process, or against a Pillion sidecar.

`open` gives the handle, and from it come the handles of the building blocks. The same program runs in
both modes:

    import pillion

    with pillion.open() as p:
        p.state.set("cart:42", {"items": 3})
        print(p.state.get("cart:42"))

`pillion.aio` has the same to be awaited. `Pillion.apis` has every method of the contract, with every
field of its request as a parameter.
"""

from __future__ import annotations

import atexit
import os
import sys
import typing

from pillion import _native
from pillion._client import Pillion, connect, embedded, open
from pillion._errors import (
    CancelledError,
    ConflictError,
    DeadlineError,
    DeniedError,
    ExhaustedError,
    ExistsError,
    InternalError,
    InvalidError,
    NotFoundError,
    PillionError,
    UnavailableError,
    UnsupportedError,
)
from pillion._native import CancelToken, Duplex, Stream, Upload, __version__
from pillion._state import State

if typing.TYPE_CHECKING:
    from pillion import aio, apis, reasons, state, testing, types

# Registering starts nothing: both only tell the native module what the interpreter does.
atexit.register(_native.leaving)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.forked)

_MODULES = frozenset({"aio", "apis", "reasons", "state", "testing", "types"})


def __getattr__(name: str) -> typing.Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'pillion' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    import importlib

    return importlib.import_module(f"pillion.{name}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__doc__", "__file__", "__path__"})


__all__ = [
    "CancelToken",
    "CancelledError",
    "ConflictError",
    "DeadlineError",
    "DeniedError",
    "Duplex",
    "ExhaustedError",
    "ExistsError",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "Pillion",
    "PillionError",
    "State",
    "Stream",
    "UnavailableError",
    "UnsupportedError",
    "Upload",
    "__version__",
    "connect",
    "embedded",
    "open",
]
