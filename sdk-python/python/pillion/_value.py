"""Values: Python objects as bytes with a content type, and back."""

from __future__ import annotations

import typing

from pillion._errors import InvalidError
from pillion.types.common import Value

BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def encode(value: object, content_type: str | None = None) -> Value:
    """The bytes of an object and their content type.

    Args:
        value: Bytes-like, text, a dataclass, a model of pydantic or msgspec, what `json` can write, or
            a `Value`, which is kept as it is.
        content_type: The content type, if it is not the usual one of that kind of object.

    Raises:
        InvalidError: `value.malformed` if it cannot be written.
    """
    if isinstance(value, Value):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Value(data=value, content_type=content_type or BYTES)
    if isinstance(value, str):
        return Value(data=value.encode(), content_type=content_type or TEXT)
    return Value(data=_to_json(value), content_type=content_type or JSON)


def decode(value: Value, into: typing.Any = None) -> typing.Any:
    """The object that a value stands for.

    Args:
        value: The bytes and their content type.
        into: What it is read as: `bytes`, `str`, a dataclass, a model of pydantic or msgspec, or a type of
            JSON such as `dict`. Without it the content type decides; bytes without one stay bytes.

    Raises:
        InvalidError: `value.content_type_mismatch` if the content type does not fit `into`,
            `value.malformed` if the bytes are not what the content type says.
    """
    content_type = value.content_type
    if isinstance(into, (str, bytes, int, float, dict, list, tuple)):
        raise TypeError(f"`into` is what a value is read as, a type such as `dict`; it is no default: got {into!r}")
    essence = content_type.partition(";")[0].strip().lower()
    is_json = essence == JSON or essence.endswith("+json")
    is_text = essence.startswith("text/")
    if into is bytes or (into is None and not is_json and not is_text):
        return value.data
    if into is Value:
        return value
    if into is str or (into is None and is_text):
        _expect(is_text or not essence, content_type, "text")
        try:
            return value.data.decode()
        except UnicodeDecodeError as error:
            raise _malformed(f"the text is not UTF-8: {error}") from error
    _expect(is_json or not essence, content_type, "JSON")
    return _from_json(value.data, into)


def _expect(fits: bool, content_type: str, wanted: str) -> None:
    if not fits:
        raise InvalidError(
            f"the value is `{content_type}` and was to be read as {wanted}",
            reason="value.content_type_mismatch",
            metadata={"content_type": content_type},
            advice="read it as `bytes`, or as what its content type says",
        )


def _malformed(message: str) -> InvalidError:
    return InvalidError(message, reason="value.malformed", advice="look at the value and at its content type")


def _to_json(value: object) -> bytes:
    if hasattr(type(value), "model_dump_json"):
        written: str = typing.cast("typing.Any", value).model_dump_json()
        return written.encode()
    if hasattr(type(value), "__struct_fields__"):
        import msgspec

        encoded: bytes = msgspec.json.encode(value)
        return encoded
    import json

    try:
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise _malformed(f"the value cannot be written as JSON: {error}") from error


def _plain(value: object) -> object:
    import dataclasses

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(type(value), "model_dump"):
        return typing.cast("typing.Any", value).model_dump(mode="json")
    if hasattr(type(value), "__struct_fields__"):
        import msgspec

        return msgspec.to_builtins(value)
    raise TypeError(f"{type(value).__name__} is not JSON; give a dict, a dataclass, or bytes")


def _from_json(data: bytes, into: typing.Any) -> typing.Any:
    try:
        if hasattr(into, "model_validate_json"):
            return into.model_validate_json(data)
        if hasattr(into, "__struct_fields__"):
            import msgspec

            return msgspec.json.decode(data, type=into)
        import json

        found = json.loads(data)
    except ValueError as error:
        raise _malformed(f"the value cannot be read as {_name(into)}: {error}") from error
    return found if into is None else _build(found, into)


def _build(found: typing.Any, into: typing.Any) -> typing.Any:
    """What `json` read, as the type that was asked for; dataclasses in dataclasses included."""
    import dataclasses

    if found is None or into is typing.Any:
        return found
    if dataclasses.is_dataclass(into) and isinstance(into, type):
        if not isinstance(found, dict):
            raise _malformed(f"the value cannot be read as {_name(into)}: it is no object")
        hints = typing.get_type_hints(into)
        known = {field.name for field in dataclasses.fields(into) if field.init}
        try:
            return into(**{name: _build(item, hints[name]) for name, item in found.items() if name in known})
        except TypeError as error:
            raise _malformed(f"the value cannot be read as {_name(into)}: {error}") from error
    origin, arguments = typing.get_origin(into), typing.get_args(into)
    if origin is list and isinstance(found, list):
        return [_build(item, arguments[0]) for item in found]
    if origin is dict and isinstance(found, dict):
        return {key: _build(item, arguments[1]) for key, item in found.items()}
    if origin is None and isinstance(into, type):
        if isinstance(found, int) and into is float:
            return float(found)
        if not isinstance(found, into):
            raise _malformed(f"the value cannot be read as {_name(into)}: it is {_name(type(found))}")
    return found


def _name(kind: typing.Any) -> str:
    return "JSON" if kind is None else getattr(kind, "__name__", str(kind))
