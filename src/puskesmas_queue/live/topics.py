"""What each live topic shows, and of which stored topics it is made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from puskesmas_queue.clinic import CLOCK_TOPIC, SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.services.line import LineView, all_zones, seen_line
from puskesmas_queue.services.speech import speech_state
from puskesmas_queue.services.topics import PRINTERS_TOPIC, VOICES_TOPIC, line_topic, speech_topic
from puskesmas_queue.web.rendering import DEFAULT_LANGUAGE, LANGUAGES, Rendering

MAX_TOPICS = 6
"""Topics of one stream; a page needs three at most."""

KINDS: Mapping[str, Permission] = {
    "display": Permission.DISPLAY,
    "speech": Permission.DISPLAY,
    "kiosk": Permission.KIOSK,
    "phone": Permission.PUBLIC,
    "counter": Permission.CALL,
    "day": Permission.DAY_VIEW,
}
"""Kinds of topics with what reading them asks for."""
FRAGMENTS = {
    "display": "fragments/display.html",
    "counter": "fragments/queue.html",
    "day": "fragments/day.html",
}
OF_STAFF = frozenset({"counter", "day"})
"""Kinds that tell of printers and voices too."""


@dataclass(frozen=True, slots=True)
class LiveName:
    """A live topic's name in parts: `display-main.en`."""

    kind: str
    zone: str
    lang: str


def parse_name(clinic: Clinic, name: str) -> LiveName:
    """
    Read a live topic's name.

    Raises:
        NotFound: There is no such topic.
    """
    kind, _, rest = name.partition("-")
    zone, _, lang = rest.partition(".")
    lang = lang or DEFAULT_LANGUAGE
    if (
        kind not in KINDS
        or lang not in dict(LANGUAGES)
        or all(one.code != zone for one in all_zones(clinic))
    ):
        raise NotFound(f"no topic {name[:60]}")
    return LiveName(kind, zone, lang)


def parse_names(clinic: Clinic, text: str) -> list[str]:
    """
    Read the topics of one stream, parted by commas.

    Raises:
        NotFound: One of them does not exist, or there are too many.
    """
    names = list(dict.fromkeys(text.split(",")))
    if len(names) > MAX_TOPICS:
        raise NotFound("too many topics")
    for name in names:
        parse_name(clinic, name)
    return names


class LiveTopics:
    """Renders live topics of one clinic."""

    def __init__(self, clinic: Clinic, rendering: Rendering) -> None:
        self.clinic = clinic
        self.rendering = rendering

    def depends_on(self, name: str) -> frozenset[str]:
        """Name the stored topics that a live topic shows."""
        parts = parse_name(self.clinic, name)
        if parts.kind == "speech":
            return frozenset({speech_topic(parts.zone), SETTINGS_TOPIC})
        shown = {line_topic(parts.zone), SETTINGS_TOPIC, CLOCK_TOPIC}
        if parts.kind in OF_STAFF:
            shown |= {PRINTERS_TOPIC, VOICES_TOPIC}
        return frozenset(shown)

    def render(self, name: str) -> str:
        """Make a topic's data: HTML for fragments, JSON for what each reader reads its own way."""
        parts = parse_name(self.clinic, name)
        if parts.kind == "speech":
            return _speech(self.clinic, parts.zone)
        line = seen_line(self.clinic, parts.zone)
        if parts.kind in FRAGMENTS:
            return self.rendering.render_live(FRAGMENTS[parts.kind], parts.lang, line=line)
        return _kiosk(line) if parts.kind == "kiosk" else _phone(line)


def _kiosk(line: LineView) -> str:
    return json.dumps(
        {
            "units": {
                unit.code: {
                    "remaining": unit.remaining,
                    "waiting": unit.waiting,
                    "active": unit.is_active,
                }
                for unit in line.units
            },
            "open": line.opens_at is None,
            "blocked": line.clock_fault is not None,
        },
        separators=(",", ":"),
    )


def _phone(line: LineView) -> str:
    at_counters = [
        {"number": c.ticket.number, "counter": c.number, "state": c.ticket.state.value}
        for c in line.counters
        if c.ticket is not None
    ]
    return json.dumps(
        {
            "v": line.version,
            "called": at_counters,
            "order": line.order,
            "open_counters": line.open_counters,
            "service_s": round(line.service_s),
            "closed": {t.number: t.state.value for t in (*line.held, *line.skipped)},
        },
        separators=(",", ":"),
    )


def _speech(clinic: Clinic, zone: str) -> str:
    state = speech_state(clinic, zone)
    current = state.current
    return json.dumps(
        {
            "speaker": state.speaker,
            "current": None
            if current is None
            else {
                "id": current.id,
                "number_text": current.number_text,
                "direction_text": current.direction_text,
                "language": current.language,
                "number": current.number,
                "counter": current.counter,
            },
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
