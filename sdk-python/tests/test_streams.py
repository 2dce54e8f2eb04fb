"""Streams, blocking: iterators, uploads and conversations."""

from __future__ import annotations

import threading

import pytest

import pillion
from conftest import eventually
from pillion_shapes import CollectRequest, ConverseRequest, ExpandRequestThen


def test_a_stream_is_an_iterator(p):
    stream = p.apis.shapes.expand(3)
    assert iter(stream) is stream
    assert [message.index for message in stream] == [0, 1, 2]
    with pytest.raises(StopIteration):
        next(stream)


def test_a_stream_ends_at_its_first_error(p):
    stream = p.apis.shapes.expand(2, then=ExpandRequestThen.FAIL_AND_GO_ON)
    assert [next(stream).index, next(stream).index] == [0, 1]
    with pytest.raises(pillion.PillionError):
        next(stream)
    assert list(stream) == []


def test_leaving_the_block_ends_the_call(p):
    with p.apis.shapes.expand(1, then=ExpandRequestThen.HANG) as stream:
        next(stream)
        assert p.apis.shapes.count().open == 1
    eventually(lambda: p.apis.shapes.count().open == 0)


def test_dropping_a_stream_ends_the_call(p):
    stream = p.apis.shapes.expand(1, then=ExpandRequestThen.HANG)
    next(stream)
    del stream
    eventually(lambda: p.apis.shapes.count().open == 0)


def test_closing_from_another_thread_ends_the_wait(p):
    stream = p.apis.shapes.expand(0, then=ExpandRequestThen.HANG)
    threading.Timer(0.05, stream.close).start()
    assert list(stream) == []


def test_an_upload(p):
    with p.apis.shapes.collect() as upload:
        for _ in range(50):
            upload.send(CollectRequest(CollectRequest.Chunk(b"abc")))
        upload.send(CollectRequest(CollectRequest.Total(150)))
        assert upload.finish().received == 150
        with pytest.raises(pillion.InvalidError):
            upload.send(CollectRequest(CollectRequest.Chunk(b"late")))


def test_an_upload_that_is_left_is_never_taken_as_complete(p):
    with pytest.raises(ZeroDivisionError), p.apis.shapes.collect() as upload:
        upload.send(CollectRequest(CollectRequest.Chunk(b"abc")))
        raise ZeroDivisionError
    eventually(lambda: p.apis.shapes.count().open == 0)
    upload = p.apis.shapes.collect()
    upload.send(CollectRequest(CollectRequest.Chunk(b"abc")))
    upload.abort()
    with pytest.raises(pillion.PillionError):
        upload.finish()
    assert p.apis.shapes.count().uploads == 0


def test_messages_of_another_kind_are_refused(p):
    with p.apis.shapes.collect() as upload, pytest.raises(TypeError, match="CollectRequest"):
        upload.send(ConverseRequest("hello"))


def test_a_conversation(p):
    with p.apis.shapes.converse() as talk:
        for word in ["one", "two"]:
            talk.send(ConverseRequest(word))
            assert next(talk).text == word.upper()
        talk.finish()
        assert list(talk) == []


def test_unions_and_enums(p):
    from pillion_shapes import Color, Kinds, Nested

    kinds = Kinds(
        color=Color.RED,
        optional_color=77,
        choice=Kinds.Node(Nested(name="n", inner=Nested(name="i"))),
        labels={"a": "b"},
        strings=["x"],
        uint64_value=2**64 - 1,
        bytes_value=bytearray(b"\x00"),
    )
    found = p.apis.shapes.echo(kinds, label="l").kinds
    assert found == kinds
    assert found.color is Color.RED
    assert (int(found.optional_color), found.optional_color.name) == (77, "UNKNOWN_77")
    assert isinstance(found.optional_color, Color)
    match found.choice:
        case Kinds.Node(nested):
            assert nested.inner.name == "i"
        case _:
            pytest.fail("another variant")
    assert (found.labels, found.strings, found.uint64_value) == ({"a": "b"}, ("x",), 2**64 - 1)
    with pytest.raises(OverflowError):
        Kinds(uint32_value=-1)
    with pytest.raises(TypeError, match="sequence"):
        Kinds(strings="x")
