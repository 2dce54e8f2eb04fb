"""Processes: how they end, how they fork, and what they keep."""

from __future__ import annotations

import pytest

from conftest import program

RUNS = 20

OPEN = """
import asyncio, atexit, os, signal, sys, threading, time
import pillion
from pillion import aio
sys.path.insert(0, sys.argv[1])
from pillion_shapes import ActRequestAct, ExpandRequestThen
p = pillion.embedded()
def slow(): p.apis.shapes.act(ActRequestAct.ANSWER, after=600)
"""

STATES = {
    "idle": ("pass", 0),
    "a call in flight": ("threading.Thread(target=slow, daemon=True).start(); time.sleep(0.02)", 0),
    "quick calls in a daemon thread": (
        "threading.Thread(target=lambda: [p.state.set('k', 'v') for _ in iter(int, 1)], daemon=True).start(); time.sleep(0.02)",
        0,
    ),
    "a stream half read": ("stream = p.apis.shapes.expand(5); next(stream)", 0),
    "a watch that lives": ("watch = p.state.watch('k'); next(watch)", 0),
    "a daemon thread inside a stream": (
        "s = p.apis.shapes.expand(0, then=ExpandRequestThen.HANG); threading.Thread(target=lambda: next(s), daemon=True).start(); time.sleep(0.02)",
        0,
    ),
    "sys.exit with a call in flight": ("threading.Thread(target=slow, daemon=True).start(); sys.exit(3)", 3),
    "an exception in atexit": ("atexit.register(lambda: p.state.get('k') or 1 / 0)", 0),
    "calls in atexit": ("atexit.register(lambda: p.state.set('k', 'v'))", 0),
    "an unhandled exception": ("threading.Thread(target=slow, daemon=True).start(); 1 / 0", 1),
    "a loop that was closed first": (
        "async def main():\n    q = await aio.embedded(); asyncio.create_task(q.apis.shapes.act(ActRequestAct.ANSWER, after=600)); await asyncio.sleep(0.01)\nasyncio.run(main())",
        0,
    ),
    "os._exit": ("threading.Thread(target=slow, daemon=True).start(); os._exit(4)", 4),
    "Ctrl-C in a call": ("threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start(); slow()", 130),
}


@pytest.mark.parametrize("state", STATES)
def test_a_process_ends_as_it_should(state, request):
    source, code = STATES[state]
    here = str(request.path.parent)
    for _ in range(RUNS):
        done = program(OPEN + source + "\n", here)
        # A process that Ctrl-C ended tells its parent so.
        expected = {130: (130, -2)}.get(code, (code,))
        assert done.returncode in expected, (done.returncode, done.stderr)
        assert "panicked" not in done.stderr and "Fatal Python error" not in done.stderr, done.stderr


def test_a_forked_child_is_told_and_can_open_its_own():
    done = program(
        """
        import os, pillion
        p = pillion.embedded()
        p.state.set("k", "parent")
        stream = p.apis.state.watch()
        child = os.fork()
        if child == 0:
            try:
                p.state.get("k")
            except pillion.PillionError as error:
                assert error.reason == "runtime.closed" and "preload_app" in error.advice, error
            else:
                os._exit(11)
            try:
                next(stream)
            except pillion.PillionError as error:
                assert "forked" in error.message, error
            else:
                os._exit(12)
            del stream
            p.close()
            with pillion.embedded() as own:
                own.state.set("k", "child")
                assert own.state.get("k") == "child"
                if os.fork() == 0:
                    with pillion.embedded() as grand:
                        grand.state.set("k", 1)
                    os._exit(0)
                assert os.wait()[1] == 0
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert p.state.get("k") == "parent"
        stream.close()
        p.close()
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        """
import multiprocessing, sys
import pillion

def work(number):
    with pillion.embedded() as p:
        p.state.set("n", number)
        return p.state.get("n")

if __name__ == "__main__":
    with pillion.embedded() as p:
        p.state.set("k", "v")
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            assert pool.map(work, range(8)) == list(range(8))
        assert p.state.get("k") == "v"
"""
    )
    done = program(f"import sys, runpy; sys.argv = ['main.py', {method!r}]; sys.path.insert(0, {str(tmp_path)!r}); runpy.run_path({str(script)!r}, run_name='__main__')") if method == "fork" else None
    if done is None:
        import subprocess
        import sys

        done = subprocess.run([sys.executable, script, method], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_application_that_is_loaded_before_its_workers_fork(sidecar):
    done = program(
        """
        import os, sys, threading, pillion
        # The master loads the application, which opens a handle and uses it from threads.
        app = pillion.connect(sys.argv[1])
        app.state.set("k", "master")
        for worker in range(4):
            if os.fork() == 0:
                app = pillion.connect(sys.argv[1])
                results = []
                threads = [threading.Thread(target=lambda: results.append(app.state.get("k"))) for _ in range(4)]
                [thread.start() for thread in threads]
                [thread.join() for thread in threads]
                app.close()
                os._exit(0 if results == ["master"] * 4 else 1)
        codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)]
        assert codes == [0] * 4, codes
        app.close()
        """,
        sidecar.url,
    )
    assert done.returncode == 0, done.stderr


def test_handles_leave_no_memory_behind():
    done = program(
        """
        import gc, pillion
        p = pillion.embedded()
        p.state.set("k", "v")
        def rss():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096
        def churn(times):
            for _ in range(times):
                store = p.state.store("state")
                p.apis.state
                p.apis.state.get("k").entry.value
        churn(20_000)
        before = rss()
        churn(80_000)
        grown = rss() - before
        assert grown < 4 << 20, f"{grown} bytes"
        p.close()
        """
    )
    assert done.returncode == 0, done.stderr


def test_runtimes_leave_no_memory_or_threads_behind():
    done = program(
        """
        import gc, os, pillion
        def rss():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096
        def churn(times):
            for _ in range(times):
                with pillion.embedded() as p:
                    p.state.set("k", "v")
        churn(200)
        before, threads = rss(), len(os.listdir("/proc/self/task"))
        churn(400)
        assert rss() - before < 8 << 20, rss() - before
        assert len(os.listdir("/proc/self/task")) <= threads
        """
    )
    assert done.returncode == 0, done.stderr
