"""No test talks to another machine."""

import socket
from ipaddress import ip_address
from typing import Any

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
    """Return a port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
