"""What the names in a slip's texts stand for: nothing that tells who somebody is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from babel.dates import format_date

from puskesmas_queue.api import (
    Context,
    DayFact,
    DayShare,
    Lane,
    PaymentType,
    Slip,
    Source,
    TicketFact,
    TicketState,
)
from puskesmas_queue_escpos_printer.blocks import TO_THE_RIGHT, Values, Words
from puskesmas_queue_escpos_printer.paper import PaperProfile

LANE_WORDS = {
    Lane.PRIORITY: Words("PRIORITAS", "PRIORITY"),
    Lane.GENERAL: Words("ANTREAN UMUM", "GENERAL QUEUE"),
    Lane.EMERGENCY: Words("DARURAT", "EMERGENCY"),
}
YES = "1"
"""What a name that is only asked about stands for."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """
    What stands on every slip.

    Args:
        clinic_name: The clinic's.
        clinic_address: Below it; may be empty.
        now: The clinic's time, aware, in its zone.
        language: `id` or `en`.
    """

    clinic_name: str
    clinic_address: str
    now: datetime
    language: str = "id"


@dataclass(frozen=True, slots=True)
class TestFacts:
    """
    What a test page says.

    Args:
        printer: Its name.
        profile: What the printer is taken for.
    """

    __test__ = False  # no tests are in it, whatever pytest thinks of its name

    printer: str
    profile: PaperProfile


def head_of(ctx: Context, language: str = "id") -> Head:
    """Return the head of the clinic's slips."""
    address: str = ctx.settings.get("clinic.address")
    return Head(ctx.clinic_name, address, ctx.local_now, language)


def ticket_values(slip: Slip) -> Values:
    """Return what a ticket says."""
    ticket, language = slip.ticket, slip.language
    is_emergency = ticket.lane is Lane.EMERGENCY
    ahead = None if is_emergency else slip.people_ahead
    return {
        "puskesmas": slip.clinic_name,
        "alamat": slip.clinic_address,
        "nomor": ticket.number,
        "kategori": LANE_WORDS[ticket.lane].say(language),
        "is_priority": YES if ticket.lane is Lane.PRIORITY else "",
        "is_emergency": YES if is_emergency else "",
        "waits": "" if is_emergency else YES,
        "poli": slip.unit_name or ticket.unit_name,
        "ruang": slip.room,
        "tanggal": _day(slip.issued_at, language),
        "jam": _time(slip.issued_at),
        "di_depan": _or_nothing(ahead, lambda n: Words(f"{n} orang", str(n)).say(language)),
        "perkiraan": "" if ahead is None else _estimate(slip),
        "qr": slip.status_url,
        "kode": ticket.code,
        "tempat": _place(slip),
    }


def day_values(day: DayFact, head: Head) -> Values:
    """Return what the slip of a day says."""
    return {
        **_head_values(head),
        "tanggal": _day(day.service_date, head.language),
        "diberikan": str(day.issued),
        "selesai": str(day.completed),
        "batal": str(day.cancelled),
        "hangus": str(day.expired),
        "per_kategori": _shares((_lane_name(one, head.language), one) for one in day.lanes),
        "per_poli": _shares((one.name or one.code, one) for one in day.units),
        "dicetak": f"{head.now:%d-%m-%Y %H:%M} {head.now:%Z}",
    }


def test_values(facts: TestFacts, head: Head) -> Values:
    """Return what a test page says."""
    profile = facts.profile
    return {
        **_head_values(head),
        "printer": facts.printer,
        "kertas": f"{profile.width_mm} mm, {profile.columns} kolom"
        if head.language == "id"
        else f"{profile.width_mm} mm, {profile.columns} columns",
        "set_huruf": profile.code_page.upper(),
        "qr": f"{facts.printer} {head.now:%Y-%m-%d %H:%M}",
    }


def example_ticket(head: Head, profile: PaperProfile, is_priority: bool) -> Values:
    """Return what the ticket of a preview says."""
    lane = Lane.PRIORITY if is_priority else Lane.GENERAL
    ticket = TicketFact(
        id=1,
        service_date=head.now.date(),
        number="P-003" if is_priority else "A-012",
        prefix="P" if is_priority else "A",
        sequence=3 if is_priority else 12,
        unit="umum",
        unit_name="Poli Umum",
        unit_sequence=12,
        zone="main",
        lane=lane,
        payment_type=PaymentType.BPJS,
        source=Source.KIOSK,
        state=TicketState.WAITING,
        code="K7MNQ4WX",
        calls=0,
        issued_at=head.now.astimezone(UTC),
    )
    slip = Slip(
        ticket=ticket,
        clinic_name=head.clinic_name,
        clinic_address=head.clinic_address,
        issued_at=head.now,
        people_ahead=4,
        estimate_minutes=15,
        status_url=f"https://antrean.example/t/{ticket.code}",
        language=head.language,
        place="kiosk",
        place_name="Lobi",
        job="preview-preview-",
        unit_name=Words("Poli Umum", "General clinic").say(head.language),
        room=Words("Ruang 1", "Room 1").say(head.language),
    )
    return ticket_values(slip)


def example_day(head: Head, profile: PaperProfile, is_priority: bool) -> Values:
    """Return what the day's slip of a preview says."""
    yesterday = head.now.date() - timedelta(days=1)
    lanes = (DayShare("general", "", 61, 55), DayShare("priority", "", 23, 21))
    units = (
        DayShare("umum", "Poli Umum", 42, 38),
        DayShare("gigi", "Poli Gigi", 14, 13),
        DayShare("kia", "Poli KIA/KB", 28, 25),
    )
    return day_values(DayFact(yesterday, 84, 76, 3, 5, lanes, units), head)


def example_test(head: Head, profile: PaperProfile, is_priority: bool) -> Values:
    """Return what the test page of a preview says."""
    return test_values(TestFacts("Kiosk", profile), head)


def _lane_name(share: DayShare, language: str) -> str:
    known = {lane.value: words for lane, words in LANE_WORDS.items()}
    return known[share.code].say(language) if share.code in known else share.code


def _shares(shares: Iterable[tuple[str, DayShare]]) -> str:
    """Say of each how many were given and served, a line each."""
    return "\n".join(
        f"{name}{TO_THE_RIGHT}{share.issued} / {share.completed}" for name, share in shares
    )


def _head_values(head: Head) -> Values:
    return {
        "puskesmas": head.clinic_name,
        "alamat": head.clinic_address,
        "tanggal": _day(head.now, head.language),
        "jam": _time(head.now),
    }


def _day(day: date, language: str) -> str:
    locale = "en_GB" if language == "en" else "id"
    return str(format_date(day, "EEEE, d MMMM y", locale=locale))


def _time(at: datetime) -> str:
    return f"{at:%H:%M} {at:%Z}"


def _estimate(slip: Slip) -> str:
    minutes, opens = slip.estimate_minutes, slip.counter_opens
    if minutes is None and opens:
        said = Words(f"loket buka {opens}", f"counters open {opens}")
    elif minutes is None:
        said = Words("menunggu loket dibuka", "when counters open")
    elif minutes == 0:
        said = Words("sebentar lagi", "soon")
    else:
        said = Words(f"± {minutes} menit", f"± {minutes} minutes")
    return said.say(slip.language)


def _place(slip: Slip) -> str:
    if slip.place == "counter":
        words = Words(f"Loket {slip.place_name}", f"Counter {slip.place_name}")
        return words.say(slip.language) if slip.place_name else ""
    return slip.place_name


def _or_nothing(value: T | None, say: Callable[[T], str]) -> str:
    return "" if value is None else say(value)
