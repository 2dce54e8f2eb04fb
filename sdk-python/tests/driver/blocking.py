"""The driver over `pillion`: every command has a thread."""

from __future__ import annotations

import sys
import threading
import typing
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pillion
from driver import codec
from driver.main import CANCELLED, END, Json, answer, invalid, method, no_clock, options, read, refused
from driver.model import Method
from pillion import CancelToken, PillionError

CONCURRENT = 256
"""Commands under way at once; the next one begins when one ends."""


def run(arguments: list[str]) -> None:
    """Obeys until the end of stdin."""
    match arguments:
        case ["--endpoint", url]:
            p = pillion.connect(url, retries=0)
        case ["--embedded", file]:
            p = pillion.embedded(config_file=file, testing=True)
        case ["--memory"]:
            p = pillion.embedded(testing=True)
        case _:
            p = pillion.open()
    with p:
        driver = Driver(p, movable=arguments[:1] != ["--endpoint"])
        with ThreadPoolExecutor(CONCURRENT) as threads:
            for line in sys.stdin:
                command = read(line)
                if command is not None:
                    # Before the next line is read, which may cancel it.
                    running = driver.running[command["id"]] = Running()
                    threads.submit(driver.obey, command["id"], command, running)


class Running:
    """A command under way."""

    def __init__(self) -> None:
        self.token = CancelToken()
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        """Gives it up: the call by its token, the wait for a message by waiting no longer."""
        self.cancelled.set()
        self.token.cancel()


class Driver:
    """Calls and streams that are under way."""

    def __init__(self, p: pillion.Pillion, movable: bool) -> None:
        self.p = p
        self.movable = movable
        self.running: dict[int, Running] = {}
        self.streams: dict[int, Stream] = {}

    def obey(self, identity: int, command: dict[str, Json], running: Running) -> None:
        """Obeys a command and answers it."""
        timer = None
        if command.get("cancel_after") is not None:
            timer = threading.Timer(command["cancel_after"] / 1000, running.cancel)
            timer.start()
        try:
            result = self.command(identity, command, running)
        except Exception as error:
            given_up = running.cancelled.is_set() and getattr(error, "reason", "") == "request.cancelled"
            result = CANCELLED if given_up else refused(error)
        finally:
            self.running.pop(identity, None)
            if timer is not None:
                timer.cancel()
        answer(identity, result)

    def command(self, identity: int, command: dict[str, Json], running: Running) -> Json:
        """What a command comes to."""
        match command:
            case {"open": call}:
                self.streams[identity] = self.open(call, running)
                return {}
            case {"next": stream}:
                return self.stream(stream).next(running)
            case {"send": stream, "message": message}:
                return self.stream(stream).send(message)
            case {"finish": stream}:
                return self.stream(stream).finish(running)
            case {"fail": stream}:
                self.stream(stream).call.abort()
                return {}
            case {"close": stream}:
                self.stream(stream).close()
                del self.streams[stream]
                return {}
            case {"cancel": other}:
                if other in self.running:
                    self.running[other].cancel()
                return {}
            case {"advance": milliseconds}:
                return self.advance(milliseconds)
            case {"api": _, "method": _}:
                return self.call(command, running)
        raise invalid("there is no such command")

    def stream(self, identity: int) -> Stream:
        """The stream of this name."""
        if identity not in self.streams:
            raise invalid(f"there is no open stream {identity}")
        return self.streams[identity]

    def prepare(self, call: Json, found: Method, running: Running, *, unary: bool) -> typing.Any:
        """Makes the call as a program does."""
        if (found.shape == "unary") is not unary:
            raise invalid(f"{found.name} has {'a' if unary else 'no'} stream")
        function = getattr(getattr(self.p.apis, found.api), found.name)
        beside = options(call)
        if unary:
            beside["cancel"] = running.token
        if found.shape in ("upload", "duplex"):
            return function(**beside)
        return function(**codec.parameters(found, call.get("args", {})), **beside)

    def call(self, call: Json, running: Running) -> Json:
        """A call with one request and one answer."""
        found = method(call)
        return codec.show(found.answer, self.prepare(call, found, running, unary=True))

    def open(self, call: Json, running: Running) -> Stream:
        """Begins a call with a stream."""
        found = method(call)
        return Stream(found, self.prepare(call, found, running, unary=False))

    def advance(self, milliseconds: int) -> Json:
        """Moves the clock."""
        if not self.movable:
            raise no_clock()
        self.p.apis.testing.advance_clock(by=timedelta(milliseconds=milliseconds))
        return {}


class Stream:
    """A call with a stream. A thread of its own fetches messages, so that waiting for one can be given up."""

    def __init__(self, found: Method, call: typing.Any) -> None:
        self.method = found
        self.call = call
        self.ended = False
        self.closed = False
        self.fetching: threading.Thread | None = None
        self.fetched: Json = None
        self.turn = threading.Lock()

    def next(self, running: Running) -> Json:
        """The next message."""
        with self.turn:
            if self.ended:
                return END
            if self.fetching is None:
                self.fetching = threading.Thread(target=self.fetch, daemon=True)
                self.fetching.start()
            while self.fetching.is_alive():
                if running.cancelled.is_set():
                    return CANCELLED
                self.fetching.join(0.002)
            self.fetching = None
            if isinstance(self.fetched, StopIteration):
                self.ended = True
                return CANCELLED if self.closed else END
            if isinstance(self.fetched, Exception):
                self.ended = True
                if self.closed:
                    return CANCELLED
                raise self.fetched
            self.ended = self.method.shape == "upload"
            return codec.show(self.method.answer, self.fetched)

    def fetch(self) -> None:
        """Waits for the next message."""
        try:
            self.fetched = self.call.finish() if self.method.shape == "upload" else next(self.call)
        except (PillionError, StopIteration) as end:
            self.fetched = end

    def send(self, message: Json) -> Json:
        """Sends a message."""
        if self.method.shape == "stream":
            raise invalid("nothing can be sent on this stream")
        self.call.send(codec.build(self.method.request, message))
        return {}

    def finish(self, running: Running) -> Json:
        """Ends the sending side."""
        if self.method.shape == "upload":
            return self.next(running)
        self.call.finish()
        return {}

    def close(self) -> None:
        """Drops the call."""
        self.closed = True
        self.call.close()
