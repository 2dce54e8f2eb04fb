"""What the tests share: runtimes, a sidecar, and programs in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pillion as pillion_package

pytest_plugins = ["pytester"]

# Some tests panic on purpose, hundreds of times.
os.environ["RUST_BACKTRACE"] = "0"

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


def sidecar_program() -> Path:
    """The sidecar that cargo built."""
    program = Path(os.environ.get("PILLION_BIN", REPOSITORY / "target/ci/pillion"))
    if not program.exists():
        pytest.fail(f"there is no {program}: build it with `cargo build --profile ci -p pillion-cli`")
    return program


class Sidecar:
    """A sidecar in memory, on a port of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts it, at the same address."""
        self.process = subprocess.Popen(
            [sidecar_program(), "dev", "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(),
        )
        with pillion_package.connect(self.url) as p:
            p.wait_ready(PATIENCE)

    def kill(self) -> None:
        """Ends it without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """A sidecar of the test's own."""
    running = Sidecar()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def shared_sidecar() -> Iterator[Sidecar]:
    """One for all tests that leave it as it is."""
    running = Sidecar()
    yield running
    running.kill()


@pytest.fixture
def p() -> Iterator[pillion_package.Pillion]:
    """A runtime in memory."""
    with pillion_package.embedded() as runtime:
        yield runtime


def program(source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own, warnings shown."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "default", "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
    )


def eventually(condition, patience: float = PATIENCE) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)
