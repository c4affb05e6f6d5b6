"""
Many readers of one live stream, in a process of their own.

Run as `live_clients.py HOST PORT PATH EVENT COUNT`. It prints `ready` when each has the
stream; for each line on stdin it waits until every reader has got EVENT once more and prints when,
one JSON list of seconds on this machine's steady clock.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from typing import cast

import uvloop

AT_ONCE = 200
ROUND_S = 60


class Readers:
    """All readers, and when each had the event that is waited for."""

    def __init__(self, event: str, count: int) -> None:
        self.mark = f"event: {event}\n".encode()
        self.count = count
        self.open: set[asyncio.BaseTransport] = set()
        self.times: list[float] = []
        self.all_have_it = asyncio.Event()

    def begin(self) -> None:
        """Wait for one more event from now on."""
        self.times = []
        self.all_have_it.clear()

    def got(self) -> None:
        """Note that one more reader has it."""
        self.times.append(time.monotonic())
        if len(self.times) >= self.count:
            self.all_have_it.set()


class Reader(asyncio.Protocol):
    """One stream: it counts events and throws their data away."""

    def __init__(self, readers: Readers, request: bytes, first: "asyncio.Future[None]") -> None:
        self._readers = readers
        self._request = request
        self._first = first
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        # uvloop's transports are no subclass of asyncio's.
        stream = cast("asyncio.Transport", transport)
        self._readers.open.add(stream)
        stream.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count; the mark may come in two pieces."""
        mark = self._readers.mark
        seen = self._tail + data
        # The first answer is the stream's head; an event may be in it already.
        if not self._first.done():
            self._first.set_result(None)
        if mark in seen:
            self._readers.got()
            seen = seen.rpartition(mark)[2]
        self._tail = seen[-len(mark) :]

    def connection_lost(self, exc: Exception | None) -> None:
        """A stream that ends before its time is missed in the next round."""
        if not self._first.done():
            self._first.set_exception(exc or ConnectionError("closed before it answered"))


async def read(host: str, port: int, path: str, event: str, count: int) -> None:
    """Open the streams, then time one round for each line."""
    loop = asyncio.get_running_loop()
    readers = Readers(event, count)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    for begin in range(0, count, AT_ONCE):
        firsts = []
        for _ in range(min(AT_ONCE, count - begin)):
            first: asyncio.Future[None] = loop.create_future()
            await loop.create_connection(
                lambda first=first: Reader(readers, request, first), host, port
            )
            firsts.append(first)
        await asyncio.wait_for(asyncio.gather(*firsts), ROUND_S)
    print("ready", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        readers.begin()
        print("go", flush=True)
        try:
            await asyncio.wait_for(readers.all_have_it.wait(), ROUND_S)
        except TimeoutError:
            print(f"{count - len(readers.times)} readers got nothing", file=sys.stderr)
        print(json.dumps(readers.times), flush=True)


def main() -> None:
    """Read the command line and the streams."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("event")
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(read(given.host, given.port, given.path, given.event, given.count))


if __name__ == "__main__":
    main()
