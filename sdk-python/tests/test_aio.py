"""`pillion.aio`, and the bridge to event loops."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest
import trio
import uvloop

import pillion
from conftest import eventually, program
from pillion import aio
from pillion_shapes import ActRequestAct, CollectRequest, ConverseRequest

LOOPS = {
    "asyncio": lambda main: asyncio.run(main()),
    "uvloop": lambda main: uvloop.run(main()),
    "trio": lambda main: trio.run(main),
    "anyio on asyncio": lambda main: anyio.run(main, backend="asyncio"),
    "anyio on trio": lambda main: anyio.run(main, backend="trio"),
}


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine function in each loop that we say we work in."""
    return LOOPS[request.param]


def test_the_same_calls_to_be_awaited(run):
    async def main():
        async with aio.embedded() as p:
            etag = await p.state.set("cart:42", {"items": 3})
            assert await p.state.get("cart:42") == {"items": 3}
            assert (await p.state.get_entry("cart:42")).etag == etag
            assert [entry.key async for entry in p.state.list("cart:")] == ["cart:42"]
            await p.state.set("cart:42", {"items": 4})
            with pytest.raises(pillion.ConflictError):
                await p.state.delete("cart:42", if_match=etag)
            assert await p.state.delete("cart:42")

    run(main)


def test_calls_that_wait_are_woken(run):
    async def main():
        async with aio.embedded() as p:
            for _ in range(20):
                await p.apis.shapes.act(ActRequestAct.ANSWER, after=0.001)

    run(main)


def test_calls_reach_a_sidecar(run, sidecar):
    async def main():
        async with aio.connect(sidecar.url) as p:
            await p.wait_ready()
            for index in range(20):
                await p.state.set(f"k{index}", index)
            assert len([key async for key in p.state.keys()]) == 20

    run(main)


def test_many_calls_at_once(sidecar):
    async def main():
        async with aio.connect(sidecar.url) as p:
            await asyncio.gather(*(p.state.set(f"k{index}", index) for index in range(500)))
            found = await asyncio.gather(*(p.state.get(f"k{index}") for index in range(500)))
            assert found == list(range(500))

    asyncio.run(main())


def test_calls_are_coroutines():
    async def main():
        async with aio.embedded() as p:
            await p.state.set("k", 1)
            task = asyncio.create_task(p.apis.state.get("k"))
            assert (await task).entry is not None
            call = p.apis.state.get("k")
            await call
            with pytest.raises(RuntimeError):
                await call

    asyncio.run(main())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_cancelling_drops_the_call_where_it_runs(loop):
    async def main():
        async with aio.embedded() as p:
            task = asyncio.create_task(p.apis.shapes.act(ActRequestAct.ANSWER, after=600))
            while (await p.apis.shapes.count()).open == 0:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while (await p.apis.shapes.count()).dropped == 0:
                await asyncio.sleep(0.001)
            with pytest.raises((asyncio.TimeoutError, TimeoutError)):
                await asyncio.wait_for(p.apis.shapes.act(ActRequestAct.ANSWER, after=600), 0.01)
            while (await p.apis.shapes.count()).dropped != 2:
                await asyncio.sleep(0.001)

    LOOPS[loop](main)


def test_cancelling_in_trio():
    async def main():
        async with aio.embedded() as p:
            with trio.move_on_after(0.05) as scope:
                await p.apis.shapes.act(ActRequestAct.ANSWER, after=600)
            assert scope.cancelled_caught
            while (await p.apis.shapes.count()).dropped == 0:
                await trio.sleep(0.001)

    trio.run(main)


def test_a_token_cancels_from_another_thread(p):
    import threading

    token = pillion.CancelToken()
    threading.Timer(0.05, token.cancel).start()
    with pytest.raises(pillion.CancelledError) as caught:
        p.apis.shapes.act(ActRequestAct.ANSWER, after=600, cancel=token)
    assert (caught.value.reason, caught.value.outcome) == ("request.cancelled", "unknown")
    assert token.cancelled
    eventually(lambda: p.apis.shapes.count().dropped == 1)


def test_a_blocking_call_in_a_running_loop_is_refused_with_advice(run, p):
    async def main():
        with pytest.raises(pillion.InvalidError, match="event loop") as caught:
            p.state.get("k")
        assert "pillion.aio" in caught.value.advice and "to_thread" in caught.value.advice
        assert await anyio.to_thread.run_sync(p.state.get, "k") is None

    run(main)
    assert p.state.get("k") is None


def test_opening_can_be_awaited_and_entered(run):
    async def main():
        async with aio.open() as p:
            await p.state.set("k", "v")
        assert p.closed
        p = await aio.embedded()
        async with p:
            assert await p.state.get("k") is None
        assert p.closed
        with pytest.raises(pillion.InvalidError):
            async with aio.connect("nonsense"):
                pass

    run(main)


def test_a_call_that_is_not_awaited_warns():
    async def main():
        async with aio.embedded() as p:
            with pytest.warns(RuntimeWarning, match="never awaited"):
                p.apis.state.get("k")
            with pytest.warns(RuntimeWarning, match="never awaited"):
                aio.open()
            call = p.apis.state.get("k")
            call.close()

    asyncio.run(main())


def test_a_loop_that_is_closed_first_does_no_harm():
    loop = asyncio.new_event_loop()
    p = loop.run_until_complete(aio.embedded())
    task = loop.create_task(p.apis.shapes.act(ActRequestAct.ANSWER, after=0.05))
    loop.run_until_complete(asyncio.sleep(0.01))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    time.sleep(0.1)

    async def again():
        await p.state.set("k", "v")
        await p.close()

    asyncio.run(again())


def test_streams():
    async def main():
        async with aio.embedded() as p:
            assert [message.index async for message in p.apis.shapes.expand(3)] == [0, 1, 2]
            async with p.apis.shapes.expand(5) as stream:
                assert (await anext(stream)).index == 0
            assert [message async for message in stream] == []

            async with p.apis.shapes.collect() as upload:
                for _ in range(40):
                    await upload.send(CollectRequest(CollectRequest.Chunk(b"ab")))
                await upload.send(CollectRequest(CollectRequest.Total(80)))
                assert (await upload.finish()).received == 80

            async with p.apis.shapes.converse() as talk:
                await talk.send(ConverseRequest("hello"))
                assert (await anext(talk)).text == "HELLO"
                talk.finish()
                assert [message async for message in talk] == []

    asyncio.run(main())


def test_closing_a_stream_wakes_who_waits_for_it():
    async def main():
        async with aio.embedded() as p:
            stream = await p.apis.state.watch(prefix="k")
            while type((await anext(stream)).event).__name__ != "Synced":
                pass
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.01)
            stream.close()
            with pytest.raises(StopAsyncIteration):
                await task

    asyncio.run(main())


def test_import_starts_nothing():
    done = program(
        """
        import sys, threading, os
        before = len(os.listdir("/proc/self/task"))
        import pillion
        assert len(os.listdir("/proc/self/task")) == before, "a thread"
        for name in ("logging", "asyncio", "json", "opentelemetry", "pydantic", "msgspec", "trio"):
            assert name not in sys.modules, name
        """
    )
    assert done.returncode == 0, done.stderr
