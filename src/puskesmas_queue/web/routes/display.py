"""The hall's TV, and what the screen that speaks reports."""

from typing import Any

from starlette.responses import JSONResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import InvalidRequest
from puskesmas_queue.services import speech
from puskesmas_queue.services.line import known_zone, line_view
from puskesmas_queue.web.page import DEFAULT_LANGUAGE, Page
from puskesmas_queue.web.routing import route

MAX_SCREEN_NAME = 64


def live_topic(kind: str, zone: str, lang: str) -> str:
    """Name the live topic of a fragment in a language."""
    suffix = "" if lang == DEFAULT_LANGUAGE else f".{lang}"
    return f"{kind}-{zone}{suffix}"


def clock_context(page: Page) -> dict[str, Any]:
    """Return what a page's clocks need; Indonesia has no summer time, so an offset is enough."""
    local = page.clinic.clock.now().astimezone(page.clinic.timezone)
    offset = local.utcoffset()
    assert offset is not None
    return {
        "utc_offset_min": int(offset.total_seconds() // 60),
        "zone_name": page.clinic.zone_label,
    }


def display(page: Page) -> Response:
    """Show a zone's TV, in the language that the clinic set unless the address names one."""
    zone = known_zone(page.clinic, page.query.get("zone"))
    language = page.clinic.settings.get("display.language")
    if "lang" not in page.query and language != page.lang:
        page.lang = language
    return page.render(
        "display.html",
        line=line_view(page.clinic, zone),
        zone=zone,
        topic=live_topic("display", zone, page.lang),
        **clock_context(page),
    )


def heartbeat(page: Page) -> Response:
    """Hear of a screen: the first one that can be heard becomes its zone's speaker."""
    zone = known_zone(page.clinic, page.form.get("zone"))
    has_voice = page.form.get("voice") == "1"
    speech.heartbeat(page.clinic, zone, _screen(page), has_voice)
    return JSONResponse({"ok": True})


def spoken(page: Page) -> Response:
    """Take the speaker's report that an announcement is over."""
    zone = known_zone(page.clinic, page.form.get("zone"))
    number = page.form.get("id", "")
    if not number.isascii() or not number.isdigit():
        raise InvalidRequest("an announcement is named by its number")
    speech.finished(page.clinic, zone, _screen(page), int(number))
    return Response(status_code=204)


def _screen(page: Page) -> str:
    name = page.form.get("screen", "")
    if not 1 <= len(name) <= MAX_SCREEN_NAME or not name.isalnum():
        raise InvalidRequest("a screen names itself with letters and figures")
    return name


routes = [
    route("/display", display, permission=Permission.DISPLAY),
    route("/display/heartbeat", heartbeat, methods=("POST",), permission=Permission.DISPLAY),
    route("/display/spoken", spoken, methods=("POST",), permission=Permission.DISPLAY),
]
