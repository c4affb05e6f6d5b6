"""
The cookies of this server: a browser's random id, its session, and what it was paired as.

Over https their names begin with `__Host-` where they let somebody in; over plain HTTP, where
browsers take no such name, without. All are kept from scripts and from requests of other sites.
"""

import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import Response

from puskesmas_queue.domain.devices import DeviceKind

if TYPE_CHECKING:
    from puskesmas_queue.web.security import Facts

DEVICE_COOKIE = "pq_device"
DEVICE_AGE_S = 365 * 24 * 3600
MACHINE_AGE_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie; each visit begins it anew."""

_DEVICE = re.compile(r"[A-Za-z0-9_-]{22}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def read_cookies(headers: Headers) -> dict[str, str]:
    """Return what a browser brought, of each name the first."""
    found: dict[str, str] = {}
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            name, separator, value = part.strip().partition("=")
            if separator:
                found.setdefault(name, value)
    return found


def device_of(cookies: Mapping[str, str]) -> tuple[str, bool]:
    """Return the browser's random id, and whether it is a new one."""
    device = cookies.get(DEVICE_COOKIE, "")
    if _DEVICE.fullmatch(device) is not None:
        return device, False
    return secrets.token_urlsafe(16), True


def session_of(cookies: Mapping[str, str], *, is_https: bool) -> str | None:
    """Return the session's token, if there is one of the right form."""
    return _token(cookies, session_cookie(is_https=is_https))


def machines_of(cookies: Mapping[str, str], *, is_https: bool) -> dict[DeviceKind, str]:
    """Return the tokens of what the browser was paired as, those of the right form."""
    tokens = {kind: _token(cookies, machine_cookie(kind, is_https=is_https)) for kind in DeviceKind}
    return {kind: token for kind, token in tokens.items() if token is not None}


def session_cookie(*, is_https: bool) -> str:
    """Name the cookie of a session."""
    return f"{'__Host-' if is_https else ''}pq_session"


def machine_cookie(kind: DeviceKind, *, is_https: bool) -> str:
    """Name the cookie of a paired machine."""
    return f"{'__Host-' if is_https else ''}pq_{kind}"


def set_session_cookie(response: Response, facts: "Facts", token: str) -> None:
    """Give the browser its session, until it is closed."""
    _set(response, facts, session_cookie(is_https=facts.is_https), token, None)


def clear_session_cookie(response: Response, facts: "Facts") -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        session_cookie(is_https=facts.is_https),
        path="/",
        secure=facts.is_https,
        httponly=True,
        samesite="lax",
    )


def set_machine_cookie(response: Response, facts: "Facts", kind: DeviceKind, token: str) -> None:
    """Let the browser be a paired machine from now on."""
    name = machine_cookie(kind, is_https=facts.is_https)
    _set(response, facts, name, token, MACHINE_AGE_S)


def new_device_header(facts: "Facts") -> str:
    """Write the header that gives the browser its random id."""
    response = Response()
    _set(response, facts, DEVICE_COOKIE, facts.device, DEVICE_AGE_S)
    return response.headers["set-cookie"]


def _token(cookies: Mapping[str, str], name: str) -> str | None:
    token = cookies.get(name, "")
    return token if _TOKEN.fullmatch(token) else None


def _set(response: Response, facts: "Facts", name: str, value: str, age_s: int | None) -> None:
    response.set_cookie(
        name,
        value,
        max_age=age_s,
        path="/",
        secure=facts.is_https,
        httponly=True,
        samesite="lax",
    )
