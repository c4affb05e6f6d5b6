"""
Many HTTP clients in one thread, as cheap as Python makes them: what is measured is the server.

Each client keeps one connection and sends its next request when the answer to the last is whole.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
LOCATION = b"location: "


@dataclass(slots=True)
class Answer:
    """One request that was answered; `location` is where it redirected to."""

    seconds: float
    status: int
    location: str


@dataclass(slots=True)
class Run:
    """What came of a run."""

    seconds: float
    answers: list[Answer] = field(default_factory=list)

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


def percentile(values: list[float], part: int) -> float:
    """Return a percentile of some values, part 1 to 99."""
    return quantiles(values, n=100)[part - 1] if len(values) > 1 else values[0]


class _Client(asyncio.Protocol):
    def __init__(self, take: Callable[[], bytes | None], answers: list[Answer]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take = take
        self._answers = answers
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._send()

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
        took = time.perf_counter() - self._sent_at
        self._answers.append(Answer(took, int(head[9:12]), location))
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))

    def _send(self) -> None:
        request = self._take()
        assert self._transport is not None
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def _value(head: bytes, name: bytes) -> bytes:
    start = head.find(name)
    if start < 0:
        return b""
    start += len(name)
    return head[start : head.find(b"\r\n", start)]


def run(url: str, clients: int, requests: int, make: Callable[[int, int], bytes]) -> Run:
    """
    Send requests from many clients at once.

    Args:
        url: The server.
        clients: How many connections.
        requests: How many requests in all.
        make: Writes the whole request of a client (0 …) and a number (0 …).
    """
    return uvloop.run(_run(url, clients, requests, make))


async def _run(url: str, clients: int, requests: int, make: Callable[[int, int], bytes]) -> Run:
    parts = urlsplit(url)
    left = iter(range(requests))
    answers: list[Answer] = []
    loop = asyncio.get_running_loop()

    def taker(client: int) -> Callable[[], bytes | None]:
        def take() -> bytes | None:
            number = next(left, None)
            return None if number is None else make(client, number)

        return take

    started = time.perf_counter()
    made = await asyncio.gather(
        *(
            loop.create_connection(
                lambda client=client: _Client(taker(client), answers), parts.hostname, parts.port
            )
            for client in range(clients)
        )
    )
    await asyncio.gather(*(client.done for _, client in made))
    return Run(time.perf_counter() - started, answers)
