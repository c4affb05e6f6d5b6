"""
What is known of every request afterwards: an id, how it went, how long it took.

The outermost middleware. An id comes from a proxy's `X-Request-ID` or is drawn; it is answered as
a header, shown on error pages, and is in every line that is logged for the request.
"""

import hashlib
import logging
import re
import secrets
import time

from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puskesmas_queue.logs import FIELDS, REQUEST_ID
from puskesmas_queue.web.metrics import RequestMetrics
from puskesmas_queue.web.security import FACTS, SAFE_METHODS

HEADER = b"x-request-id"
STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
WHO = "puskesmas_queue.who"
"""Where a route notes who asks: ids, no names."""
QUIET = "puskesmas_queue.is_quiet"
"""Where a route notes that its page asks by itself, every few seconds."""
SLOW_S = 1.0

_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
log = logging.getLogger("puskesmas_queue.requests")


class Observed:
    """
    Times requests, counts them and tells of those that matter.

    Args:
        app: What answers.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = b""
        for name, value in scope["headers"]:
            if name == HEADER and _ID.fullmatch(value):
                number = value
        number = number or secrets.token_hex(8).encode()
        # Not reset: the server's own line about a crash comes after this returned.
        REQUEST_ID.set(number.decode())
        began, status, is_stream = time.perf_counter(), 0, False

        async def answer(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                is_stream = STREAM in headers
                message["headers"] = [*headers, (HEADER, number)]
                if is_stream:
                    # A stream lasts; what counts is when it began.
                    self._note(scope, status, time.perf_counter() - began)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception:
            status = status or 500
            raise
        finally:
            if not is_stream:
                self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = template(scope)
        self.metrics.saw(route, status, seconds)
        is_change = scope["method"] not in SAFE_METHODS and not scope.get(QUIET, False)
        if not (is_change or status >= 500 or seconds > SLOW_S):
            return
        is_bad = status >= 500 or seconds > SLOW_S
        level = logging.WARNING if is_bad else logging.INFO
        if log.isEnabledFor(level):
            fields = {
                "method": scope["method"],
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
                **who(scope),
            }
            log.log(level, "%s %s %s", scope["method"], route, status, extra={FIELDS: fields})


def template(scope: Scope) -> str:
    """Return a request's route as it was declared: `/t/{code}`; never what stood in the address."""
    route = scope.get("route")
    if route is None:
        return "refused"
    path = getattr(route, "path", "")
    if isinstance(route, Mount):
        return f"{path}/…"
    return f"{scope.get('root_path', '')}{path}" or "unknown"


def who(scope: Scope) -> dict[str, object]:
    """Return ids of who asked: a user's, a paired machine's, else a mark of the browser."""
    known: dict[str, object] = scope.get(WHO, {})
    facts = scope.get(FACTS)
    if known or facts is None:
        return known
    return {"browser": hashlib.sha256(facts.device.encode()).hexdigest()[:8]}
