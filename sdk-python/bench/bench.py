"""Measures Pillion beside the stock gRPC client: the same server, the same value, turn by turn.

    python sdk-python/bench/bench.py --endpoint http://127.0.0.1:34904 [--unix PATH] [--package FILE]

It prints one JSON object a line for each figure. Needed are the package itself, better not of a debug
build, and what `requirements.txt` beside this file lists.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import typing
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import grpc

import pillion
from pillion import aio

PROTOS = Path(__file__).resolve().parents[2] / "proto/api"
KEY, VALUE = "bench", bytes(range(100))
IN_FLIGHT = 64
# Over a Unix socket gRPC sends the socket's path as the name of the host, which is none.
OPTIONS = [("grpc.default_authority", "localhost")]
PROCESSES = 15
"""How many fresh processes the time of an import is the median of."""

Call = Callable[[], Awaitable[bytes]]


def report(row: str, pillion: float, unit: str, goal: str, met: bool | None, peer: float | None = None) -> None:
    """Prints a figure. `met` is none where there is no goal."""
    ours, theirs = (None if figure is None else round(figure, 2) for figure in (pillion, peer))
    figure = {"row": row, "pillion": ours, "peer": theirs, "unit": unit, "goal": goal, "met": met}
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def compare(
    row: str,
    figures: list[tuple[float, float]],
    unit: str,
    goal: str = "",
    met: Callable[[float], bool] | None = None,
) -> None:
    """Prints the medians of pairs of figures, each pair of one round; the goal is about the median of their ratios."""
    ours, theirs = (median(side) for side in zip(*figures, strict=True))
    report(row, ours, unit, goal, met and met(median(mine / peer for mine, peer in figures)), theirs)


def stock(channel: grpc.Channel | grpc.aio.Channel) -> Callable[[], Awaitable[typing.Any] | typing.Any]:
    """What calls `Get` as a generated stub does; a stub itself would be a second package `pillion`."""
    from google.protobuf import descriptor_pb2, message_factory
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "protos"
        well_known = Path(protoc.__file__).parent / "_proto"
        include = [f"-I{PROTOS}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={compiled}"]
        if protoc.main(["", *include, "pillion/state/v1/state.proto"]):
            sys.exit("protoc cannot compile the protos")
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    messages = message_factory.GetMessages(files.file)
    request, response = (messages[f"pillion.state.v1.Get{side}"] for side in ("Request", "Response"))
    call = channel.unary_unary(
        "/pillion.state.v1.StateService/Get",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    return lambda: call(request(key=KEY))


async def latency(call: Call, seconds: float) -> float:
    """The median of one call at a time, in microseconds."""
    took = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        await call()
        took.append(time.perf_counter() - begin)
    return median(took) * 1e6


async def throughput(call: Call, seconds: float) -> float:
    """Calls a second with 64 in flight."""
    calls, begin = 0, time.perf_counter()
    end = begin + seconds

    async def caller() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            await call()
            calls += 1

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return calls / (time.perf_counter() - begin)


async def remote(where: str, endpoint: str, target: str, seconds: float, rounds: int) -> None:
    """The rows of a sidecar."""
    async with aio.connect(endpoint) as p, grpc.aio.insecure_channel(target, OPTIONS) as channel:
        await p.state.set(KEY, VALUE)
        get = stock(channel)

        async def ours() -> bytes:
            return await p.state.get(KEY)

        async def theirs() -> bytes:
            return (await get()).entry.value.data

        assert await ours() == await theirs() == VALUE
        row = f"remote get over {where}"
        for measure, how, unit, goal, met in [
            (throughput, f"{IN_FLIGHT} in flight", "calls/s", "≥ 2 ×", lambda ratio: ratio >= 2),
            (latency, "1 in flight, p50", "µs", "≤ 0.7 ×", lambda ratio: ratio <= 0.7),
        ]:
            await measure(ours, seconds / 4), await measure(theirs, seconds / 4)
            figures = [(await measure(ours, seconds), await measure(theirs, seconds)) for _ in range(rounds)]
            compare(f"{row}, {how}", figures, unit, goal, met)


def blocking(where: str, endpoint: str, target: str, seconds: float, rounds: int) -> None:
    """The row of a sidecar without an event loop."""

    def took(call: Callable[[], bytes]) -> float:
        times, end = [], time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            call()
            times.append(time.perf_counter() - begin)
        return median(times) * 1e6

    with pillion.connect(endpoint) as p, grpc.insecure_channel(target, OPTIONS) as channel:
        get = stock(channel)
        figures = [(took(lambda: p.state.get(KEY)), took(lambda: get().entry.value.data)) for _ in range(rounds)]
        compare(f"remote get over {where}, blocking, p50", figures, "µs")


def in_process(seconds: float, rounds: int) -> None:
    """The rows of a runtime in this process."""
    batch = 200

    def measured(run: Callable[[], float]) -> float:
        figures, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            figures.append(run() / batch * 1e6)
        return median(figures)

    with pillion.embedded() as p:
        p.state.set(KEY, VALUE)
        state, api = p.state, p.apis.state

        def batch_of(call: Callable[[str], object]) -> Callable[[], float]:
            def run() -> float:
                begin = time.perf_counter()
                for _ in range(batch):
                    call(KEY)
                return time.perf_counter() - begin

            return run

        for row, call in [("in-process get", state.get), ("in-process apis.state.get", api.get)]:
            took = median(measured(batch_of(call)) for _ in range(rounds))
            report(row, took, "µs", "≤ 5 µs", took <= 5)

    async def awaited() -> None:
        async with aio.embedded() as p:
            await p.state.set(KEY, VALUE)
            for row, call in [("in-process get", p.state.get), ("in-process apis.state.get", p.apis.state.get)]:
                figures, end = [], time.perf_counter() + seconds * rounds
                while time.perf_counter() < end:
                    begin = time.perf_counter()
                    for _ in range(batch):
                        await call(KEY)
                    figures.append((time.perf_counter() - begin) / batch * 1e6)
                took = median(figures)
                report(f"{row}, awaited", took, "µs", "≤ 5 µs", took <= 5)

    asyncio.run(awaited())


def fresh(source: str) -> str:
    """What a program prints in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True, timeout=60).stdout


def import_time() -> None:
    """How much longer an interpreter takes that imports the package."""

    def took(source: str) -> float:
        begin = time.perf_counter()
        fresh(source)
        return (time.perf_counter() - begin) * 1e3

    took("import pillion")
    pairs = [(took("import pillion"), took("pass")) for _ in range(PROCESSES)]
    grown = median(mine for mine, _ in pairs) - median(bare for _, bare in pairs)
    report("import", grown, "ms", "≤ 50 ms", grown <= 50)


MEMORY = """
import time
{}
time.sleep(0.5)
with open("/proc/self/smaps_rollup") as file:
    print(next(line.split()[1] for line in file if line.startswith("Pss:")))
"""


def memory() -> None:
    """How much more memory an interpreter has that holds an idle runtime."""
    if not os.path.exists("/proc/self/smaps_rollup"):
        return

    def megabytes(source: str) -> float:
        return int(fresh(MEMORY.format(source))) / 1024

    pairs = [(megabytes("import pillion; p = pillion.embedded()"), megabytes("")) for _ in range(5)]
    grown = median(mine for mine, _ in pairs) - median(bare for _, bare in pairs)
    report("memory of an idle embedded runtime, above the bare interpreter", grown, "MB", "≤ 8 MB", grown <= 8)


def main() -> None:
    """Measures what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", help="a sidecar to measure, as http://HOST:PORT")
    parser.add_argument("--unix", metavar="PATH", help="the Unix socket of the same sidecar")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long one measurement takes")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two sides take turns")
    parser.add_argument("--package", metavar="FILE", help="a wheel, for its size")
    given = parser.parse_args()

    places = []
    if given.endpoint:
        places.append(("TCP", given.endpoint, given.endpoint.removeprefix("http://")))
    if given.unix:
        path = given.unix.removeprefix("unix://")
        places.append(("a Unix socket", f"unix://{path}", f"unix:{path}"))
    for place in places:
        asyncio.run(remote(*place, given.seconds, given.rounds))
        blocking(*place, given.seconds, given.rounds)
    in_process(given.seconds, given.rounds)
    import_time()
    memory()
    if given.package:
        size = Path(given.package).stat().st_size / 1e6
        report("wheel", size, "MB", "≤ 8 MB", size <= 8)


if __name__ == "__main__":
    main()
