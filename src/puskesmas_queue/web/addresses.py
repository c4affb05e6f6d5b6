"""Network addresses: reading them, and whom a limit counts as one."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from puskesmas_queue.domain.errors import SetupError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
SUBSCRIBER = 64
"""Bits of an IPv6 address that name a subscriber; the rest is drawn by each of its machines."""


def parse_address(text: str) -> Address | None:
    """Read an address, None where it is none; an IPv4 address in IPv6 clothes is IPv4."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_this_machine(address: Address) -> bool:
    """Whether whoever has this address is a program of the server's own machine."""
    return address.is_loopback


def networks(texts: Iterable[str]) -> list[Network]:
    """
    Read addresses and networks of `server.trusted_proxies`.

    Raises:
        SetupError: One is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(ip_network(text.strip(), strict=False))
        except ValueError:
            raise SetupError(
                f'server.trusted_proxies: "{text}" is neither an address nor a network'
            ) from None
    return found


def is_in(address: Address, among: Iterable[Network]) -> bool:
    """Whether an address is in one of some networks."""
    return any(address in network for network in among)


def group_of(address: Address | str | None) -> str:
    """Return whom a limit counts: an IPv4 address, or a subscriber's whole IPv6 network."""
    if not isinstance(address, IPv4Address | IPv6Address):
        parsed = parse_address(address or "")
        if parsed is None:
            return "unknown"
        address = parsed
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Address(int(address) >> (128 - SUBSCRIBER) << (128 - SUBSCRIBER)))
