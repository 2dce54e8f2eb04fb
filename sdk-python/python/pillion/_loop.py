"""The event loops: how a call that waits is woken in each."""

from __future__ import annotations

import typing
import weakref
from asyncio import events

from pillion import _native

if typing.TYPE_CHECKING:
    from collections.abc import Callable

_queues: weakref.WeakKeyDictionary[typing.Any, typing.Any] = weakref.WeakKeyDictionary()
"""One queue for each loop; it goes when the loop goes."""


def wait() -> tuple[typing.Any, typing.Any, typing.Any]:
    """What the running task has to wait for.

    Returns:
        The queue that wakes it, and either the future that a task of asyncio yields, or an awaitable
        that ends when the function beside it was called.
    """
    loop = events._get_running_loop()
    if loop is not None:
        queue = _queues.get(loop)
        if queue is None:
            queue = _queues[loop] = _attach(loop)
        return queue, loop.create_future(), None
    return _wait_in_trio()


def turn() -> typing.Any:
    """What gives other tasks their turn; none where a bare yield does."""
    if events._get_running_loop() is not None:
        return None
    import trio

    return _steps(trio.lowlevel.cancel_shielded_checkpoint())


def _attach(loop: typing.Any) -> typing.Any:
    queue = _native.Queue()
    try:
        loop.add_reader(queue.fileno(), queue.drain)
    except NotImplementedError:
        _attach_by_thread(loop, queue)
    return queue


def _attach_by_thread(loop: typing.Any, queue: typing.Any) -> None:
    """For loops that cannot watch a socket, as the usual one of Windows: a thread does, and ends with the loop."""
    import contextlib
    import select
    import threading

    present, drained = weakref.ref(loop), threading.Event()

    def drain() -> None:
        queue.drain()
        drained.set()

    def alive() -> bool:
        loop = present()
        return loop is not None and not loop.is_closed()

    def watch() -> None:
        while alive():
            if select.select([queue.fileno()], [], [], 1.0)[0]:
                with contextlib.suppress(AttributeError, RuntimeError):
                    # Either says that the loop is gone.
                    typing.cast("typing.Any", present()).call_soon_threadsafe(drain)
                    drained.wait(1.0)
                    drained.clear()

    threading.Thread(target=watch, name="pillion-wakes", daemon=True).start()


def _wait_in_trio() -> tuple[typing.Any, typing.Any, typing.Any]:
    try:
        import trio

        token = trio.lowlevel.current_trio_token()
    except (ImportError, RuntimeError):
        raise RuntimeError("there is no running event loop: await this in asyncio or trio") from None
    queue = _queues.get(token)
    if queue is None:
        queue = _queues[token] = _native.Queue()
        trio.lowlevel.spawn_system_task(_listen, queue)
    task = trio.lowlevel.current_task()
    waiting = True

    def wake() -> None:
        nonlocal waiting
        if waiting:
            waiting = False
            trio.lowlevel.reschedule(task)

    def abort(_: Callable[[], None]) -> typing.Any:
        nonlocal waiting
        waiting = False
        return trio.lowlevel.Abort.SUCCEEDED

    return queue, None, (_steps(trio.lowlevel.wait_task_rescheduled(abort)), wake)


async def _listen(queue: typing.Any) -> None:
    import trio

    while True:
        await trio.lowlevel.wait_readable(queue.fileno())
        queue.drain()


def _steps(awaitable: typing.Any) -> typing.Any:
    """The awaitable as something that `send` and `throw` move on."""

    async def steps() -> None:
        await awaitable

    return steps()
