"""Processes: how they end, how they fork, and what they keep."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

import pillion
from conftest import PATIENCE, eventually, program

RUNS = int(os.environ.get("PILLION_EXIT_RUNS", "20"))
"""How often each way to end is tried; 500 before a release."""

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
    "Ctrl-C in a call": (
        # Whoever runs the tests in the background may have it ignored, and that is inherited.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start(); slow()",
        130,
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_a_process_ends_as_it_should(state, request):
    source, code = STATES[state]
    here = str(request.path.parent)
    # A process that Ctrl-C ended tells its parent so.
    expected = {130: (130, -2)}.get(code, (code,))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(lambda _: program(OPEN + source + "\n", here), range(RUNS)):
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
    done = subprocess.run([sys.executable, script, method], capture_output=True, text=True, timeout=PATIENCE)
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


APPLICATION = """
import os
import pillion

# Loaded once, before the workers fork.
before = pillion.open()
before.state.set("loaded by", os.getpid())
own = None

def app(environ, start_response):
    global own
    try:
        before.state.get("loaded by")
        inherited = "usable"
    except pillion.UnavailableError as error:
        inherited = error.reason
    if own is None:
        own = pillion.open()
    own.state.set(f"worker:{os.getpid()}", environ["PATH_INFO"])
    text = f"{os.getpid()} {inherited} {own.state.get('loaded by')} {own.state.get(f'worker:{os.getpid()}')}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
"""


def test_gunicorn_with_an_application_that_is_preloaded(shared_sidecar, tmp_path):
    (tmp_path / "web.py").write_text(APPLICATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--threads", "2", "--bind", address, "web:app"],
        cwd=tmp_path,
        env={**os.environ, "PILLION_ENDPOINT": shared_sidecar.url},
        stderr=subprocess.PIPE,
        text=True,
    )

    def answers(path: str) -> list[str]:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE) as answer:
            return answer.read().decode().split()

    def listens() -> bool:
        try:
            return bool(answers("/first"))
        except OSError:
            assert server.poll() is None, server.stderr.read()
            return False

    try:
        eventually(listens)
        workers = set()
        for turn in range(200):
            worker, inherited, master, path = answers(f"/{turn}")
            workers.add(worker)
            assert (inherited, master, path) == ("runtime.closed", str(server.pid), f"/{turn}")
            if len(workers) == 2 and turn > 20:
                break
        assert len(workers) == 2 and str(server.pid) not in workers
    finally:
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=PATIENCE)[1]
    assert server.returncode == 0, said
    assert "Traceback" not in said, said


def test_one_hundred_thousand_handles_leave_no_memory_behind():
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
                twin = p._client.twin(True)
                page = p.apis.state.list(prefix="k")
                p.apis.state.get("k").entry.value
                p.state.store("state")
        churn(10_000)
        before = rss()
        churn(100_000)
        grown = rss() - before
        assert grown < 4 << 20, f"{grown} bytes"
        p.close()
        """
    )
    assert done.returncode == 0, done.stderr


def test_remote_handles_leave_no_memory_sockets_or_threads_behind(shared_sidecar):
    done = program(
        """
        import gc, os, sys, pillion
        def measure():
            gc.collect()
            with open("/proc/self/statm") as file:
                memory = int(file.read().split()[1]) * 4096
            return memory, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
        def churn(times):
            for _ in range(times):
                with pillion.connect(sys.argv[1], connections=1) as p:
                    p.state.get("k")
        churn(200)
        memory, threads, files = measure()
        churn(400)
        import time
        deadline = time.monotonic() + 30
        while measure()[2] > files and time.monotonic() < deadline:
            time.sleep(0.01)
        after = measure()
        assert after[0] - memory < 8 << 20 and after[1] <= threads and after[2] <= files, (memory, threads, files, after)
        """,
        shared_sidecar.url,
    )
    assert done.returncode == 0, done.stderr


def test_two_runtimes_in_one_process_share_nothing():
    with pillion.embedded(testing=True) as one, pillion.embedded(testing=True) as other:
        one.state.set("k", "one", ttl=60)
        assert other.state.get("k") is None
        other.state.set("k", "other", ttl=60)
        one.apis.testing.advance_clock(60)
        assert (one.state.get("k"), other.state.get("k")) == (None, "other")
        one.apis.testing.fail("state")
        other.state.set("k", "still")
        one.close()
        assert other.state.get("k") == "still"


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
