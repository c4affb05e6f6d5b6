"""Counts of one day, for those who watch the server."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from puskesmas_queue.storage.tables import counters, tickets
from puskesmas_queue.storage.transaction import Reading


@dataclass(frozen=True, slots=True)
class TicketCount:
    """How many tickets of a day are alike, and how often they were called."""

    unit: str
    lane: str
    source: str
    state: str
    tickets: int
    calls: int


def tickets_of(tx: Reading, day: date) -> list[TicketCount]:
    """Count the tickets of a day."""
    kind = (tickets.c.unit, tickets.c.lane, tickets.c.source, tickets.c.state)
    rows = tx.conn.execute(
        select(*kind, func.count().label("tickets"), func.sum(tickets.c.calls).label("calls"))
        .where(tickets.c.clinic_id == tx.clinic_id, tickets.c.service_date == day)
        .group_by(*kind)
    )
    return [TicketCount(r.unit, r.lane, r.source, r.state, r.tickets, int(r.calls)) for r in rows]


def counters_of(tx: Reading) -> dict[str, int]:
    """Count the counters by their state."""
    rows = tx.conn.execute(
        select(counters.c.state, func.count().label("number"))
        .where(counters.c.clinic_id == tx.clinic_id)
        .group_by(counters.c.state)
    )
    return {row.state: row.number for row in rows}
