"""What calls do to the event loop they are made in: they never keep it from its other work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

import pillion
from conftest import Sidecar, program
from pillion import aio
from pillion_shapes import ActRequestAct, CollectRequest, ConverseRequest

BATCH = 128
"""How many waiting calls are woken before the loop has its turn; see `queue.rs`."""


@contextlib.asynccontextmanager
async def through_the_loop(sidecar: Sidecar) -> AsyncIterator[str]:
    """A way to the sidecar that leads through this loop: nothing arrives while somebody blocks it."""

    writers = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", sidecar.port)
        await asyncio.gather(forward(reader, back), forward(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


CALLS: dict[str, Callable[[aio.Pillion], Awaitable[object]]] = {
    "set": lambda p: p.state.set("k", "v"),
    "get": lambda p: p.state.get("k"),
    "set_many": lambda p: p.state.set_many({f"k{index}": index for index in range(100)}),
    "get_many": lambda p: p.state.get_many(["k", "l"]),
    "delete": lambda p: p.state.delete("k"),
    "list": lambda p: collected(p.state.list("k", page_size=25)),
    "keys": lambda p: collected(p.state.keys("k", page_size=25)),
    "watch": lambda p: first(p.state.watch("k")),
    "status": lambda p: p.apis.actuator.get_status(),
    "wait_ready": lambda p: p.wait_ready(),
}


async def collected(stream):
    return [found async for found in stream]


async def first(stream):
    async with stream:
        return await anext(stream)


@pytest.mark.parametrize("call", CALLS)
def test_no_call_blocks_the_loop(call, shared_sidecar):
    """One that did would never be answered, since its answer comes through the loop."""

    async def main():
        async with through_the_loop(shared_sidecar) as url, aio.connect(url, retries=0, timeout=20) as p:
            for _ in range(3):
                await CALLS[call](p)

    asyncio.run(main())


def test_no_stream_blocks_the_loop():
    """The sidecar's half of these calls is this loop's other task, by way of the virtual clock."""

    async def main():
        async with aio.embedded(testing=True) as p:

            async def clock():
                while True:
                    await p.apis.testing.advance_clock(1)
                    await asyncio.sleep(0)

            ticking = asyncio.create_task(clock())
            calls = (p.apis.shapes.act(ActRequestAct.ANSWER, after=60, timeout=30) for _ in range(50))
            await asyncio.gather(*calls)
            assert len([message async for message in p.apis.shapes.expand(5, every=10, timeout=30)]) == 5
            ticking.cancel()
            # More than an upload holds: its sender waits for the other side.
            async with p.apis.shapes.collect() as upload:
                for _ in range(100):
                    await upload.send(CollectRequest(CollectRequest.Chunk(b"ab")))
                await upload.send(CollectRequest(CollectRequest.Total(200)))
                assert (await upload.finish()).received == 200

    asyncio.run(main())


def test_a_burst_of_answers_is_taken_in_turns():
    """However many calls end at once, other tasks come in between."""
    calls = 8 * BATCH

    async def main():
        async with aio.embedded(testing=True) as p:
            woken, between, waiting = 0, [], True

            async def one():
                nonlocal woken
                await p.apis.shapes.act(ActRequestAct.ANSWER, after=60)
                woken += 1

            async def other():
                seen = 0
                while waiting:
                    between.append(woken - seen)
                    seen = woken
                    await asyncio.sleep(0)

            tasks = [asyncio.create_task(one()) for _ in range(calls)]
            while (await p.apis.shapes.count()).open < calls:
                await asyncio.sleep(0)
            watching = asyncio.create_task(other())
            await p.apis.testing.advance_clock(60)
            # While nobody is woken, all the others end, too.
            while (await p.apis.shapes.count()).open:
                time.sleep(0.001)
            await asyncio.gather(*tasks)
            waiting = False
            await watching
            assert sum(between) <= calls
            assert max(between) <= BATCH

    asyncio.run(main())


def test_calls_that_need_no_waiting_do_not_starve_others():
    async def main():
        async with aio.embedded() as p:
            await p.state.set("k", "v")
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            for _ in range(6400):
                await p.apis.state.get("k")
            task.cancel()
            # One turn for every 64 calls.
            assert turns >= 90

    asyncio.run(main())


class Interrupted:
    """An awaitable that is cancelled when it has waited `steps` times, before or after it was woken."""

    def __init__(self, work: Awaitable[object], steps: int, woken: bool) -> None:
        self.work, self.steps, self.woken, self.reached = work, steps, woken, False

    def __await__(self):
        inner = self.work.__await__()
        for step in range(self.steps):
            try:
                waits_for = inner.send(None)
            except StopIteration as done:
                return done.value
            if step + 1 == self.steps and not self.woken:
                break
            yield waits_for
        self.reached = True
        try:
            waits_for = inner.throw(asyncio.CancelledError())
            while True:
                yield waits_for
                waits_for = inner.send(None)
        except StopIteration:
            raise AssertionError("it went on after it was cancelled") from None


WORK: dict[str, Callable[[aio.Pillion], Awaitable[object]]] = {
    **CALLS,
    "stream": lambda p: collected(p.apis.shapes.expand(3, every=0.001)),
    "upload": lambda p: uploaded(p),
    "conversation": lambda p: conversed(p),
}


async def uploaded(p):
    async with p.apis.shapes.collect() as upload:
        for _ in range(20):
            await upload.send(CollectRequest(CollectRequest.Chunk(b"ab")))
        await upload.send(CollectRequest(CollectRequest.Total(40)))
        return await upload.finish()


async def conversed(p):
    async with p.apis.shapes.converse() as talk:
        await talk.send(ConverseRequest("hello"))
        await anext(talk)
        talk.finish()
        return [message async for message in talk]


@pytest.mark.parametrize("woken", [False, True], ids=["while it waits", "when it was woken"])
@pytest.mark.parametrize("work", WORK)
def test_cancelling_at_every_step_leaves_a_usable_runtime(work, woken, shared_sidecar):
    async def main():
        async with aio.connect(shared_sidecar.url, retries=0) as p:
            await p.state.set("k", "v")
            steps, reached = 0, True
            while reached:
                attempt = Interrupted(WORK[work](p), steps, woken)
                try:
                    await attempt
                except asyncio.CancelledError:
                    assert attempt.reached
                reached = attempt.reached
                steps += 1
                # Another key: a write that is given up may still take effect, and later than this one.
                await p.state.set("other", steps)
                assert await p.state.get("other") == steps
            assert steps > 1
            # Where they ran, the cancelled calls are gone.
            while (await p.apis.shapes.count()).open:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_opening_and_closing_can_be_cancelled():
    async def main():
        for steps in range(4):
            for work in (aio.embedded, aio.open):
                with contextlib.suppress(asyncio.CancelledError):
                    p = await Interrupted(work(), steps, False)
                    with contextlib.suppress(asyncio.CancelledError):
                        await Interrupted(p.close(), steps, False)
                    await p.close()
                    with pytest.raises(pillion.UnavailableError):
                        await p.state.get("k")

    asyncio.run(main())


def test_a_loop_that_cannot_watch_sockets_is_told_all_the_same(shared_sidecar):
    """Windows' own loop is such a one."""
    done = program(
        """
        import asyncio, gc, sys, threading, time
        from pillion import aio

        class Loop(asyncio.SelectorEventLoop):
            def add_reader(self, *_):
                raise NotImplementedError

        async def main():
            async with aio.connect(sys.argv[1]) as p:
                await asyncio.gather(*(p.state.set(f"k{n}", n) for n in range(200)))
                assert len(await p.state.get_many([f"k{n}" for n in range(200)])) == 200

        loop = Loop()
        loop.run_until_complete(main())
        loop.close()
        del loop
        gc.collect()
        deadline = time.monotonic() + 30
        while threading.active_count() > 1:
            assert time.monotonic() < deadline, "its thread stays"
            time.sleep(0.01)
        """,
        shared_sidecar.url,
    )
    assert done.returncode == 0, done.stderr
