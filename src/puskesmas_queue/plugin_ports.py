"""
Printers and announcers that a plugin brings along: what they are given, and how it fared.

Shapes only. Source: architecture, section 3, "Facts and ports".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from puskesmas_queue.domain.events import TicketFact
from puskesmas_queue.extensions import Context


@dataclass(frozen=True, slots=True)
class Slip:
    """
    What stands on the paper: nothing that tells who somebody is, and no reason of priority.

    Args:
        ticket: Whose number it is.
        clinic_name: For its head.
        clinic_address: Below it; may be empty.
        issued_at: When it was taken, in the clinic's zone.
        people_ahead: How many are called before; None where the ticket waits no more.
        estimate_minutes: How long that will take; None where nobody knows.
        status_url: What the QR code holds, the ticket's code where there is no address.
        language: `id` or `en`.
        place: Where it is asked for.
        place_name: The name that the kiosk was paired under, its zone where it was not paired; or
            the counter's number, empty where staff print from no counter.
        job: 16 to 64 letters, digits, `-` and `_`: the same when a page asks again since the
            answer was lost, another one for each tap of the button that prints again.
        unit_name: The unit's name in the slip's language.
        room: Where the unit is; may be empty.
        counter_opens: `07:30` where nobody knows how long it takes since no counter is open yet.
    """

    ticket: TicketFact
    clinic_name: str
    clinic_address: str
    issued_at: datetime
    people_ahead: int | None
    estimate_minutes: int | None
    status_url: str
    language: str
    place: Literal["kiosk", "counter"]
    place_name: str
    job: str
    unit_name: str = ""
    room: str = ""
    counter_opens: str | None = None


@dataclass(frozen=True, slots=True)
class Printed:
    """
    How a slip fared.

    Args:
        state: `printed`: the paper is out. `by_page`: the page that shows the number prints it.
            `unsure`: it may be out, and is not printed a second time by itself. `failed`: it is
            not out; the next printer is asked.
        detail: Why, for staff: a short text that is looked up in the plugin's catalogues, "kertas
            habis" say. With `printed` it says what they should see to all the same; empty: all is
            well.
    """

    state: Literal["printed", "by_page", "unsure", "failed"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Printer:
    """
    Something that prints slips, chosen by its name in the setting `kiosk.printers`.

    Args:
        name: Small letters, digits and hyphens.
        print_slip: Sync, 10 s.
    """

    name: str
    print_slip: Callable[[Slip, Context], Printed]


@dataclass(frozen=True, slots=True)
class Utterance:
    """
    What is to be said.

    Args:
        parts: Whom a call is for and where to go, so that a voice can keep each of them; or the
            one text of a page that is read aloud.
        language: `id` or `en`.
        zone: The hall in which it is heard.
        kind: `call`: spoken by the TV. `page`: a page of the kiosk, read to whoever stands there;
            up to 600 characters in whole sentences, the same each time but for a ticket's page.
    """

    parts: tuple[str, ...]
    language: str
    zone: str
    kind: Literal["call", "page"]


@dataclass(frozen=True, slots=True)
class Speech:
    """
    How something sounds.

    Args:
        sound: Sound files that browsers play (WAV, MP3, Ogg), one after the other; empty: the
            page speaks with the browser's own voice.
        media_type: Of each, `audio/wav` say.
        has_chime: Whether the sound begins with a chime of its own: the TV makes none then.
    """

    sound: tuple[bytes, ...] = ()
    media_type: str = "audio/wav"
    has_chime: bool = False


@dataclass(frozen=True, slots=True)
class Announcer:
    """
    Something that speaks, chosen by its name in the setting `display.announcers`.

    Args:
        name: Small letters, digits and hyphens.
        speak: Sync, 1 s for a call and 5 s for a page: then the next announcer is asked.
    """

    name: str
    speak: Callable[[Utterance, Context], Speech]
