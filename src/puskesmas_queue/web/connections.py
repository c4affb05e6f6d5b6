"""
Connections that are slow, silent or too many, in front of uvicorn's own protocols.

uvicorn waits for ever for a request's head and body, and for a reader that takes nothing. Here
each of them has its time, which one look a second over all connections holds: nothing is added to
a request but the count of its bytes.

Source: docs/decisions/0021-limits.md
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from puskesmas_queue.web import addresses
from puskesmas_queue.web.addresses import Network, group_of, is_in, networks, parse_address
from puskesmas_queue.web.limits import Pace

KEEP_ALIVE_S = 5
PROXY_KEEP_ALIVE_S = 130
"""Longer than proxies keep theirs (Caddy 2 min), so that none sends into a closed connection."""
MAX_HEAD = 64 * 1024
MAX_PIPELINED = 32
PER_ADDRESS = 6_000
"""A hall of 300 phones with 6 connections each, three times over."""
WITHOUT_LIMIT = 10_000
"""Connections in all where the system sets no limit of open files."""
SCOPE_STATE = "connections"
"""Where a request's scope has these, below `state`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How many connections there may be and how long they may wait.

    Those of this machine and of trusted proxies have no cap per address.

    Args:
        total: Of all addresses together.
        per_address: Of one IPv4 address, or one /64 network of IPv6.
        new_rate: New ones a second of one address, after `per_address / 2` at once.
        head_s: From the first moment of a connection, or the first byte of a later request, to
            the end of its head.
        body_s: After so long a body must have come at `body_rate` on the whole.
        body_rate: Bytes a second.
        unread_s: An answer of which nothing is taken for so long has no reader.
        held_s: How long one that is too new for its address is kept waiting before its end.
        closing_s: From the server's end of a connection to the client's.
        look_s: Between two looks at all connections.
    """

    total: int = WITHOUT_LIMIT
    per_address: int = PER_ADDRESS
    new_rate: int = 50
    head_s: float = 10
    body_s: float = 10
    body_rate: int = 1_000
    unread_s: float = 30
    held_s: float = 3
    closing_s: float = 10
    look_s: float = 1

    @classmethod
    def below(cls, open_files: int | None) -> "Bounds":
        """Leave an eighth of the open files, 256 at least, to the database and to what else is."""
        if open_files is None:
            return cls()
        total = max(open_files - max(256, open_files // 8), open_files // 2)
        return cls(total, min(PER_ADDRESS, total // 2))


class HttpProtocol(Protocol):
    """What this module knows of uvicorn's protocols."""

    transport: asyncio.Transport
    cycle: Any
    flow: Any
    timeout_keep_alive: float
    timeout_keep_alive_task: asyncio.TimerHandle | None


@dataclass(slots=True)
class Connections:
    """
    All connections of a server process, and what uvicorn calls to make one.

    Args:
        bounds: How many there may be.
        trusted_proxies: Addresses and networks; their clients are counted by request.
    """

    bounds: Bounds = field(default_factory=Bounds)
    trusted_proxies: tuple[str, ...] = ()
    refused: Counter[str] = field(default_factory=Counter)
    """How many were ended, by the reason."""
    is_stopping: bool = False
    """The server takes no more connections and is about to end."""
    _open: "set[Guarded]" = field(default_factory=set)
    _by_address: Counter[str] = field(default_factory=Counter)
    _proxies: list[Network] = field(init=False)
    _new: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._proxies = networks(self.trusted_proxies)
        self._new = Pace(self.bounds.new_rate, self.bounds.per_address / 2)

    def __call__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Guarded":
        """Make the protocol of one connection."""
        app_state.setdefault(SCOPE_STATE, self)
        one = FASTEST(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        one.guard = self
        return one

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def admit(self, one: "Guarded") -> str | None:
        """Take one more in; say why not, where there are too many."""
        if not self._open:
            one.loop.call_later(self.bounds.look_s, self._look, one.loop)
        self._open.add(one)
        if len(self._open) > self.bounds.total:
            return "all"
        if one.group is None:
            return None
        self._by_address[one.group] += 1
        if self._by_address[one.group] > self.bounds.per_address:
            return "address"
        return None if self._new.take(one.group) else "new of address"

    def leave(self, one: "Guarded") -> None:
        """Forget one that is closed."""
        if one not in self._open:
            return
        self._open.discard(one)
        if one.group is not None and one.group in self._by_address:
            self._by_address[one.group] -= 1
            if self._by_address[one.group] <= 0:
                del self._by_address[one.group]

    def group(self, host: str | None) -> str | None:
        """Return what a peer is counted as, None where it is not."""
        address = parse_address(host or "")
        if address is None or addresses.is_this_machine(address) or is_in(address, self._proxies):
            return None
        return group_of(address)

    def is_proxy(self, host: str | None) -> bool:
        """Whether a peer is a proxy that is believed."""
        address = parse_address(host or "")
        return address is not None and is_in(address, self._proxies)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for one in list(self._open):
            one.look(now)
        if self._open:
            loop.call_later(self.bounds.look_s, self._look, loop)


class Guarded:
    """
    Watches one connection; comes before one of uvicorn's protocols among a class's bases.

    What it waits for is found out at each look, from what uvicorn itself knows.
    """

    guard: Connections
    loop: asyncio.AbstractEventLoop
    group: str | None = None
    _phase: tuple[str, object] = ("", None)
    _since = 0.0
    _received = 0
    _received_before = 0
    _head = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin, or turn away."""
        super().connection_made(transport)  # type: ignore[misc]
        mine = cast("HttpProtocol", self)
        peer = transport.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) else None
        self.group = self.guard.group(host)
        self._since = time.monotonic()
        if self.guard.is_proxy(host):
            mine.timeout_keep_alive = PROXY_KEEP_ALIVE_S
        reason = self.guard.admit(self)
        if reason == "new of address":
            # Left alone for a while: whoever is cut off at once only comes again at once.
            self._is_refused = True
            transport.pause_reading()
        elif reason is not None:
            self.turn_away(reason, 503)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        if self._is_refused:
            return
        mine = cast("HttpProtocol", self)
        before = mine.cycle
        self._received += len(data)
        super().data_received(data)  # type: ignore[misc]
        if mine.cycle is not before:
            self._head = 0
        elif before is None or before.response_complete:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.turn_away("head", 431)
        if len(getattr(self, "pipeline", ())) > MAX_PIPELINED:
            self.turn_away("pipelined", None)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self.guard.leave(self)
        super().connection_lost(error)  # type: ignore[misc]

    def shutdown(self) -> None:
        """Hear that the server is about to end."""
        self.guard.is_stopping = True
        super().shutdown()  # type: ignore[misc]

    def send_400_response(self, message: str) -> None:
        """Count what was no request."""
        self.guard.refused["garbage"] += 1
        super().send_400_response(message)  # type: ignore[misc]

    def look(self, now: float) -> None:
        """See whether what is waited for comes in its time."""
        phase = self._now_waiting_for()
        if phase != self._phase:
            self._phase, self._since, self._received_before = phase, now, self._received
            return
        waited, bounds = now - self._since, self.guard.bounds
        match phase[0]:
            case "head" if waited > bounds.head_s:
                self.turn_away("slow head", 408)
            case "body" if waited > bounds.body_s:
                least = (waited - bounds.body_s) * bounds.body_rate
                if self._received - self._received_before < max(bounds.body_rate, least):
                    self.turn_away("slow body", 408)
            case "reader" if waited > bounds.unread_s:
                self.turn_away("no reader", None)
            case "held" if waited > bounds.held_s:
                self.turn_away("new of address", None)
            case "closing" if waited > bounds.closing_s:
                self.turn_away("unclosed", None)

    def _now_waiting_for(self) -> tuple[str, object]:
        """Name what must come next, and of which request or how much is unread."""
        mine = cast("HttpProtocol", self)
        cycle = mine.cycle
        if mine.transport.is_closing():
            return "closing", None
        if self._is_refused:
            return "held", None
        if mine.flow is not None and mine.flow.write_paused:
            return "reader", mine.transport.get_write_buffer_size()
        if cycle is None or cycle.response_complete:
            # uvicorn's own timer ends a connection that is kept alive for nothing.
            return "idle" if mine.timeout_keep_alive_task else "head", cycle
        if cycle.more_body and not mine.flow.read_paused:
            return "body", cycle
        return "server", cycle

    def turn_away(self, reason: str, status: int | None) -> None:
        """End the connection; with an answer where one can still be given."""
        mine = cast("HttpProtocol", self)
        self.guard.refused[reason] += 1
        self._is_refused = True
        cycle = mine.cycle
        can_answer = cycle is None or not cycle.response_started or cycle.response_complete
        if status is None or not can_answer or mine.transport.is_closing():
            mine.transport.abort()
            return
        mine.transport.write(_ANSWERS[status])
        # What is not read any more cannot stand in the way of the close.
        mine.transport.close()


def _answer(status: int, phrase: str, more: str = "") -> bytes:
    text = f"{phrase}\n"
    return (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(text)}\r\nconnection: close\r\n{more}\r\n{text}"
    ).encode("ascii")


_ANSWERS = {
    408: _answer(408, "Request Timeout"),
    431: _answer(431, "Request Header Fields Too Large"),
    503: _answer(503, "Service Unavailable", "retry-after: 10\r\n"),
}


def guarded(kind: type[Any]) -> Callable[..., Guarded]:
    """Make the guarded class of one of uvicorn's protocols."""
    return cast("Callable[..., Guarded]", type(f"Guarded{kind.__name__}", (Guarded, kind), {}))


FASTEST = guarded(AutoHTTPProtocol)
"""Of this machine: httptools where it is there, else h11."""
