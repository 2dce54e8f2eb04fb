"""Values, and what they are read as."""

from __future__ import annotations

import dataclasses

import msgspec
import pydantic
import pytest

from pillion import InvalidError


@dataclasses.dataclass
class Item:
    name: str
    count: int = 1


@dataclasses.dataclass
class Cart:
    owner: str
    items: list[Item] = dataclasses.field(default_factory=list)


class Model(pydantic.BaseModel):
    name: str
    price: float


class Struct(msgspec.Struct):
    name: str
    price: float


@pytest.mark.parametrize(
    "value",
    [b"bytes", "text ключ", {"a": [1, 2.5, None, True]}, [], 5, 1.5, True, None, "", b""],
)
def test_what_goes_in_comes_out(p, value):
    p.state.set("k", value)
    found = p.state.get("k")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_bytes_like_is_stored_as_bytes(p, value):
    p.state.set("k", value)
    assert p.state.get("k") == b"abc"


def test_content_types(p):
    for value, content_type in [(b"", "application/octet-stream"), ("", "text/plain; charset=utf-8"), ({}, "application/json")]:
        p.state.set("k", value)
        assert p.state.get_entry("k").content_type == content_type
    p.state.set("k", b"<svg/>", content_type="image/svg+xml")
    assert p.state.get("k") == b"<svg/>"


def test_dataclasses(p):
    cart = Cart("ann", [Item("apple", 3), Item("pear")])
    p.state.set("k", cart)
    assert p.state.get("k") == dataclasses.asdict(cart)
    assert p.state.get("k", Cart) == cart


def test_models(p):
    p.state.set("k", Model(name="apple", price=1.5))
    assert p.state.get("k", Model) == Model(name="apple", price=1.5)
    assert p.state.get("k", Struct) == Struct(name="apple", price=1.5)
    p.state.set("k", Struct(name="pear", price=2.0))
    assert p.state.get("k", Model) == Model(name="pear", price=2.0)
    p.state.set("k", [Item("a"), Model(name="b", price=1), Struct(name="c", price=2)])
    assert [item["name"] for item in p.state.get("k")] == ["a", "b", "c"]


def test_what_does_not_fit_is_refused(p):
    p.state.set("text", "no JSON")
    p.state.set("json", {"name": 5})
    p.state.set("bytes", b"\xff")
    for key, into, reason in [
        ("text", dict, "value.content_type_mismatch"),
        ("json", str, "value.content_type_mismatch"),
        ("bytes", str, "value.content_type_mismatch"),
        ("json", list, "value.malformed"),
        ("json", Model, "value.malformed"),
        ("json", Item, "value.malformed"),
    ]:
        with pytest.raises(InvalidError) as caught:
            p.state.get(key, into)
        assert caught.value.reason == reason, (key, into)
    assert p.state.get("text", bytes) == b"no JSON"


def test_what_is_no_json_is_refused_before_it_is_sent(p):
    for value in [object(), {1, 2}, float("nan")]:
        with pytest.raises(InvalidError) as caught:
            p.state.set("k", value)
        assert caught.value.reason == "value.malformed"
    assert p.state.get("k") is None
