"""
The page on which a machine becomes kiosk, TV, speaker or counter: it asks for the one-time code.

Its keys on the screen are buttons of the same form, so that a kiosk needs neither a keyboard nor
a script.

Source: security rules, "Devices".
"""

import re

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.devices import CODE_LENGTH, Device, DeviceKind
from puskesmas_queue.domain.errors import CodeExpired, NotFound
from puskesmas_queue.domain.tickets import CODE_ALPHABET
from puskesmas_queue.services import devices
from puskesmas_queue.web.cookies import set_machine_cookie
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import PAIRING_PATH, route

SCREENS = {
    DeviceKind.KIOSK: "/kiosk",
    DeviceKind.DISPLAY: "/display",
    DeviceKind.SPEAKER: "/display",
    DeviceKind.COUNTER: "/loket",
}
"""What a machine shows once it is paired."""
ASKED_BY = {"kiosk": (DeviceKind.KIOSK,), "display": (DeviceKind.DISPLAY, DeviceKind.SPEAKER)}
"""Kinds that a screen is open to, by the name that its refusal gave."""
MOST_TYPED = 300

_IN_ADDRESS = re.compile(r"[?&]code=([A-Za-z0-9-]+)")
_ERASE = "erase"


def form(page: Page) -> Response:
    """Ask for the code; a key of the screen adds its letter."""
    typed = _typed(page.query.get("code", ""))
    key = page.query.get("key", "")
    if key == _ERASE:
        typed = typed[:-1]
    elif key in CODE_ALPHABET and len(typed) < CODE_LENGTH:
        typed += key
    return _form(page, typed)


def pair(page: Page) -> Response:
    """Pair this machine and show its screen."""
    typed = _typed(page.form.get("code", ""))
    problem = _problem(page, typed)
    if problem is not None:
        return _form(page, typed, problem)
    try:
        paired = devices.pair(page.clinic, typed, page.actor)
    except CodeExpired:
        late = page.gettext("Kode ini sudah lewat waktunya. Minta kode baru kepada admin.")
        return _form(page, typed, late)
    except NotFound:
        wrong = page.gettext("Kode ini tidak dikenal. Periksa lagi, atau minta kode baru.")
        return _form(page, typed, wrong)
    response = page.redirect(SCREENS[paired.device.kind])
    set_machine_cookie(response, page.facts, paired.device.kind, paired.token)
    return response


def _typed(text: str) -> str:
    """Tidy what was typed; a scanner types the whole address of the QR code."""
    found = _IN_ADDRESS.search(text[:MOST_TYPED])
    return devices.tidy_code(text[:MOST_TYPED] if found is None else found[1])


def _problem(page: Page, typed: str) -> str | None:
    if not typed:
        return page.gettext("Tulis kode dari admin.")
    if len(typed) != CODE_LENGTH or not set(typed) <= set(CODE_ALPHABET):
        return page.gettext("Kode terdiri dari %(n)s huruf dan angka. Periksa lagi.", n=CODE_LENGTH)
    return None


def _form(page: Page, typed: str, problem: str | None = None) -> Response:
    asked = ASKED_BY.get({**page.query, **page.form}.get("for", ""), ())
    paired = [device for kind in DeviceKind if (device := page.paired(kind)) is not None]
    return page.render(
        "pairing.html",
        status=200 if problem is None else 422,
        errors=[] if problem is None else [("code", problem)],
        typed=typed,
        length=CODE_LENGTH,
        keys=CODE_ALPHABET,
        asked=asked[0] if asked else None,
        is_gone=_is_gone(page, asked, paired),
        paired=[(device, SCREENS[device.kind]) for device in paired],
    )


def _is_gone(page: Page, asked: tuple[DeviceKind, ...], paired: list[Device]) -> bool:
    """Say whether this machine was one of those once and is no more."""
    now = {device.kind for device in paired}
    return any(kind in page.facts.machine_tokens and kind not in now for kind in asked)


routes = [
    route(PAIRING_PATH, form, permission=Permission.PUBLIC),
    route(PAIRING_PATH, pair, methods=("POST",), permission=Permission.PUBLIC),
]
