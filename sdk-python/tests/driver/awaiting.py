"""The driver over `pillion.aio`."""

from __future__ import annotations

import asyncio
import sys
import typing
from datetime import timedelta

from driver import codec
from driver.main import CANCELLED, END, Json, answer, invalid, method, no_clock, options, read, refused
from driver.model import Method
from pillion import PillionError, aio


async def run(arguments: list[str]) -> None:
    """Obeys until the end of stdin."""
    match arguments:
        case ["--endpoint", url]:
            p = await aio.connect(url, retries=0)
        case ["--embedded", file]:
            p = await aio.embedded(config_file=file, testing=True)
        case ["--memory"]:
            p = await aio.embedded(testing=True)
        case _:
            p = await aio.open()
    async with p:
        driver = Driver(p, movable=arguments[:1] != ["--endpoint"])
        reader = asyncio.StreamReader(limit=1 << 30)
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await reader.readline():
            command = read(line.decode())
            if command is not None:
                driver.begin(command)
        await asyncio.gather(*driver.tasks.values(), return_exceptions=True)


class Driver:
    """Calls and streams that are under way."""

    def __init__(self, p: aio.Pillion, movable: bool) -> None:
        self.p = p
        self.movable = movable
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.streams: dict[int, Stream] = {}

    def begin(self, command: dict[str, Json]) -> None:
        """Obeys a command in a task of its own."""
        identity = command["id"]
        self.tasks[identity] = asyncio.create_task(self.obey(identity, command))

    async def obey(self, identity: int, command: dict[str, Json]) -> None:
        """Obeys a command and answers it."""
        try:
            work = self.command(identity, command)
            if command.get("cancel_after") is not None:
                result = await asyncio.wait_for(work, command["cancel_after"] / 1000)
            else:
                result = await work
        except (asyncio.CancelledError, asyncio.TimeoutError) as error:
            result = refused(error) if isinstance(error, PillionError) else CANCELLED
        except Exception as error:
            result = refused(error)
        finally:
            self.tasks.pop(identity, None)
        answer(identity, result)

    async def command(self, identity: int, command: dict[str, Json]) -> Json:
        """What a command comes to."""
        match command:
            case {"open": call}:
                self.streams[identity] = await self.open(call)
                return {}
            case {"next": stream}:
                return await self.stream(stream).next()
            case {"send": stream, "message": message}:
                return await self.stream(stream).send(message)
            case {"finish": stream}:
                return await self.stream(stream).finish()
            case {"fail": stream}:
                await self.stream(stream).call.abort()
                return {}
            case {"close": stream}:
                self.stream(stream).close()
                del self.streams[stream]
                return {}
            case {"cancel": other}:
                if other in self.tasks:
                    self.tasks[other].cancel()
                return {}
            case {"advance": milliseconds}:
                return await self.advance(milliseconds)
            case {"api": _, "method": _}:
                return await self.call(command)
        raise invalid("there is no such command")

    def stream(self, identity: int) -> Stream:
        """The stream of this name."""
        if identity not in self.streams:
            raise invalid(f"there is no open stream {identity}")
        return self.streams[identity]

    def prepare(self, call: Json, found: Method, *, unary: bool) -> typing.Any:
        """The call that a program makes."""
        if (found.shape == "unary") is not unary:
            raise invalid(f"{found.name} has {'a' if unary else 'no'} stream")
        function = getattr(getattr(self.p.apis, found.api), found.name)
        if found.shape in ("upload", "duplex"):
            return function(**options(call))
        return function(**codec.parameters(found, call.get("args", {})), **options(call))

    async def call(self, call: Json) -> Json:
        """A call with one request and one answer."""
        found = method(call)
        return codec.show(found.answer, await self.prepare(call, found, unary=True))

    async def open(self, call: Json) -> Stream:
        """Begins a call with a stream."""
        found = method(call)
        made = self.prepare(call, found, unary=False)
        return Stream(found, await made if found.shape == "stream" else made)

    async def advance(self, milliseconds: int) -> Json:
        """Moves the clock."""
        if not self.movable:
            raise no_clock()
        await self.p.apis.testing.advance_clock(by=timedelta(milliseconds=milliseconds))
        return {}


class Stream:
    """A call with a stream."""

    def __init__(self, found: Method, call: typing.Any) -> None:
        self.method = found
        self.call = call
        self.ended = False
        self.closed = False

    async def next(self) -> Json:
        """The next message."""
        if self.ended:
            return END
        try:
            message = await (self.call.finish() if self.method.shape == "upload" else anext(self.call))
        except StopAsyncIteration:
            self.ended = True
            return CANCELLED if self.closed else END
        except PillionError:
            self.ended = True
            if self.closed:
                return CANCELLED
            raise
        self.ended = self.method.shape == "upload"
        return codec.show(self.method.answer, message)

    async def send(self, message: Json) -> Json:
        """Sends a message."""
        if self.method.shape == "stream":
            raise invalid("nothing can be sent on this stream")
        await self.call.send(codec.build(self.method.request, message))
        return {}

    async def finish(self) -> Json:
        """Ends the sending side."""
        if self.method.shape == "upload":
            return await self.next()
        self.call.finish()
        return {}

    def close(self) -> None:
        """Drops the call."""
        self.closed = True
        self.call.close()
