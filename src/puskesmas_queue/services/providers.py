"""
Printers and announcers: asked in the order of a setting until one has done it.

Source: architecture, section 3, "Facts and ports".
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import InvalidRequest, NotFound
from puskesmas_queue.domain.printers import PrinterPlace
from puskesmas_queue.plugin_host.describing import UNSTORABLE, describe
from puskesmas_queue.plugin_host.manager import BUILT_IN
from puskesmas_queue.plugin_host.outcomes import Fault, PluginFailed
from puskesmas_queue.plugin_ports import Announcer, Printed, Printer, Slip, Speech, Utterance
from puskesmas_queue.services.line import ticket_view
from puskesmas_queue.services.plugin_screens import as_fact
from puskesmas_queue.services.printer_alerts import note
from puskesmas_queue.storage import speech

PRINT_DEADLINE_S = 10.0
BEGIN_S = 8.0
"""So long a slip waits for a plugin that only begins: who switched the server on is in a hurry."""
SPEAK_DEADLINE_S = 1.0
READ_DEADLINE_S = 5.0
"""A page is longer than a call, and nobody in the hall waits for it."""
LONGEST_PAGE = 600
BROWSER = "browser"
ORDERS = ("kiosk.printers", "display.announcers")
"""The settings that name printers and announcers in their order."""
JOB = re.compile(r"[A-Za-z0-9_-]{16,64}")
JOB_BYTES = 15
LONGEST_DETAIL = 300
MOST_SOUND = 8_000_000
"""Bytes of one announcement; a minute of speech as WAV is a third of it."""
STATES = ("printed", "by_page", "unsure", "failed")
P = TypeVar("P", Printer, Announcer)


def is_printed_by_page(clinic: Clinic) -> bool:
    """Say whether the page prints without asking anybody."""
    order: tuple[str, ...] = clinic.settings.get("kiosk.printers")
    return order[0] == BROWSER


def is_spoken_by_page(clinic: Clinic) -> bool:
    """Say whether the page speaks without asking anybody."""
    order: tuple[str, ...] = clinic.settings.get("display.announcers")
    return order[0] == BROWSER


@dataclass(frozen=True, slots=True)
class PrintOrder:
    """
    Which slip is asked for, and from where; `Slip` says what each means.

    Args:
        code: Of the ticket.
        zone: The hall of the place, in which staff are told; empty: that of the ticket.
        job: Empty for a new one.
    """

    code: str
    language: str
    place: Literal["kiosk", "counter"] = "kiosk"
    place_name: str = ""
    zone: str = ""
    job: str = ""


def print_slip(clinic: Clinic, order: PrintOrder) -> Printed:
    """
    Print a ticket's slip by the first printer that does; staff are told of those that do not.

    Returns:
        How it fared; `failed` where no printer did it.

    Raises:
        NotFound: There is no such ticket.
        InvalidRequest: The job has a name that no page gives.
    """
    if order.job and JOB.fullmatch(order.job) is None:
        raise InvalidRequest("a print job is named by 16 to 64 letters, figures, - and _")
    view = ticket_view(clinic, order.code)
    ticket = view.ticket
    slip = Slip(
        ticket=as_fact(clinic, ticket, ticket.state),
        clinic_name=clinic.name,
        clinic_address=clinic.settings.get("clinic.address"),
        issued_at=ticket.issued_at.astimezone(clinic.timezone),
        people_ahead=view.people_ahead,
        estimate_minutes=view.estimate_min,
        status_url=view.status_url or ticket.code,
        language=order.language,
        place=order.place,
        place_name=order.place_name,
        job=order.job or secrets.token_urlsafe(JOB_BYTES),
        unit_name=(view.unit_name_en if order.language == "en" else "") or view.unit_name,
        room=view.room,
        counter_opens=view.counter_opens if view.estimate_min is None else None,
    )
    result = Printed("failed", "no printer")
    known = clinic.contributions.printers()
    for name in clinic.settings.get("kiosk.printers"):
        plugin, printer = known.get(name, ("", None))
        if not clinic.beginnings.wait(plugin, BEGIN_S):
            # It only begins: nothing is the matter that staff could see to.
            continue
        # One that nobody brings prints nothing, but what the last one said is the better reason.
        met = Printed("failed") if printer is None else _print(clinic, plugin, printer, slip)
        at = PrinterPlace(order.zone or ticket.zone, slip.place, slip.place_name, name)
        note(clinic, at, plugin, met, ticket.number)
        if met.state != "failed":
            return met
        result = result if printer is None else met
    return result


def announcement_speech(clinic: Clinic, announcement_id: int) -> Speech:
    """
    Return how an announcement of the last minutes sounds, by the first announcer that answers.

    Raises:
        NotFound: There is no such announcement.
    """
    found = clinic.db.read(lambda tx: speech.by_id(tx, announcement_id))
    if found is None:
        raise NotFound(f"no announcement {announcement_id}")
    parts = (found.number_text, found.direction_text)
    utterance = Utterance(parts, found.language, found.zone, "call")
    return _first_speech(clinic, utterance, SPEAK_DEADLINE_S)


def page_speech(clinic: Clinic, text: str, language: str, zone: str) -> Speech:
    """
    Return how a page of the kiosk sounds, by the first announcer that answers.

    Args:
        clinic: Whose page it is.
        text: What it says; of more than `LONGEST_PAGE` characters the last sentences are left out.
        language: `id` or `en`.
        zone: Where the kiosk stands.
    """
    if len(text) > LONGEST_PAGE:
        text = text[: text.rfind(".", 0, LONGEST_PAGE) + 1] or text[:LONGEST_PAGE]
    utterance = Utterance((text,), language, zone, "page")
    return _first_speech(clinic, utterance, READ_DEADLINE_S)


def missing(clinic: Clinic) -> list[tuple[str, str]]:
    """Return the names in both orders that nobody brings, each with its setting."""
    known: dict[str, Mapping[str, object]] = {
        "kiosk.printers": clinic.contributions.printers(),
        "display.announcers": clinic.contributions.announcers(),
    }
    return [
        (key, name)
        for key, there in known.items()
        for name in clinic.settings.get(key)
        if name not in there
    ]


def _chosen(clinic: Clinic, key: str, known: Mapping[str, tuple[str, P]]) -> list[tuple[str, P]]:
    """Return the providers that a setting names and that are there, in its order."""
    return [known[name] for name in clinic.settings.get(key) if name in known]


def _print(clinic: Clinic, plugin: str, printer: Printer, slip: Slip) -> Printed:
    """Ask one printer; what a plugin's fault was stands in the log, and means nothing to staff."""
    name = f"printer {printer.name}"
    try:
        answer = _run(clinic, plugin, name, PRINT_DEADLINE_S, printer.print_slip, slip)
    except PluginFailed:
        return Printed("failed")
    if type(answer) is not Printed or answer.state not in STATES:
        clinic.hooks.report(Fault(plugin, name, "nonsense", f"answered {describe(answer)}"))
        return Printed("failed")
    told: object = answer.detail
    detail = told if isinstance(told, str) else ""
    return replace(answer, detail=UNSTORABLE.sub(" ", detail)[:LONGEST_DETAIL])


def _first_speech(clinic: Clinic, utterance: Utterance, deadline_s: float) -> Speech:
    order = _chosen(clinic, "display.announcers", clinic.contributions.announcers())
    for plugin, announcer in order:
        answer = _speak(clinic, plugin, announcer, utterance, deadline_s)
        if answer is not None:
            return answer
    # A number on the screen with the browser's voice is better than one in silence.
    return Speech()


def _speak(
    clinic: Clinic, plugin: str, announcer: Announcer, utterance: Utterance, deadline_s: float
) -> Speech | None:
    name = f"announcer {announcer.name}"
    try:
        answer = _run(clinic, plugin, name, deadline_s, announcer.speak, utterance)
    except PluginFailed:
        return None
    if type(answer) is not Speech or not _is_sound(answer):
        clinic.hooks.report(Fault(plugin, name, "nonsense", f"answered {describe(answer)}"))
        return None
    return answer


def _run(clinic: Clinic, plugin: str, name: str, deadline_s: float, *call: Any) -> Any:
    """Call a provider; built-in ones do nothing that could fail or take time."""
    function, *arguments = call
    task = partial(function, *arguments, clinic.plugin_context(plugin))
    if plugin.startswith(BUILT_IN):
        return task()
    return clinic.hooks.run(plugin, name, task, deadline_s)


def _is_sound(made: Any) -> bool:
    """Annotations bind no plugin: look at what would be sent to the TV."""
    if not isinstance(made.sound, tuple) or not isinstance(made.media_type, str):
        return False
    if not isinstance(made.has_chime, bool):
        return False
    if not all(isinstance(one, bytes) for one in made.sound):
        return False
    is_audio = made.media_type.startswith("audio/") and not UNSTORABLE.search(made.media_type)
    return is_audio and sum(map(len, made.sound)) <= MOST_SOUND
