"""A network in which everybody can be reached and nobody answers."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

SOMEWHERE = "1.1.1.1"
"""What every name resolves to: no private address, which a plugin may refuse. Nobody goes there."""
LOOK_S = 0.1


class SilentServer:
    """Takes every connection and says nothing; `count` is how many there were."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._listener.settimeout(LOOK_S)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._taken: list[socket.socket] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._take, name="silent-server", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """How many connections were opened."""
        return len(self._taken)

    def close(self) -> None:
        """Hang up on everybody, so that nothing waits any more."""
        self._is_over.set()
        self._thread.join()
        for one in (self._listener, *self._taken):
            one.close()

    def _take(self) -> None:
        while not self._is_over.is_set():
            try:
                self._taken.append(self._listener.accept()[0])
            except TimeoutError:
                continue


@contextmanager
def silent_network() -> Iterator[SilentServer]:
    """
    Lead every connection that Python opens in this process to a server that never answers.

    What a library opens in C, as the driver of PostgreSQL does, goes where it went. There is no
    IPv6 and no UDP.
    """
    server = SilentServer()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def lead(own: socket.socket, address: Any, go: Any) -> Any:
        # Windows makes a pair of sockets, which each event loop needs, out of a connection.
        is_pair = sys._getframe(2).f_code.co_name.endswith("socketpair")
        if is_pair or own.family not in (socket.AF_INET, socket.AF_INET6):
            return go(own, address)
        if own.family == socket.AF_INET6 or own.type != socket.SOCK_STREAM:
            raise OSError("the network of this test has TCP over IPv4 only")
        return go(own, server.address)

    def resolve(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        number = int(port) if str(port).isdigit() else 443
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (SOMEWHERE, number))]

    with (
        patch.object(socket.socket, "connect", lambda own, to: lead(own, to, connect)),
        patch.object(socket.socket, "connect_ex", lambda own, to: lead(own, to, connect_ex)),
        patch.object(socket, "getaddrinfo", resolve),
    ):
        try:
            yield server
        finally:
            server.close()
