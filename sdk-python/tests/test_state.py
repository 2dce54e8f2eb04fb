"""The handle `p.state`."""

from __future__ import annotations

from datetime import timedelta

import pytest

import pillion
from pillion import ConflictError, InvalidError, NotFoundError
from pillion.state import Deleted, Resync, Synced, Written
from pillion.types.state import Condition, GetResponse


def test_what_was_set_is_there(p):
    etag = p.state.set("cart:42", {"items": 3})
    assert p.state.get("cart:42") == {"items": 3}
    entry = p.state.get_entry("cart:42")
    assert (entry.key, entry.value, entry.etag) == ("cart:42", {"items": 3}, etag)
    assert entry.content_type == "application/json"
    assert entry.expires_in is None


def test_what_is_not_there_is_none(p):
    assert p.state.get("nothing") is None
    assert p.state.get_entry("nothing") is None
    assert p.state.get_many(["nothing"]) == {}


def test_conditions(p):
    etag = p.state.set("k", "one", if_absent=True)
    assert p.state.set("k", "two", if_match=etag) != etag
    with pytest.raises(ConflictError) as caught:
        p.state.set("k", "three", if_match=etag)
    assert caught.value.reason == "state.etag_mismatch"
    with pytest.raises(pillion.PillionError):
        p.state.set("k", "three", if_absent=True)
    with pytest.raises(ConflictError):
        p.state.delete("k", if_match=etag)
    with pytest.raises(TypeError):
        p.state.set("k", "four", if_absent=True, if_match=etag)
    assert p.state.get("k") == "two"


def test_delete_says_whether_there_was_one(p):
    p.state.set("k", b"")
    assert p.state.delete("k") is True
    assert p.state.delete("k") is False


@pytest.mark.parametrize("ttl", [3600, 3600.0, timedelta(hours=1)])
def test_lifetimes(p, ttl):
    p.state.set("k", "v", ttl=ttl)
    left = p.state.get_entry("k").expires_in
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_many(p):
    etags = p.state.set_many({"a": 1, "b": "two", "c": b"three"})
    assert set(etags) == {"a", "b", "c"}
    assert p.state.get_many(["a", "b", "c", "d"]) == {"a": 1, "b": "two", "c": b"three"}


def test_list_goes_through_all_pages(p):
    p.state.set_many({f"cart:{index:03}": index for index in range(25)})
    p.state.set("user:1", "x")
    assert [entry.value for entry in p.state.list("cart:", page_size=10)] == list(range(25))
    assert list(p.state.keys("user:")) == ["user:1"]


def test_watch_begins_with_what_is_there(p):
    p.state.set("cart:1", "apples")
    with p.state.watch("cart:") as changes:
        first = next(changes)
        assert isinstance(first, Written)
        assert (first.entry.key, first.entry.value) == ("cart:1", "apples")
        assert isinstance(next(changes), Synced)
        p.state.delete("cart:1")
        last = next(changes)
        assert isinstance(last, Deleted)
        assert (last.key, last.expired) == ("cart:1", False)
        assert not isinstance(last, Resync)
    assert list(changes) == []


def test_a_store_that_is_not_declared(p):
    with pytest.raises(NotFoundError) as caught:
        p.state.store("nowhere").get("k")
    assert caught.value.reason == "component.not_declared"


def test_the_complete_api(p):
    written = p.apis.state.set("k", pillion._value.encode("v"), condition=Condition(Condition.IfAbsent(pillion.types.state.IfAbsent())))
    found = p.apis.state.get("k")
    assert found.entry.etag == written.etag
    assert found.entry is found.entry
    match found:
        case GetResponse(entry=entry):
            assert entry.value.data == b"v"


def test_results_never_change(p):
    found = p.apis.state.get("k")
    with pytest.raises(AttributeError):
        found.entry = None
    assert found == p.apis.state.get("k")
    assert repr(found) == "GetResponse(entry=None)"


def test_two_runtimes_know_nothing_of_each_other(p):
    with pillion.embedded() as other:
        p.state.set("k", "mine")
        assert other.state.get("k") is None


def test_data_stays_in_a_folder(tmp_path):
    with pillion.embedded(data_dir=tmp_path) as p:
        p.state.set("k", "v")
    with pillion.embedded(data_dir=tmp_path) as p:
        assert p.state.get("k") == "v"


def test_open_follows_the_environment(sidecar, monkeypatch):
    monkeypatch.setenv("PILLION_ENDPOINT", sidecar.url)
    with pillion.open() as p:
        p.state.set("k", "remote")
    with pillion.connect(sidecar.url) as p:
        assert p.state.get("k") == "remote"
    monkeypatch.delenv("PILLION_ENDPOINT")
    with pillion.open() as p:
        assert p.state.get("k") is None


def test_a_closed_handle_says_so(p):
    p.close()
    p.close()
    assert p.closed
    with pytest.raises(pillion.PillionError) as caught:
        p.state.get("k")
    assert caught.value.reason == "runtime.closed"


def test_a_forgotten_handle_warns():
    with pytest.warns(ResourceWarning, match="unclosed"):
        runtime = pillion.embedded()
        del runtime


def test_wrong_arguments_are_named(p):
    with pytest.raises(TypeError, match="key"):
        p.apis.state.get(5)
    with pytest.raises(TypeError):
        p.apis.state.get("k", colour="red")
    with pytest.raises(InvalidError):
        p.state.set("k||k", "v")
    with pytest.raises(TypeError, match="data_dir or config_file"):
        pillion.embedded(data_dir=".", config_file="x.yaml")
