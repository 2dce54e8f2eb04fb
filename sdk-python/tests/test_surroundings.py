"""What surrounds the package: the command, logging, traces, the plug-in, types, and the README."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import traceback

import pytest

import pillion
from conftest import REPOSITORY, program, sidecar_program
from pillion import aio

PACKAGE = REPOSITORY / "sdk-python"


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "pillion", *arguments], capture_output=True, text=True, timeout=60)


def test_the_command_is_the_runtime():
    version = command("--version")
    assert version.returncode == 0 and version.stdout.startswith("pillion "), version.stderr
    ours, theirs = command("explain", "state.etag_mismatch"), subprocess.run(
        [sidecar_program(), "explain", "state.etag_mismatch"], capture_output=True, text=True, timeout=60
    )
    assert (ours.returncode, ours.stdout) == (0, theirs.stdout)
    assert command("frobnicate").returncode == 2


def test_a_program_beside_the_command():
    source = "import pillion; p = pillion.open(); p.state.set('k', 'v'); print(repr(p)); p.close()"
    done = command("dev", "--port", "0", "--", sys.executable, "-c", source)
    assert done.returncode == 0, done.stderr
    assert "<pillion.Pillion open>" in done.stdout


def test_records_go_to_logging():
    done = program(
        """
        import logging, sys, pillion
        records = []
        class Handler(logging.Handler):
            def emit(self, record): records.append(record)
        logger = logging.getLogger("pillion")
        logger.addHandler(Handler())
        logger.setLevel(logging.DEBUG)
        p = pillion.connect("http://127.0.0.1:9", retries=2)
        try:
            p.state.get("k")
        except pillion.UnavailableError:
            pass
        p.close()
        found = [record for record in records if "trying again" in record.getMessage()]
        assert found, records
        assert found[0].name.startswith("pillion"), found[0].name
        """
    )
    assert done.returncode == 0, done.stderr


def test_the_span_of_opentelemetry_goes_with_the_call():
    from opentelemetry import trace

    from pillion import _trace

    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert _trace.current() == (f"00-{0xABC:032x}-{0xDEF:016x}-01", "")
    assert _trace.current() is None


@pytest.mark.parametrize(
    ("how", "passed"),
    # Each worker has a session of its own.
    [([], 7), (["-n", "2", "-k", "not session"], 5)],
    ids=["alone", "at the same time"],
)
def test_the_plugin_gives_a_runtime_for_each_test(how, passed, pytester):
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_fresh(pillion, turn):
            assert pillion.state.get("k") is None
            pillion.state.set("k", turn)

        def test_clock(pillion):
            pillion.state.set("k", "v", ttl=600)
            pillion.clock.advance("9m")
            assert pillion.state.get("k") == "v"
            pillion.clock.advance("1m")
            assert pillion.state.get("k") is None

        def test_faults(pillion):
            from pillion_package import UnavailableError
            pillion.fail("state", operation="set", after=2)
            pillion.state.set("a", 1)
            pillion.state.set("b", 2)
            with pytest.raises(UnavailableError):
                pillion.state.set("c", 3)
            pillion.reset()
            pillion.state.set("c", 3)

        def test_awaited(pillion):
            async def main():
                await pillion.aio.state.set("k", "v")
            asyncio.run(main())
            assert pillion.state.get("k") == "v"

        def test_session_1(pillion_session):
            pillion_session.state.set("k", "v")

        def test_session_2(pillion_session):
            assert pillion_session.state.get("k") == "v"
        """.replace("pillion_package", "pillion")
    )
    pytester.runpytest_subprocess("-W", "error", *how).assert_outcomes(passed=passed)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "1h5"])
def test_durations_that_are_none(text):
    from pillion.testing import _duration

    with pytest.raises(ValueError, match="no duration"):
        _duration(text)
    assert _duration("1h30m") == 5400


def test_types_hold_for_mypy(tmp_path):
    example = tmp_path / "example.py"
    example.write_text((PACKAGE / "tests" / "typed_example.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "-p", "pillion", "-m", "example"],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_types_hold_for_pyright():
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(PACKAGE / "tests" / "typed_example.py")],
        capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_stubs_are_those_of_the_binary(tmp_path):
    """Every name, parameter and default."""
    internal = tmp_path / "internal"
    internal.write_text(
        r"""
        # What programs see under other names, and what only this build has.
        pillion\._native\.(__all__|Apis|AsyncApis|Client|actuator|common|state|testing|shapes|inject_panics)
        pillion\.(aio\.)?apis\.Apis\.shapes
        # `Generic` brings it.
        pillion\._native\..*\.__class_getitem__
        """.replace("        ", "")
    )
    types = [f"pillion.types.{path.stem}" for path in (PACKAGE / "python/pillion/types").glob("*.pyi")]
    assert len(types) >= 4
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy.stubtest", "--concise", "--ignore-disjoint-bases", "--allowlist", str(internal),
            "pillion._native", "pillion.apis", "pillion.aio.apis", *types,
        ],
        capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_what_programs_see_reads_well():
    assert {"aio", "connect", "embedded", "open", "testing"} <= set(dir(pillion))
    assert not [name for name in dir(pillion) if name in ("atexit", "os", "sys", "typing")]
    assert pillion.testing.open is not pillion.open and pillion.aio.State is not pillion.State
    with pytest.raises(AttributeError, match="has no attribute 'aoi'"):
        pillion.aoi
    with pillion.embedded() as p:
        assert (repr(p), repr(p.state), repr(p.state.store("orders"))) == (
            "<pillion.Pillion open>", "<pillion.State 'state'>", "<pillion.State 'orders'>",
        )
        for call, said in [
            (lambda: p.state.get("k", "a default"), "a type such as `dict`"),
            (lambda: p.state.set("k", 1, if_match=3), "an etag"),
            (lambda: p.state.set("k", 1, tll=3), "tll"),
            (lambda: p.apis.state.get("k", timeout="5s"), "a number of seconds"),
            (lambda: p.apis.state.set("k", b"1"), "expected Value, got bytes"),
            (pillion.Pillion, "pillion.open"),
        ]:
            p.state.set("k", {})
            with pytest.raises(TypeError) as caught:
                call()
            assert said in str(caught.value)
        try:
            p.state.set("", 1)
        except pillion.InvalidError as error:
            assert traceback.format_exception_only(error)[0].startswith("pillion.InvalidError: state.key_invalid")


def test_a_handle_that_is_forgotten_warns():
    with pytest.warns(ResourceWarning, match=r"<pillion.Pillion open>: use it with `with`"):
        pillion.embedded()
    with pytest.warns(ResourceWarning, match=r"<pillion.aio.Pillion open>: use it with `async with`"):
        asyncio.run(aio.embedded())


def test_the_demonstration_greets(shared_sidecar):
    for where, mode in [("embedded", "embedded"), (shared_sidecar.url, "sidecar")]:
        done = subprocess.run(
            [sys.executable, str(PACKAGE / "example/demo.py"), where], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert f'python: greeting:python = {{"from": "python", "mode": "{mode}"}} (etag ' in done.stdout


SNIPPETS = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippets_of_the_readme_run(snippet, sidecar, pytester, tmp_path):
    if "def test_" in snippet:
        pytester.makepyfile(snippet)
        pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)
        return
    for endpoint in ["", sidecar.url]:
        done = program(snippet.replace("http://127.0.0.1:34904", sidecar.url), PILLION_ENDPOINT=endpoint)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        expected = re.findall(r"#> (.*)", snippet)
        assert done.stdout.splitlines() == expected
