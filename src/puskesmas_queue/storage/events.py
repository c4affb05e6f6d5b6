"""What happened: reading events back."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, or_, select

from puskesmas_queue.storage.tables import events, tickets
from puskesmas_queue.storage.transaction import Reading


@dataclass(frozen=True, slots=True)
class Happened:
    """One event; `number` and `lane` are those of its ticket, None where it is of a counter."""

    at: datetime
    kind: str
    counter: int | None
    number: str | None
    lane: str | None


def of_day(tx: Reading, day: date, begins: datetime, ends: datetime) -> list[Happened]:
    """
    Read what happened to a day's tickets, whenever it did, and to counters within the day.

    Args:
        tx: The look.
        day: The service date.
        begins: Its first instant.
        ends: The first instant after it.

    Returns:
        In the order in which they were stored.
    """
    of_ticket = and_(tickets.c.clinic_id == events.c.clinic_id, tickets.c.id == events.c.ticket_id)
    of_counters = and_(
        events.c.ticket_id.is_(None),
        events.c.counter.is_not(None),
        events.c.occurred_at >= begins,
        events.c.occurred_at < ends,
    )
    rows = tx.conn.execute(
        select(
            events.c.occurred_at, events.c.kind, events.c.counter, tickets.c.number, tickets.c.lane
        )
        .select_from(events.outerjoin(tickets, of_ticket))
        .where(
            events.c.clinic_id == tx.clinic_id,
            or_(tickets.c.service_date == day, of_counters),
        )
        .order_by(events.c.id)
    )
    return [Happened(*row) for row in rows]
