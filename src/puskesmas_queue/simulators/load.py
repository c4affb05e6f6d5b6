"""
Many HTTP clients in one thread, as cheap as Python makes them: what is measured is the server.

Each client keeps one connection and sends its next request when the answer to the last is whole,
or when the request is due.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from urllib.parse import urlsplit

from puskesmas_queue.simulators.summary import percentile

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
LOCATION = b"location: "
CONNECTION = b"connection: "

Make = Callable[[int, int], bytes]
"""Writes the whole request of a client (0 …) and a number (0 …)."""


@dataclass(slots=True)
class Answer:
    """One request that was answered; `location` is where it redirected to."""

    seconds: float
    status: int
    location: str


@dataclass(slots=True)
class Run:
    """What came of a run; `lost` are requests whose connection broke before the answer."""

    seconds: float
    answers: list[Answer] = field(default_factory=list)
    lost: int = 0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.answers) / self.seconds

    @property
    def p50_ms(self) -> float:
        """Median time of an answer, milliseconds."""
        return percentile([answer.seconds for answer in self.answers], 50) * 1000

    @property
    def p99_ms(self) -> float:
        """99th percentile of the time of an answer, milliseconds."""
        return percentile([answer.seconds for answer in self.answers], 99) * 1000


def run(
    url: str,
    clients: int,
    make: Make,
    *,
    requests: int | None = None,
    rate: float | None = None,
    seconds: float | None = None,
) -> Run:
    """
    Send requests from many clients at once, until all are sent or the time is over.

    Args:
        url: The server.
        clients: How many connections.
        make: Writes the requests.
        requests: How many in all; None for as many as the time allows.
        rate: Requests a second in all. An answer's time then counts from when its request was
            due, so that a server that stands still is not asked less and looks no better for it.
            None: each client asks again as soon as it was answered.
        seconds: How long; None until all requests are answered.
    """
    plan = _Plan(requests, rate, seconds)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(url, clients, make, plan))


class _Plan:
    """Says which request comes next and when it is due, seconds since the start."""

    def __init__(self, requests: int | None, rate: float | None, seconds: float | None) -> None:
        self.is_paced = rate is not None
        self.started = 0.0
        self._seconds = seconds
        self._rate = rate
        self._numbers: Iterator[int] = (
            itertools.count() if requests is None else iter(range(requests))
        )

    def next(self) -> tuple[int, float] | None:
        number = next(self._numbers, None)
        if number is None:
            return None
        due = time.perf_counter() - self.started if self._rate is None else number / self._rate
        if self._seconds is not None and due >= self._seconds:
            return None
        return number, due


class _Client(asyncio.Protocol):
    def __init__(
        self,
        host: tuple[str, int],
        plan: _Plan,
        make: Callable[[int], bytes],
        run: Run,
    ) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = host
        self._plan = plan
        self._make = make
        self._run = run
        self._buffer = b""
        self._since = 0.0
        self._request: bytes | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._is_closing = False
        self._connecting: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = transport  # type: ignore[assignment]
        if self._request is None:
            self.take()
        else:
            self._write()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        head = self._buffer[: end + 2]
        whole = end + 4 + int(_value(head, LENGTH) or b"0")
        if len(self._buffer) < whole:
            return
        self._buffer = self._buffer[whole:]
        location = _value(head, LOCATION).decode()
        took = time.perf_counter() - self._since
        self._run.answers.append(Answer(took, int(head[9:12]), location))
        self._request = None
        self._is_closing = _value(head, CONNECTION) == b"close"
        self.take()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._buffer = b""
        if self._is_closing:
            self._is_closing = False
            if self._request is not None:
                self._write()
            return
        if self._request is not None and not self.done.done():
            # A connection that was quiet for too long is the server's to close; this one was not.
            self._run.lost += 1
            self._request = None
            self.take()

    def take(self) -> None:
        """Take the next request and send it when it is due."""
        turn = self._plan.next()
        if turn is None:
            if not self.done.done():
                self.done.set_result(None)
            if self._transport is not None:
                self._transport.close()
            return
        number, due = turn
        wait_s = due - (time.perf_counter() - self._plan.started)
        if self._plan.is_paced and wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send, number, due)
        else:
            self._send(number, due)

    def _send(self, number: int, due: float) -> None:
        self._request = self._make(number)
        self._since = self._plan.started + due
        self._write()

    def _write(self) -> None:
        if self._is_closing:
            return  # the server said so; a new connection is made once this one has ended
        if self._transport is not None:
            assert self._request is not None
            self._transport.write(self._request)
            return
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *self._host)
        except OSError as error:
            if not self.done.done():
                self.done.set_exception(error)


def _value(head: bytes, name: bytes) -> bytes:
    start = head.find(name)
    if start < 0:
        return b""
    start += len(name)
    return head[start : head.find(b"\r\n", start)]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.new_event_loop


async def _run(url: str, clients: int, make: Make, plan: _Plan) -> Run:
    parts = urlsplit(url)
    result = Run(0.0)
    started = plan.started = time.perf_counter()
    host = (parts.hostname or "", parts.port or 80)
    made = [_Client(host, plan, partial(make, client), result) for client in range(clients)]
    for one in made:
        one.take()
    await asyncio.gather(*(one.done for one in made))
    result.seconds = time.perf_counter() - started
    return result
