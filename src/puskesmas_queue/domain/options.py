"""
What a clinic changes from day to day: every setting with its form and preset.

A setting is stored as text, with its history; here is what each text may be.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from difflib import get_close_matches
from typing import Any

from puskesmas_queue.domain.errors import InvalidSetting, UnknownName
from puskesmas_queue.domain.line import Ratio


@dataclass(frozen=True, slots=True)
class Option:
    """
    One setting.

    Args:
        key: `section.name`.
        default: The preset, as text.
        description: What it does, with its unit.
        expected: What it takes, in words.
        parse: Turns text into the value; raises ValueError.
    """

    key: str
    default: str
    description: str
    expected: str
    parse: Callable[[str], Any]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,6}", text.strip()):
            raise ValueError(text)
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _flag(text: str) -> bool:
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    value = words.get(text.strip().lower())
    if value is None:
        raise ValueError(text)
    return value


def _time(text: str) -> time:
    match = re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)", text.strip())
    if match is None:
        raise ValueError(text)
    return time(int(match[1]), int(match[2]))


def _line_of_text(most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > most or any(ord(char) < 32 for char in text):
            raise ValueError(text)
        return text.strip()

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return parse


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name) for name in names):
        raise ValueError(text)
    return tuple(dict.fromkeys(names))


def _order(key: str, description: str) -> Option:
    return Option(
        key,
        "browser",
        description,
        "names of small letters, figures and hyphens, the first choice first: a, b",
        _names,
    )


def _colour(text: str) -> str:
    if text and not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(text)
    return text.lower()


def _minutes(key: str, default: int, high: int, description: str) -> Option:
    return Option(key, str(default), description, f"whole minutes, 1 to {high}", _whole(1, high))


def _count(key: str, default: int, low: int, high: int, description: str) -> Option:
    return Option(
        key, str(default), description, f"a whole number, {low} to {high}", _whole(low, high)
    )


def _switch(key: str, default: bool, description: str) -> Option:
    return Option(key, "true" if default else "false", description, "true or false", _flag)


def _clock(key: str, default: str, description: str) -> Option:
    return Option(key, default, description, "a time like 07:30", _time)


def _text(key: str, default: str, most: int, description: str) -> Option:
    return Option(
        key, default, description, f"one line of up to {most} characters", _line_of_text(most)
    )


_ALL = (
    Option(
        "queue.priority_ratio",
        "2:1",
        "How many priority tickets are called before how many general ones; `full`: priority "
        "always first; `first_come`: whoever came first",
        "a:b like 2:1, full or first_come",
        Ratio.parse,
    ),
    _clock("queue.reset_time", "06:00", "When the kiosk opens"),
    _clock("queue.operating_start", "07:30", "When the counters open"),
    _clock("queue.operating_end", "14:00", "When the kiosk closes"),
    _minutes(
        "queue.avg_service_minutes",
        5,
        120,
        "Minutes a patient takes, until there are measured ones",
    ),
    _count("queue.max_calls", 3, 1, 9, "Calls before a ticket may be skipped"),
    _count("queue.recall_interval_s", 20, 0, 300, "Seconds between two calls of one ticket"),
    _count("queue.reinsert_after", 3, 1, 20, "Tickets of its lane that go before one that is back"),
    _minutes("queue.hold_minutes", 60, 600, "Minutes a held ticket is kept"),
    _switch("kiosk.ask_payment", True, "Whether the kiosk asks how the visit is paid"),
    _switch("kiosk.print", True, "Whether the kiosk prints the slip"),
    _order("kiosk.printers", "Printers of slips: the first that prints counts"),
    Option(
        "kiosk.slip_width_mm",
        "80",
        "Paper width of the slip, millimetres",
        "80 or 58",
        _one_of("80", "58"),
    ),
    _count("kiosk.clear_after_s", 15, 5, 120, "Seconds the number stays on the kiosk"),
    _count("kiosk.idle_s", 45, 10, 600, "Seconds without a touch before the kiosk asks"),
    _text(
        "display.running_text",
        "Siapkan KTP dan kartu BPJS Anda. Perhatikan nomor di layar.",
        500,
        "Text that runs along the bottom of the TV",
    ),
    _switch(
        "display.show_priority_reason",
        False,
        "Whether public screens show why a ticket is priority (health data)",
    ),
    _switch("display.voice", True, "Whether the TV speaks the calls"),
    _order("display.announcers", "Voices of TV and kiosk: the first that answers counts"),
    _switch("display.chime", True, "Whether the TV chimes before a call"),
    Option(
        "display.language",
        "id",
        "Language of the TV and its voice",
        "id or en",
        _one_of("id", "en"),
    ),
    _count("display.viewing_distance_m", 6, 1, 30, "Metres from the TV to the last row"),
    _count("display.panel_inches", 43, 19, 110, "Diagonal of the TV, inches"),
    _text("clinic.motto", "Melayani Sepenuh Hati", 100, "Motto under the clinic's name"),
    _text("clinic.phone", "", 40, "Phone number on the kiosk's help page"),
    _text("clinic.address", "", 200, "Address on the slip"),
    Option(
        "clinic.accent_colour",
        "",
        "The clinic's colour in place of the green; dark enough for white text",
        "a colour like #0a5c4f, or nothing",
        _colour,
    ),
    _minutes("counter.lock_minutes", 15, 600, "Minutes without a touch before a counter locks"),
)

OPTIONS: Mapping[str, Option] = {option.key: option for option in _ALL}
"""Every setting by its key."""


def option(key: str) -> Option:
    """
    Find a setting.

    Raises:
        UnknownName: There is none of that name; the nearest one is named.
    """
    if key not in OPTIONS:
        nearest = get_close_matches(key, OPTIONS, n=1)
        raise UnknownName("setting", key, nearest[0] if nearest else None)
    return OPTIONS[key]


def parse_option(key: str, value: str) -> Any:
    """
    Read a setting's text.

    Raises:
        UnknownName: There is no such setting.
        InvalidSetting: The setting does not take this value.
    """
    found = option(key)
    try:
        return found.parse(value)
    except ValueError as error:
        raise InvalidSetting(key, value, found.expected) from error
