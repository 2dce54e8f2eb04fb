"""What the generated table is made of."""

from __future__ import annotations

import typing


class Method(typing.NamedTuple):
    """A method of an API."""

    api: str
    name: str
    shape: str
    request: str
    answer: str
    required: tuple[str, ...]


class Field(typing.NamedTuple):
    """A field of a message."""

    name: str
    json: str
    kind: str
    label: str | tuple[str, str]
    oneof: tuple[str, str] | None


class Message(typing.NamedTuple):
    """A message: its module and class, if it has one, and its fields."""

    place: tuple[str, str] | None
    fields: tuple[Field, ...]
