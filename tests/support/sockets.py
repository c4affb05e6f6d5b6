"""No test talks to another machine."""

import random
import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

GIVEN_PORTS = range(20_000, 32_000)
"""Below those that systems hand out by themselves (Linux from 32768, others from 49152)."""
REACHED: list[Any] = []
"""Addresses of other machines that were reached for; a test that leaves one here fails."""


class OutsideNetwork(OSError):
    """Another machine was reached for: to the code a network that is down."""


def is_local(address: Any) -> bool:
    """Whether an address as `connect` takes it is this machine."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("", "localhost")


def block_outside_network() -> None:
    """Make every Python socket of this process refuse other machines."""
    for name in ("connect", "connect_ex"):
        _guard(name)


def _guard(name: str) -> None:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, address: Any) -> Any:
        if not is_local(address):
            REACHED.append(address)
            raise OutsideNetwork(f"tests stay on this machine, not {address}")
        return original(self, address)

    setattr(socket.socket, name, guarded)


def free_port() -> int:
    """
    Return a port of this machine that nobody listens on now.

    Nor will somebody get it by chance before it is used, as whoever connects or listens on any port
    may get one that the system hands out.
    """
    for port in random.SystemRandom().sample(GIVEN_PORTS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("a hundred ports are all taken")
