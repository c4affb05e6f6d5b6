"""
Lets each request have its turn among those of its address, before any thread is asked.

Programs of the server's own machine are not held up: whoever can run one there needs no flood to
stop the server. Nor are those of a demo.
"""

import asyncio
import math
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puskesmas_queue.web.addresses import group_of
from puskesmas_queue.web.limits import Limits
from puskesmas_queue.web.plain import FLOOD, refusal
from puskesmas_queue.web.security import FACTS, SAFE_METHODS, Facts

HOLD_S = 2.0
"""A refusal for too many requests comes so late: whoever hammers waits, and costs nothing."""
LONGEST_S = 1.0
"""Whoever is not answered after so long waits for a disk or a printer, and holds up nobody."""
MOST_COST_S = 0.1


class Turns:
    """
    Comes after the security middleware, which learns who asks.

    Args:
        app: What answers.
        limits: Of that app.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or self._is_free(scope[FACTS]):
            await self.app(scope, receive, send)
            return
        shares, group = self.limits.shares, group_of(scope[FACTS].address)
        if scope["method"] not in SAFE_METHODS:
            # Whole before its turn comes: whoever sends slowly holds up nobody.
            receive = _Whole(await _read(receive), receive)
        wait_s = await shares.enter(group)
        if wait_s:
            await asyncio.sleep(HOLD_S)
            headers = {"retry-after": str(math.ceil(wait_s))}
            await refusal(scope, 429, FLOOD, headers)(scope, receive, send)
            return
        turn = _Turn(self.limits, group, send)
        try:
            await self.app(scope, receive, turn.send)
        finally:
            turn.end()

    def _is_free(self, facts: Facts) -> bool:
        return facts.is_local or self.limits.is_demo


class _Turn:
    """Ends when the answer begins: what is streamed takes nobody's time."""

    def __init__(self, limits: Limits, group: str, send: Send) -> None:
        self._shares = limits.shares
        self._group = group
        self._send = send
        self._began = time.perf_counter()
        self._timer = asyncio.get_running_loop().call_later(LONGEST_S, self.end)
        self._is_over = False

    async def send(self, message: Message) -> None:
        if not self._is_over:
            self.end()
        await self._send(message)

    def end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._timer.cancel()
        took_s = time.perf_counter() - self._began
        self._shares.leave(self._group, min(took_s, MOST_COST_S))


class _Whole:
    """A body that was read already."""

    def __init__(self, content: bytes, receive: Receive) -> None:
        self._content: bytes | None = content
        self._receive = receive

    async def __call__(self) -> Message:
        if self._content is None:
            return await self._receive()
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}


async def _read(receive: Receive) -> bytes:
    """
    Read a body; the security middleware bounds it.

    Raises:
        ClientDisconnect: Whoever sends it is gone.
    """
    pieces, is_more = [], True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        is_more = message.get("more_body", False)
    return b"".join(pieces)
