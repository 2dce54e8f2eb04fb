"""Messages as proto3 JSON, and from it, by the generated table."""

from __future__ import annotations

import base64
import importlib
import math
import re
import struct
import typing
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from driver.model import Field, Method
from driver.table import ENUMS, MESSAGES
from pillion import PillionError

Json = typing.Any
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def arguments(message: str, given: Json) -> dict[str, typing.Any]:
    """The fields of a request as keyword arguments."""
    if not isinstance(given, dict):
        raise ValueError("a message is a JSON object")
    fields = {name: field for field in MESSAGES[message].fields for name in (field.json, _snake(field.json))}
    found: dict[str, typing.Any] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            raise ValueError(f"{message} has no field `{name}`")
        if value is None:
            continue
        python = _take(field, value)
        if field.oneof is None:
            found[field.name] = python
        else:
            union, variant = field.oneof
            found[union] = getattr(_class(MESSAGES[message].place), variant)(python)
    return found


def parameters(method: Method, given: Json) -> dict[str, typing.Any]:
    """The arguments of a call. JSON leaves out what has its default; Python asks for what is required."""
    found = arguments(method.request, given)
    for field in MESSAGES[method.request].fields:
        if field.name in method.required and field.name not in found:
            found[field.name] = () if field.label == "repeated" else _empty(field.kind)
    return found


def _empty(kind: str) -> typing.Any:
    return {"str": "", "bytes": b"", "bool": False, "duration": timedelta()}.get(kind, 0)


def build(message: str, given: Json) -> typing.Any:
    """The object of a message."""
    return _class(MESSAGES[message].place)(**arguments(message, given))


def show(message: str, value: typing.Any) -> Json:
    """The JSON of a message; what has its default is left out."""
    shown = {}
    for field in MESSAGES[message].fields:
        if field.oneof is not None:
            union, variant = field.oneof
            held = getattr(value, union)
            if type(held).__name__ == variant:
                shown[field.json] = _give(field.kind, held.value)
            continue
        python = getattr(value, field.name)
        if field.label == "optional":
            if python is not None:
                shown[field.json] = _give(field.kind, python)
        elif field.label == "repeated":
            if python:
                shown[field.json] = [_give(field.kind, item) for item in python]
        elif isinstance(field.label, tuple):
            if python:
                shown[field.json] = {_key(key): _give(field.kind, item) for key, item in python.items()}
        elif python or isinstance(python, float) and math.copysign(1, python) < 0:
            shown[field.json] = _give(field.kind, python)
    return shown


def describe(error: PillionError) -> Json:
    """An exception as the protocol shows it."""
    return {
        "category": error.category,
        "reason": error.reason,
        "outcome": error.outcome,
        "message": error.message,
        "component": error.component,
        "retryable": error.retryable,
        "metadata": error.metadata,
    }


def _class(place: tuple[str, str] | None) -> typing.Any:
    assert place is not None, "a request has no class"
    return getattr(importlib.import_module(place[0]), place[1])


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name)


def _take(field: Field, value: Json) -> typing.Any:
    if field.label == "repeated":
        return [_take_one(field.kind, item) for item in value]
    if isinstance(field.label, tuple):
        return {_take_one(field.label[1], key): _take_one(field.kind, item) for key, item in value.items()}
    return _take_one(field.kind, value)


def _take_one(kind: str, value: Json) -> typing.Any:
    match kind:
        case "bool" | "str":
            return value
        case "int" | "long":
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(f"{value} is no integer")
            return int(value)
        case "float" | "double":
            return float(value)
        case "bytes":
            return base64.b64decode(value, validate=True)
        case "timestamp":
            return _timestamp(value)
        case "duration":
            return _duration(value)
    if kind in ENUMS:
        module, name, prefix = ENUMS[kind]
        members = _class((module, name))
        return members[value.removeprefix(prefix)] if isinstance(value, str) else members(value)
    return build(kind, value)


def _give(kind: str, value: typing.Any) -> Json:
    match kind:
        case "bool" | "str" | "int":
            return value
        case "long":
            return str(value)
        case "float" | "double":
            return _number(value, single=kind == "float")
        case "bytes":
            return base64.b64encode(value).decode()
        case "timestamp":
            return _shown_timestamp(value)
        case "duration":
            return _shown_duration(value)
        case "error":
            return _error(value)
    if kind in ENUMS:
        return ENUMS[kind][2] + value.name if not value.name.startswith("UNKNOWN_") else int(value)
    return show(kind, value)


def _key(key: typing.Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _number(value: float, single: bool) -> Json:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if not single:
        return value
    # The shortest text that reads as the same number of half the size.
    packed = struct.pack("f", value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((float(text) for text in texts if struct.pack("f", float(text)) == packed), value)


def _error(error: PillionError) -> Json:
    shown: dict[str, Json] = {
        "category": "CATEGORY_" + error.category.upper(),
        "reason": error.reason,
        "message": error.message,
        "outcome": "OUTCOME_" + error.outcome.upper(),
        "retryable": error.retryable,
        "component": error.component,
        "metadata": error.metadata,
        "advice": error.advice,
    }
    if error.retry_after is not None:
        shown["retryAfter"] = _shown_duration(error.retry_after)
    return {name: value for name, value in shown.items() if value}


def _timestamp(text: str) -> datetime:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        raise ValueError(f"`{text}` is no time")
    zone = "+00:00" if found[3] == "Z" else found[3]
    micros = int((found[2] or "").ljust(9, "0")[:6])
    return datetime.fromisoformat(found[1] + zone).replace(microsecond=micros)


def _shown_timestamp(value: datetime) -> str:
    value = value.astimezone(timezone.utc)
    return value.strftime("%Y").rjust(4, "0") + value.strftime("-%m-%dT%H:%M:%S") + _fraction(value.microsecond) + "Z"


def _duration(text: str) -> timedelta:
    if not re.fullmatch(r"-?\d+(\.\d{1,9})?s", text):
        raise ValueError(f"`{text}` is no duration")
    return timedelta(microseconds=int(Decimal(text[:-1]) * 1_000_000))


def _shown_duration(value: timedelta) -> str:
    micros = value // timedelta(microseconds=1)
    sign = "-" if micros < 0 else ""
    seconds, rest = divmod(abs(micros), 1_000_000)
    return f"{sign}{seconds}{_fraction(rest)}s"


def _fraction(micros: int) -> str:
    if micros == 0:
        return ""
    return f".{micros:06}" if micros % 1_000 else f".{micros // 1_000:03}"
