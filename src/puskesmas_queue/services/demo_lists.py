"""What the demo lists: slips of the day and announcements."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.services.line import all_units, today
from puskesmas_queue.storage import speech, tickets


def printed(clinic: Clinic, limit: int) -> list[dict[str, object]]:
    """Return what stands on the day's latest slips, newest first."""
    day = today(clinic)
    names = {unit.code: unit.name for unit in all_units(clinic)}
    latest = clinic.db.read(lambda tx: tickets.all_of_day(tx, day))[-limit:]
    return [
        {
            "number": ticket.number,
            "lane": ticket.lane.value,
            "unit": names[ticket.unit],
            "payment_type": None if ticket.payment_type is None else ticket.payment_type.value,
            "code": ticket.code,
            "issued_at": ticket.issued_at.astimezone(clinic.timezone).isoformat(timespec="seconds"),
        }
        for ticket in reversed(latest)
    ]


def announced(clinic: Clinic, limit: int) -> list[dict[str, object]]:
    """Return the latest announcements, newest first."""
    return [
        {
            "id": one.id,
            "number": one.number,
            "counter": one.counter,
            "text": f"{one.number_text} {one.direction_text}",
            "state": one.state,
            "at": one.created_at.astimezone(clinic.timezone).isoformat(timespec="seconds"),
        }
        for one in clinic.db.read(lambda tx: speech.latest(tx, limit))
    ]
