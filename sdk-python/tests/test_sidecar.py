"""A sidecar that is killed: the same errors as Rust has, and calls work again when it is back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pillion
from conftest import PATIENCE, Sidecar, eventually, sidecar_program

HERE = Path(__file__).resolve().parent
PYTHON = [sys.executable, str(HERE / "driver")]
RUST = [str(sidecar_program().with_name("pillion-driver"))]

UNDER_WAY = {
    "a write": {"api": "shapes", "method": "act", "args": {"act": "ACT_ANSWER", "after": "600s"}},
    "a read": {"api": "shapes", "method": "expand", "args": {"count": 1, "then": "THEN_HANG"}},
    "a watch": {"api": "state", "method": "watch", "args": {"prefix": "watched"}},
    "an upload": {"api": "shapes", "method": "collect", "args": {}},
    "a conversation": {"api": "shapes", "method": "converse", "args": {}},
}
"""What is under way when the sidecar is killed."""


class Driver:
    """A program that makes calls as it is told; see `docs/driver-protocol.md`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.last = process, 0

    def tell(self, **command: object) -> int:
        """Gives a command, without waiting for its answer."""
        self.last += 1
        print(json.dumps({"id": self.last, **command}), file=self.process.stdin, flush=True)
        return self.last

    def answer(self, wanted: int) -> dict[str, object]:
        """The answer to this command; those to others before it are left out."""
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer["id"] == wanted:
                return answer
        raise AssertionError(f"the driver ended with {self.process.wait()}")

    def ask(self, **command: object) -> dict[str, object]:
        """Gives a command and waits for its answer."""
        return self.answer(self.tell(**command))


@contextmanager
def driver(command: list[str], endpoint: str) -> Iterator[Driver]:
    """A driver that is connected to this sidecar."""
    process = subprocess.Popen(
        [*command, "--endpoint", endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Driver(process)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def killed(command: list[str], sidecar: Sidecar, what: str) -> tuple[object, ...]:
    """How a call ends when its sidecar is killed."""
    call = UNDER_WAY[what]
    with driver(command, sidecar.url) as calls, pillion.connect(sidecar.url) as p:
        opened = p.apis.shapes.count().open
        if what == "a write":
            waits = calls.tell(**call)
        else:
            stream = calls.last + 1
            assert "ok" in calls.ask(open=call)
            if what in ("a read", "a watch"):
                assert "ok" in calls.ask(next=stream)
            if what == "a conversation":
                assert "ok" in calls.ask(send=stream, message={"text": "hello"})
                assert "ok" in calls.ask(next=stream)
            if what == "an upload":
                assert "ok" in calls.ask(send=stream, message={"chunk": "AAAA"})
        if what != "a watch":
            eventually(lambda: p.apis.shapes.count().open > opened)
        if what in ("a read", "a watch", "a conversation"):
            waits = calls.tell(next=stream)
        sidecar.kill()
        if what == "an upload":
            waits = calls.tell(finish=stream)
        error = calls.answer(waits)["error"]
        sidecar.start()
        again = {"api": "state", "method": "set", "args": {"key": "k", "value": {"data": "AAAA"}}}
        eventually(lambda: "ok" in calls.ask(**again))
        found = calls.ask(api="state", method="get", args={"key": "k"})
        assert found["ok"]["entry"]["value"]["data"] == "AAAA"
    return tuple(error[name] for name in ("category", "reason", "outcome"))


@pytest.mark.parametrize("what", UNDER_WAY)
def test_a_killed_sidecar_is_the_same_error_as_in_rust_and_one_that_is_back_works(what, sidecar):
    expected = killed(RUST, sidecar, what)
    assert expected[0] == "unavailable"
    assert killed(PYTHON, sidecar, what) == expected
    assert killed([*PYTHON, "--aio"], sidecar, what) == expected
