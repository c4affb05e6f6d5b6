"""Sockets that behave badly, and a small server of our own protocol to try them on."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from puskesmas_queue.web.connections import Connections

START_S = 30
KEEP_ALIVE_S = 60
"""Longer than any test: a connection ends where its test says so."""


@contextmanager
def serving(
    app: Any, make: Callable[..., Any], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """
    Serve an app in a thread of this process; yield the port.

    Args:
        app: ASGI.
        make: Makes a protocol, as uvicorn asks for one.
        context: For TLS.
    """
    # Without any say in logging: that would be for all tests which come after in this process.
    config = uvicorn.Config(
        app, http=make, ws="none", log_config=None, access_log=False, lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=1,
        ssl_context_factory=None if context is None else lambda *_: context,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        until = time.monotonic() + START_S
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(START_S)


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    """Open a connection from an address of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))


def read_all(one: socket.socket) -> bytes:
    """Read until the other end closes or breaks off."""
    found = b""
    while True:
        try:
            piece = one.recv(65536)
        except ConnectionError:
            return found
        if not piece:
            return found
        found += piece


def read_answer(one: socket.socket) -> bytes:
    """Read one whole answer that comes in chunks."""
    found = b""
    while not found.endswith(b"\r\n0\r\n\r\n"):
        piece = one.recv(65536)
        if not piece:
            break
        found += piece
    return found


def open_connections(guard: Connections, wanted: int) -> bool:
    """Wait until so many are open."""
    until = time.monotonic() + START_S
    while len(guard) != wanted:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
