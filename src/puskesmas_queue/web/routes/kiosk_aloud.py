"""
The kiosk's pages as the clinic's announcers read them aloud.

Each page holds the words that are read in it (`data-aloud` of its template), and is read from its
own address with `/aloud` behind: what is spoken is made here and never sent along, so nobody can
let the server say anything else. What was refused is read by the name that the server gave it.

Source: screens, "Kiosk".
"""

import re
from functools import partial
from html import unescape

from starlette.responses import JSONResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import TooOften
from puskesmas_queue.plugin_ports import Speech
from puskesmas_queue.services import providers
from puskesmas_queue.services.line import known_zone
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routes import kiosk
from puskesmas_queue.web.routes.display import as_json
from puskesmas_queue.web.routing import Handler, route

READ = {
    "/kiosk": kiosk.start,
    "/kiosk/category": kiosk.category,
    "/kiosk/reason": kiosk.reason,
    "/kiosk/payment": kiosk.payment,
    "/kiosk/unit": kiosk.unit,
    "/kiosk/ticket/{code}": kiosk.ticket,
    "/kiosk/help": kiosk.help_page,
}
_WORDS = re.compile(r'data-aloud="([^"]*)"')


def aloud(show: Handler, page: Page) -> Response:
    """
    Return how a page sounds; nothing where the browser's own voice reads it.

    Raises:
        TooOften: This kiosk asked too often, or too many ask just now.
    """
    _count(page)
    return _speak(page, read_words(show(page)))


def refused(page: Page) -> Response:
    """
    Return how a refusal sounds; nothing where it is too old, or another process refused.

    Raises:
        TooOften: See `aloud`.
    """
    _count(page)
    return _speak(page, page.refusals.words(page.path["name"]))


def _count(page: Page) -> None:
    if kiosk.is_limited(page):
        wait_s = page.limits.readings.take(kiosk.machine(page))
        if wait_s:
            raise TooOften(wait_s)


def _speak(page: Page, words: str) -> Response:
    if not words:
        return JSONResponse(as_json(Speech()))
    if not page.limits.readers.acquire(blocking=False):
        # The threads are the printers' and the hall's as well.
        raise TooOften(1)
    try:
        zone = known_zone(page.clinic, page.zone)
        return JSONResponse(as_json(providers.page_speech(page.clinic, words, page.lang, zone)))
    finally:
        page.limits.readers.release()


def read_words(shown: Response) -> str:
    """Take the words to be read out of a page; none where it was not shown."""
    found = _WORDS.search(bytes(shown.body).decode())
    return "" if found is None else " ".join(unescape(found[1]).split())


routes = [
    route(f"{path}/aloud", partial(aloud, show), permission=Permission.KIOSK, asks_neighbour=True)
    for path, show in READ.items()
]
routes.append(
    route("/kiosk/refused/{name}/aloud", refused, permission=Permission.KIOSK, asks_neighbour=True)
)
