"""
The ceiling of live streams: bare asyncio sockets (uvloop) that all get the same ready bytes.

`GET` becomes a reader; `POST` sends its body to all readers as one event. No HTTP library, no
topics, no clean-up but that of closed connections.
"""

import asyncio
from typing import cast

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, readers: "set[asyncio.Transport]") -> None:
        self._readers = readers
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a reader in, or send an event to all."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._transport.write(HEAD)
            self._readers.add(self._transport)
            self._got = b""
            return
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        if len(body) < length:
            return
        for reader in self._readers:
            reader.write(body)
        self._transport.write(DONE)
        self._got = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a reader."""
        self._readers.discard(self._transport)


async def serve() -> None:
    """Serve on a free port of this machine and print the address."""
    readers: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(readers), "127.0.0.1", 0, backlog=4096)
    print(f"raw at http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
