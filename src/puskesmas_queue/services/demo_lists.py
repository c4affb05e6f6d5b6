"""What the demo lists: slips, announcements, and a whole day for those who play one."""

from datetime import date, datetime, time, timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.services.counters import all_counters
from puskesmas_queue.services.line import all_units, default_zone, today
from puskesmas_queue.storage import events, speech, tickets


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


def hall(clinic: Clinic) -> dict[str, object]:
    """
    Return what there is for those who play a morning.

    The time, the latest day with a ticket, the units that patients can choose and the counters
    of the first zone.
    """
    zone = default_zone(clinic)
    latest = clinic.db.read(tickets.newest_day)
    return {
        "now": clinic.clock.now().astimezone(clinic.timezone).isoformat(),
        "zone": clinic.config.clinic.zone,
        "latest_day": None if latest is None else latest.isoformat(),
        "units": [
            unit.code
            for unit in all_units(clinic)
            if unit.zone == zone and unit.is_active and not unit.is_emergency
        ],
        "counters": [one.number for one in all_counters(clinic) if one.zone == zone],
    }


def tickets_of(clinic: Clinic, day: date) -> list[dict[str, object]]:
    """Return every ticket of a day in the order it was issued."""
    return [
        {
            "id": ticket.id,
            "number": ticket.number,
            "code": ticket.code,
            "lane": ticket.lane.value,
            "unit": ticket.unit,
            "status": ticket.state.value,
        }
        for ticket in clinic.db.read(lambda tx: tickets.all_of_day(tx, day))
    ]


def events_of(clinic: Clinic, day: date) -> list[dict[str, object]]:
    """Return what happened to a day's tickets and at its counters, in order."""
    begins = datetime.combine(day, time(), clinic.timezone)
    ends = datetime.combine(day + timedelta(days=1), time(), clinic.timezone)
    return [
        {
            "at": row.at.astimezone(clinic.timezone).isoformat(),
            "kind": row.kind,
            "number": row.number,
            "lane": row.lane,
            "counter": row.counter,
        }
        for row in clinic.db.read(lambda tx: events.of_day(tx, day, begins, ends))
    ]
