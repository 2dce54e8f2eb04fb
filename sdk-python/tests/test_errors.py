"""The exceptions."""

from __future__ import annotations

import pickle
import traceback
from datetime import timedelta

import pytest

import pillion
from pillion import _errors, reasons

CLASSES = [getattr(_errors, name) for name in _errors.__all__ if name.endswith("Error")]


def act(p, reason, **more):
    from pillion_shapes import ActRequestAct

    p.apis.shapes.act(ActRequestAct.FAIL, reason=reason, **more)


def test_there_is_one_base_and_a_class_for_each_category():
    assert len(CLASSES) == 12
    assert all(issubclass(kind, pillion.PillionError) for kind in CLASSES)
    assert issubclass(pillion.DeadlineError, TimeoutError)
    assert all(getattr(pillion, kind.__name__) is kind for kind in CLASSES)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("request.invalid", pillion.InvalidError),
        ("state.key_not_found", pillion.NotFoundError),
        ("state.key_exists", pillion.ExistsError),
        ("state.etag_mismatch", pillion.ConflictError),
        ("request.denied", pillion.DeniedError),
        ("component.exhausted", pillion.ExhaustedError),
        ("component.unavailable", pillion.UnavailableError),
        ("component.deadline_exceeded", pillion.DeadlineError),
        ("component.unsupported", pillion.UnsupportedError),
        ("component.corrupt", pillion.InternalError),
        ("request.cancelled", pillion.CancelledError),
    ],
)
def test_the_class_is_that_of_the_category(p, reason, kind):
    with pytest.raises(pillion.PillionError) as caught:
        act(p, reason)
    assert type(caught.value) is kind
    assert caught.value.reason == reason


def test_an_error_says_everything(p):
    with pytest.raises(pillion.ConflictError) as caught:
        act(p, reasons.STATE_ETAG_MISMATCH, metadata={"key": "a"})
    error = caught.value
    assert error.reason == "state.etag_mismatch"
    assert error.outcome == "rejected"
    assert error.retryable is False
    assert error.metadata == {"key": "a"}
    assert error.category == "conflict"
    assert str(error) == "state.etag_mismatch: as asked"
    assert "\n" not in str(error)
    assert error.advice
    shown = "".join(traceback.format_exception(error))
    assert hasattr(error, "add_note") is (error.advice in shown)


def test_errors_can_be_pickled():
    error = pillion.ExhaustedError(
        "too much", reason="component.exhausted", retry_after=timedelta(seconds=2), metadata={"a": "b"}, advice="wait"
    )
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is pillion.ExhaustedError
    assert copy.__dict__ == error.__dict__


def test_an_item_that_failed_holds_an_exception(p):
    from pillion.types.state import SetItem

    answer = p.apis.state.set_many([SetItem(key="fine"), SetItem(key="bad||key")])
    fine, bad = answer.results
    assert fine.error is None
    assert isinstance(bad.error, pillion.InvalidError)
    assert bad.error.reason == "state.key_invalid"


def test_a_panic_becomes_an_exception_and_the_host_goes_on(p):
    from pillion_shapes import ActRequestAct, ExpandRequestThen

    for _ in range(20):
        with pytest.raises(pillion.InternalError) as caught:
            p.apis.shapes.act(ActRequestAct.PANIC)
        assert caught.value.outcome == "unknown"
    with pytest.raises(pillion.InternalError):
        list(p.apis.shapes.expand(1, then=ExpandRequestThen.PANIC))
    p.state.set("k", "alive")
    assert p.state.get("k") == "alive"


def test_nobody_there():
    with pillion.connect("http://127.0.0.1:9", retries=0) as p, pytest.raises(pillion.UnavailableError) as caught:
        p.state.get("k")
    assert caught.value.retryable
    for url in ["nonsense", "https://localhost:1", "http://localhost"]:
        with pytest.raises(pillion.InvalidError):
            pillion.connect(url)


def test_a_deadline(p):
    from pillion_shapes import ActRequestAct

    with pytest.raises(TimeoutError) as caught:
        p.apis.shapes.act(ActRequestAct.ANSWER, after=60, timeout=0.05)
    assert caught.value.reason == "request.deadline_exceeded"
