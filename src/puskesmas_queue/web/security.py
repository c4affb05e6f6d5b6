"""
What every request meets first: transport, host, origin and size, then the answer's headers.

Pure ASGI, since `BaseHTTPMiddleware` breaks streams. Reads no database: a session is looked up
by `routing` where a route needs one.

Source: security rules, "Pages" and "Requests".
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.web import addresses, cookies
from puskesmas_queue.web.addresses import Address, Network, is_in, parse_address
from puskesmas_queue.web.limits import Limits
from puskesmas_queue.web.plain import (
    BAD_HOST,
    CRASHED,
    FOREIGN,
    NO_PAGE,
    NOT_PRIVATE,
    TOO_LARGE,
    TOO_MANY,
    TOO_MANY_CODES,
    plain_page,
    refusal,
)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    # `no-referrer` would make browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
MAX_BODY = 1_000_000
"""Of what routes read that say nothing else (`allow_body`)."""
MOST_DRAINED = 50_000_000
"""So much of a file that is too large is let go by, so that its page is shown."""
MAX_PATH = 2_000
"""Longer than any page's; Python reads no number of more than 4300 figures, as `{id:int}` would."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_AGENT = 300
MAX_FIGURES = 18
"""Of a Content-Length, zeros in front counted; Python reads no number of more than 4300."""
STATIC_PATHS = re.compile(r"/(?:x/[a-z0-9_]+/)?static/")
"""Files of the core and of plugins."""
UPLOAD_PATHS = re.compile(r"/x/[a-z0-9_]+/")
"""Where routes may take files."""
API = "/api/v1/"
"""Below it programs ask, with a bearer token and no cookie."""
FACTS = "puskesmas_queue.facts"
BODY = "puskesmas_queue.body"
PUBLIC_PORT = "puskesmas_queue.public_port"
"""In the scope of what came in by the plain port of patients' phones."""
HSTS = "max-age=86400"
"""A day: long enough for who comes daily, short enough to heal by itself."""

_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Crash = Callable[[Request, Exception], Response]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """
    What the configuration says.

    Args:
        allow_insecure: Serve plain HTTP to other machines too.
        trusted_proxies: Addresses or networks whose X-Forwarded-For and -Proto are believed.
        keeps_https: Tell browsers to come by https only. It holds for every port of the host's
            name, so never where one of them is plain.
        is_demo: The routes under `/demo/` take requests of programs, which send no origin.
    """

    allow_insecure: bool = False
    trusted_proxies: tuple[str, ...] = ()
    keeps_https: bool = False
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What is known of a request before any database is asked.

    Args:
        address: The client's network address, None where it is not an address.
        is_https: Whether the browser's connection is encrypted.
        is_local: Whether the client is on this machine.
        device: Random id of the browser, new where it brought none.
        is_new_device: Whether the answer must bring the device cookie.
        session_token: From the session cookie, if it has the right form.
        is_public_port: Whether it came in by the plain port of patients' phones, where no cookie
            is read or set.
        machine_tokens: From the cookies of paired machines, one for each kind: one computer may
            be kiosk, TV and counter.
    """

    address: str | None
    is_https: bool
    is_local: bool
    device: str
    is_new_device: bool
    session_token: str | None
    machine_tokens: Mapping[DeviceKind, str]
    user_agent: str | None
    is_public_port: bool = False


def facts_of(connection: HTTPConnection) -> Facts:
    """Return what the middleware learnt of this request."""
    facts: Facts = connection.scope[FACTS]
    return facts


class SecurityMiddleware:
    """
    Refuses what no route should see and gives every answer its headers.

    Args:
        app: What is protected.
        options: From the configuration.
        crash: Makes the page for an error that nobody expected.
        limits: How often whoever asks may do something; else new ones.

    Raises:
        SetupError: A trusted proxy is neither an address nor a network.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: SecurityOptions | None = None,
        crash: Crash | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.app = app
        self.options = options or SecurityOptions()
        self.crash = crash
        self.proxies = addresses.networks(self.options.trusted_proxies)
        self.limits = limits or Limits(is_demo=self.options.is_demo)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        facts = read_facts(scope, headers, self.proxies)
        scope[FACTS] = facts
        scope["scheme"] = "https" if facts.is_https else "http"
        answer = _Answer(scope, facts, send, keeps_https=self.options.keeps_https)
        body = _Body(receive)
        scope[BODY] = body
        response = self._refusal(scope, headers, facts)
        if response is None:
            try:
                await self.app(scope, body.receive, answer.send)
                return
            except BodyTooLarge:
                response = refusal(scope, 413, TOO_LARGE)
            except ClientDisconnect:
                # Nobody waits for an answer, and nothing of this is worth a line in the log.
                return
            except Exception as error:
                if answer.has_started:
                    raise
                # Answered here and not by Starlette's outermost middleware, whose answers
                # would lack the headers; raised again for the log.
                await self._crash_page(scope, error)(scope, receive, answer.send)
                raise
        if not answer.has_started:
            await response(scope, receive, answer.send)

    def _refusal(self, scope: Scope, headers: Headers, facts: Facts) -> Response | None:
        """Say why this request goes no further, if it does not."""
        hosts = headers.getlist("host")
        length = headers.get("content-length", "0")
        if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
            return refusal(scope, 400, BAD_HOST)
        # A route's pattern takes a line's end at the end of its path, and no limit would know it.
        if len(scope["path"]) > MAX_PATH or _CONTROL.search(scope["path"]):
            return refusal(scope, 404, NO_PAGE)
        is_private = facts.is_https or facts.is_local or facts.is_public_port
        if not (is_private or self.options.allow_insecure):
            return refusal(scope, 403, NOT_PRIVATE)
        # Pages of plugins may take files: their routes say how large, and what comes is counted.
        most = 10**MAX_FIGURES if UPLOAD_PATHS.match(scope["path"]) else MAX_BODY
        if not length.isdecimal() or len(length) > MAX_FIGURES or int(length) > most:
            return refusal(scope, 413, TOO_LARGE)
        if scope["method"] not in SAFE_METHODS:
            return self._state_refusal(scope, headers, facts)
        return None

    def _state_refusal(self, scope: Scope, headers: Headers, facts: Facts) -> Response | None:
        if not self._is_own_origin(scope, headers, facts):
            return refusal(scope, 403, FOREIGN)
        if scope["path"] in ("/login", f"{API}token"):
            wait_s = self.limits.logins.take(addresses.group_of(facts.address))
            if wait_s:
                return refusal(scope, 429, TOO_MANY, {"retry-after": str(wait_s)})
        if scope["path"] in ("/pair", f"{API}devices/pair"):
            wait_s = self.limits.pairings.take(addresses.group_of(facts.address))
            if wait_s:
                return refusal(scope, 429, TOO_MANY_CODES, {"retry-after": str(wait_s)})
        return None

    def _is_own_origin(self, scope: Scope, headers: Headers, facts: Facts) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = headers.get("origin")
        if origin is None:
            # No browser leaves out both; a program has no cookies that could be abused.
            path = scope["path"]
            return path.startswith(API) or (self.options.is_demo and path.startswith("/demo/"))
        scheme = "https" if facts.is_https else "http"
        return _same_origin(origin, f"{scheme}://{headers['host']}")

    def _crash_page(self, scope: Scope, error: Exception) -> Response:
        if self.crash is not None:
            try:
                return self.crash(Request(scope), error)
            except Exception:
                log.exception("the page for an unexpected error failed too")
        return plain_page(500, CRASHED)


def allow_body(scope: Scope, most: int) -> None:
    """Let a request bring more than `MAX_BODY`: so many bytes in all."""
    scope[BODY].most = most


async def drain_body(scope: Scope) -> None:
    """Let what is too large go by: a browser that still sends shows no answer."""
    await scope[BODY].drain()


def read_facts(scope: Scope, headers: Headers, proxies: list[Network]) -> Facts:
    """Learn who asks and how, believing proxies only where they are trusted."""
    peer = parse_address(scope["client"][0]) if scope.get("client") else None
    address, scheme, is_forwarded = peer, scope["scheme"], False
    if peer is not None and is_in(peer, proxies):
        address, scheme = _through_proxy(headers, peer, scheme, proxies)
    else:
        # A proxy of this machine that nobody named: its clients are not of this machine.
        is_forwarded = "x-forwarded-for" in headers or "forwarded" in headers
    is_https = scheme == "https"
    is_public_port = PUBLIC_PORT in scope
    brought = {} if is_public_port else cookies.read_cookies(headers)
    device, is_new_device = cookies.device_of(brought)
    return Facts(
        address=None if address is None else str(address),
        is_https=is_https,
        is_local=address is not None and addresses.is_this_machine(address) and not is_forwarded,
        device=device,
        is_new_device=is_new_device and not is_public_port,
        session_token=cookies.session_of(brought, is_https=is_https),
        machine_tokens=cookies.machines_of(brought, is_https=is_https),
        user_agent=headers.get("user-agent", "")[:MAX_AGENT] or None,
        is_public_port=is_public_port,
    )


class BodyTooLarge(Exception):
    """The body went over the cap while it came."""


class _Body:
    """Counts what comes in, whatever Content-Length said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._has_more = True
        self.most = MAX_BODY

    async def receive(self) -> Message:
        message = await self._next()
        if self._size > self.most:
            raise BodyTooLarge
        return message

    async def drain(self) -> None:
        while self._has_more and self._size <= MOST_DRAINED:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self._has_more = message.get("more_body", False)
        return message


class _Answer:
    """Adds headers and the device cookie to whatever is answered."""

    def __init__(
        self, scope: Scope, facts: Facts, send: Send, *, keeps_https: bool = False
    ) -> None:
        path: str = scope["path"]
        self._is_static = STATIC_PATHS.match(path) is not None
        self._brings_device = (
            facts.is_new_device and not self._is_static and not path.startswith(("/live/", API))
        )
        self._facts = facts
        self._keeps_https = keeps_https and facts.is_https
        self._send = send
        self.has_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self._keeps_https:
                headers["strict-transport-security"] = HSTS
            if not self._is_static:
                headers["cache-control"] = "no-store"
            if self._brings_device:
                headers.append("set-cookie", cookies.new_device_header(self._facts))
        await self._send(message)


def _through_proxy(
    headers: Headers, peer: Address, scheme: str, proxies: list[Network]
) -> tuple[Address | None, str]:
    """Walk X-Forwarded-For from the right to the first address that is no trusted proxy."""
    protocols = [part.strip() for part in headers.get("x-forwarded-proto", "").split(",")]
    if protocols[-1] in ("http", "https"):
        scheme = protocols[-1]
    address: Address | None = peer
    hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed([hop for hop in hops if hop.strip()]):
        address = parse_address(hop)
        if address is None or not is_in(address, proxies):
            break
    return address, scheme


def _same_origin(first: str, second: str) -> bool:
    return _origin(first) is not None and _origin(first) == _origin(second)


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)
