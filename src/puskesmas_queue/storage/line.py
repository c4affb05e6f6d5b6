"""The line of a zone and day: its ratio state, its heads, and who stands in it."""

from datetime import date
from typing import Any

from sqlalchemy import bindparam, func, select, text

from puskesmas_queue.domain.line import SERVICE_SAMPLE, RatioState
from puskesmas_queue.domain.tickets import Lane, Ticket
from puskesmas_queue.storage.round_trips import locking
from puskesmas_queue.storage.tables import (
    AT_COUNTER_SQL,
    AWAY_SQL,
    COMPLETED_SQL,
    STANDING_SQL,
    tickets,
    units,
)
from puskesmas_queue.storage.tickets import COLUMNS, SELECT_TICKET, first_ticket, ticket_of
from puskesmas_queue.storage.transaction import Reading, Tx

# Statements are put together once: for a small one that is most of its cost.
_STANDS = (
    tickets.c.clinic_id == bindparam("of_clinic"),
    tickets.c.zone == bindparam("of_zone"),
    tickets.c.service_date == bindparam("of_day"),
    text(STANDING_SQL),
)
_IN_LANE = (*_STANDS, tickets.c.lane == bindparam("of_lane"))
_RATIO = (
    "SELECT priority_taken, general_taken FROM lines "
    "WHERE clinic_id = :clinic_id AND zone = :zone AND service_date = :day"
)
_READ_RATIO = text(_RATIO)
_LOCK_RATIO = locking(_RATIO)
_ADD_LINE = text(
    "INSERT INTO lines (clinic_id, zone, service_date, priority_taken, general_taken) "
    "VALUES (:clinic_id, :zone, :day, 0, 0) ON CONFLICT DO NOTHING"
)
_KEEP_RATIO = text(
    "UPDATE lines SET priority_taken = :priority, general_taken = :general "
    "WHERE clinic_id = :clinic_id AND zone = :zone AND service_date = :day"
)
_WAITING = (
    select(tickets.c.lane, func.count().label("times")).where(*_STANDS).group_by(tickets.c.lane)
)
_STANDING = (
    select(*COLUMNS)
    .where(*_STANDS)
    .order_by(tickets.c.lane, tickets.c.order_key, tickets.c.order_tie)
)
_AWAY = (
    select(*COLUMNS)
    .where(
        tickets.c.clinic_id == bindparam("of_clinic"),
        tickets.c.zone == bindparam("of_zone"),
        tickets.c.service_date == bindparam("of_day"),
        text(AWAY_SQL),
    )
    .order_by(tickets.c.id)
)
AT_COUNTER = (
    f"{SELECT_TICKET} WHERE clinic_id = :clinic_id AND counter = :counter AND {AT_COUNTER_SQL}"
)
_READ_AT_COUNTER = text(AT_COUNTER)
_LOCK_AT_COUNTER = locking(AT_COUNTER)


def _of(tx: Reading, zone: str, service_date: date, lane: Lane | None = None) -> dict[str, Any]:
    of = {"of_clinic": tx.clinic_id, "of_zone": zone, "of_day": service_date}
    return of if lane is None else {**of, "of_lane": lane.value}


def lock_line(tx: Tx, zone: str, service_date: date) -> RatioState:
    """Lock the zone's line for this transaction, first of all locks, and read its ratio state."""
    of = {"clinic_id": tx.clinic_id, "zone": zone, "day": service_date}
    lock = (_LOCK_RATIO[tx.dialect], of)
    (rows,) = tx.ask(lock)
    if not rows:
        _, rows = tx.ask((_ADD_LINE, of), lock)
    return RatioState(*rows[0])


def ratio_state(tx: Reading, zone: str, service_date: date) -> RatioState:
    """Read where the ratio stands."""
    of = {"clinic_id": tx.clinic_id, "zone": zone, "day": service_date}
    (rows,) = tx.ask((_READ_RATIO, of))
    return RatioState(*rows[0]) if rows else RatioState()


def keep_ratio_state(tx: Tx, zone: str, service_date: date, state: RatioState) -> None:
    """Store where the ratio stands."""
    of = {"clinic_id": tx.clinic_id, "zone": zone, "day": service_date}
    taken = {"priority": state.priority_taken, "general": state.general_taken}
    tx.later(_KEEP_RATIO, {**of, **taken})


def places(
    tx: Reading, zone: str, service_date: date, lane: Lane, most: int | None = None
) -> list[tuple[int, int]]:
    """Read the places of a lane in lane order, the first `most` of them."""
    rows = tx.conn.execute(
        select(tickets.c.order_key, tickets.c.order_tie)
        .where(*_IN_LANE)
        .order_by(tickets.c.order_key, tickets.c.order_tie)
        .limit(most),
        _of(tx, zone, service_date, lane),
    )
    return [(row.order_key, row.order_tie) for row in rows]


def last_place(tx: Reading, zone: str, service_date: date, lane: Lane) -> tuple[int, int] | None:
    """Read the place at the end of a lane, None where it is empty."""
    row = tx.conn.execute(
        select(tickets.c.order_key, tickets.c.order_tie)
        .where(*_IN_LANE)
        .order_by(tickets.c.order_key.desc(), tickets.c.order_tie.desc())
        .limit(1),
        _of(tx, zone, service_date, lane),
    ).one_or_none()
    return None if row is None else (row.order_key, row.order_tie)


def waiting(tx: Reading, zone: str, service_date: date) -> dict[Lane, int]:
    """Count who stands in the line, by lane."""
    rows = tx.conn.execute(_WAITING, _of(tx, zone, service_date))
    return {Lane(row.lane): row.times for row in rows}


def standing(tx: Reading, zone: str, service_date: date) -> list[Ticket]:
    """Read who stands in the line, each lane in its order, the emergency lane too."""
    rows = tx.conn.execute(_STANDING, _of(tx, zone, service_date))
    return [ticket_of(row) for row in rows]


def away(tx: Reading, zone: str, service_date: date) -> list[Ticket]:
    """Read who is called, served, held or skipped, in the order of their numbers."""
    rows = tx.conn.execute(_AWAY, _of(tx, zone, service_date))
    return [ticket_of(row) for row in rows]


def at_counter(tx: Reading, counter: int, *, lock: bool = False) -> Ticket | None:
    """Read the ticket that a counter calls or serves."""
    statement = _LOCK_AT_COUNTER[tx.dialect] if lock else _READ_AT_COUNTER
    (rows,) = tx.ask((statement, {"clinic_id": tx.clinic_id, "counter": counter}))
    return first_ticket(rows)


def service_times(tx: Reading, zone: str) -> list[float]:
    """Read the latest service times of a zone, seconds, newest first."""
    rows = tx.conn.execute(
        select(tickets.c.serving_at, tickets.c.completed_at)
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.zone == zone,
            text(COMPLETED_SQL),
        )
        .order_by(tickets.c.completed_at.desc())
        .limit(SERVICE_SAMPLE)
    )
    # A clock that was set back in between measures nothing below 0.
    return [max(0.0, (row.completed_at - row.serving_at).total_seconds()) for row in rows]


def issued_in_lane(tx: Reading, zone: str, service_date: date, lane: Lane) -> int:
    """Count a day's tickets of one lane, whatever became of them."""
    return tx.conn.execute(
        select(func.count())
        .select_from(tickets)
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.service_date == service_date,
            tickets.c.zone == zone,
            tickets.c.lane == lane.value,
        )
    ).scalar_one()


def last_called(tx: Reading, service_date: date) -> dict[str, str]:
    """Read the latest number called for each unit today, by unit."""
    latest = (
        select(tickets.c.number)
        .where(
            tickets.c.clinic_id == units.c.clinic_id,
            tickets.c.service_date == service_date,
            tickets.c.unit == units.c.code,
            text("last_called_at IS NOT NULL"),
        )
        .order_by(tickets.c.last_called_at.desc())
        .limit(1)
        .correlate(units)
        .scalar_subquery()
    )
    rows = tx.conn.execute(
        select(units.c.code, latest.label("number")).where(units.c.clinic_id == tx.clinic_id)
    )
    return {row.code: row.number for row in rows if row.number is not None}
