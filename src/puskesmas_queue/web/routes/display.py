"""The hall's TV, and what the screen that speaks reports."""

import hashlib
from base64 import b64encode
from typing import Any

from starlette.responses import JSONResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import InvalidRequest
from puskesmas_queue.plugin_ports import Speech
from puskesmas_queue.services import providers, speech
from puskesmas_queue.services.line import known_zone, seen_line
from puskesmas_queue.web.page import DEFAULT_LANGUAGE, Page, whole_number
from puskesmas_queue.web.routing import route

MIN_SCREEN_NAME = 8
MAX_SCREEN_NAME = 64
MARK_LENGTH = 32


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
    zone = known_zone(page.clinic, page.zone)
    language = page.clinic.settings.get("display.language")
    if "lang" not in page.query and language != page.lang:
        page.lang = language
    response = page.render(
        "display.html",
        line=seen_line(page.clinic, zone),
        zone=zone,
        by_page=providers.is_spoken_by_page(page.clinic),
        topic=live_topic("display", zone, page.lang),
        **clock_context(page),
    )
    return page.keep_paired(response)


def heartbeat(page: Page) -> Response:
    """Hear of a screen: the first one that can be heard becomes its zone's speaker."""
    zone = known_zone(page.clinic, page.form.get("zone"))
    has_voice = page.form.get("voice") == "1"
    mark = _screen(page)
    speech.heartbeat(page.clinic, zone, mark, has_voice)
    return JSONResponse({"ok": True, "mark": mark})


def spoken(page: Page) -> Response:
    """Take the speaker's report that an announcement is over."""
    zone = known_zone(page.clinic, page.form.get("zone"))
    number = whole_number(page.form.get("id", ""))
    speech.finished(page.clinic, zone, _screen(page), number)
    return Response(status_code=204)


def leave(page: Page) -> Response:
    """Hear that a screen is being closed."""
    speech.leave(page.clinic, known_zone(page.clinic, page.form.get("zone")), _screen(page))
    return Response(status_code=204)


def sound(page: Page) -> Response:
    """Return how an announcement sounds; nothing where the page speaks with a voice of its own."""
    return JSONResponse(as_json(providers.announcement_speech(page.clinic, int(page.path["id"]))))


def as_json(made: Speech) -> dict[str, Any]:
    """Return what an announcer made as pages take it (`voice.js`)."""
    sounds = [b64encode(one).decode() for one in made.sound]
    return {"media_type": made.media_type, "sound": sounds, "has_chime": made.has_chime}


def _screen(page: Page) -> str:
    """
    Return the mark of a screen.

    The stream tells everybody which screen speaks. It tells the mark and not the name, or anybody
    could answer in that screen's name and so silence it.
    """
    name = page.form.get("screen", "")
    if not MIN_SCREEN_NAME <= len(name) <= MAX_SCREEN_NAME or not name.isalnum():
        raise InvalidRequest("a screen names itself with 8 to 64 letters and figures")
    return hashlib.sha256(name.encode()).hexdigest()[:MARK_LENGTH]


routes = [
    route("/display", display, permission=Permission.DISPLAY),
    route(
        "/display/heartbeat",
        heartbeat,
        methods=("POST",),
        permission=Permission.DISPLAY,
        extends=False,
    ),
    route(
        "/display/leave",
        leave,
        methods=("POST",),
        permission=Permission.DISPLAY,
        extends=False,
    ),
    route("/display/sound/{id:int}", sound, permission=Permission.DISPLAY, asks_neighbour=True),
    route(
        "/display/spoken",
        spoken,
        methods=("POST",),
        permission=Permission.DISPLAY,
        extends=False,
    ),
]
