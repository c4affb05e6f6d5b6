"""Streams on real sockets: readers that read nothing, that go away, and a server that stops."""

import asyncio
import gc
import logging
import socket
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from puskesmas_queue.cli.serve import uvicorn_options
from puskesmas_queue.live.hub import Hub
from puskesmas_queue.live.reader import Reader
from puskesmas_queue.live.stream import LiveStream
from puskesmas_queue.web.connections import Bounds, Connections
from support.clinics import make_config

READERS = 300
EVENT = 20_000
"""Bytes of an event: a few fill what the system takes for a reader."""
GRACE_S = 60
"""What the server gives those who do not end by themselves; nobody shall need it."""
REQUEST = b"GET /live HTTP/1.1\r\nHost: uji\r\n\r\n"


class Hall:
    """A server of one topic, in this process, whose state can be looked at."""

    def __init__(self, event: int) -> None:
        self.event = event
        self.value = 0
        self.hub = Hub(self.render, lambda name: frozenset({"line"}), lambda: 0, "v1")
        app = Starlette(routes=[Route("/live", self.live)])
        options = uvicorn_options(make_config("sqlite:///none.db", Path()))
        options["http"] = Connections(Bounds(unread_s=2, look_s=0.2))
        options["timeout_graceful_shutdown"] = GRACE_S
        self.server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **options))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=READERS)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.listener.setblocking(False)

    async def live(self, request) -> LiveStream:
        return LiveStream(self.hub, ["line"])

    def render(self, name: str) -> str:
        return f"{self.value}:" + "x" * self.event

    def change(self) -> None:
        self.value += 1
        self.hub.touched({"line": self.value})

    async def open(self) -> socket.socket:
        """Ask for the stream and read nothing of it."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, self.listener.getsockname())
        await loop.sock_sendall(client, REQUEST)
        return client

    async def until_readers(self, count: int) -> None:
        await until(lambda: self.hub.readers == count)


async def until(holds) -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while not holds():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


@asynccontextmanager
async def hall(event: int = EVENT):
    place = Hall(event)
    place.hub.start()
    ending = asyncio.create_task(LiveStream.end_with_server(place.hub))
    serving = asyncio.create_task(place.server.serve(sockets=[place.listener]))
    try:
        yield place
    finally:
        place.server.should_exit = True
        async with asyncio.timeout(GRACE_S * 2):
            await serving
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending
        await place.hub.stop()
        place.listener.close()


@pytest.fixture
def readers_alive():
    """Counts the readers of this test: another one may have left some behind."""

    def alive() -> list[Reader]:
        gc.collect()
        return [one for one in gc.get_objects() if isinstance(one, Reader)]

    strangers = alive()
    return lambda: len(alive()) - len(strangers)


def test_who_never_reads_is_dropped_and_leaves_nothing(caplog, readers_alive):
    """300 of them cost one who reads nothing, and their memory is bounded until they are gone."""

    async def scene() -> None:
        async with hall() as place:
            clients = [await place.open() for _ in range(READERS)]
            await place.until_readers(READERS)
            loop = asyncio.get_running_loop()
            with closing(await place.open()) as reading:
                await place.until_readers(READERS + 1)
                for _ in range(12):
                    place.change()
                    async with asyncio.timeout(60):
                        seen = b""
                        while f"data: {place.value}:".encode() not in seen:
                            seen = seen[-50:] + await loop.sock_recv(reading, 65536)
                    kept = [
                        one.transport.get_write_buffer_size()
                        for one in place.server.server_state.connections
                    ]
                    # uvicorn's own mark, and the event that went over it.
                    assert max(kept) <= 65_536 + 2 * EVENT
                await place.until_readers(1)
                # The tasks of the requests end a moment later.
                await until(lambda: readers_alive() == 1)
                await until(lambda: len(place.server.server_state.connections) == 1)
            await place.until_readers(0)
            await until(lambda: not place.server.server_state.connections)
            await until(lambda: readers_alive() == 0)
            for client in clients:
                client.close()

    asyncio.run(scene())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_who_goes_away_leaves_nothing(readers_alive):
    """Nobody has to try to send to a closed connection for it to be noticed."""

    async def scene() -> None:
        async with hall() as place:
            for _ in range(3):
                clients = [await place.open() for _ in range(100)]
                await place.until_readers(100)
                for client in clients:
                    client.close()
                await place.until_readers(0)
            await until(lambda: readers_alive() == 0)
            await until(lambda: not place.server.server_state.tasks)

    asyncio.run(scene())


@pytest.mark.parametrize("count", [1, 100])
def test_the_server_stops_at_once_whoever_reads(count, caplog):
    """Streams never end by themselves: they are ended, and nobody writes a line about each."""

    async def scene() -> float:
        # So little that all of it is on its way: who took nothing cannot be told of the end.
        async with hall(event=100) as place:
            clients = [await place.open() for _ in range(count)]
            await place.until_readers(count)
            started = asyncio.get_running_loop().time()
        for client in clients:
            client.close()
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(scene()) < GRACE_S / 2
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
