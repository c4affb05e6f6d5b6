"""The line of a zone and day: its ratio state, its heads, and who stands in it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import bindparam, func, select, text, update

from puskesmas_queue.domain.line import SERVICE_SAMPLE, Head, RatioState
from puskesmas_queue.domain.tickets import Lane, Ticket
from puskesmas_queue.storage.tables import (
    AT_COUNTER_SQL,
    AWAY_SQL,
    COMPLETED_SQL,
    STANDING_SQL,
    lines,
    tickets,
    units,
)
from puskesmas_queue.storage.tickets import COLUMNS, to_ticket
from puskesmas_queue.storage.transaction import Reading, Tx, upsert

# Statements are put together once: for a small one that is most of its cost.
_IS_LINE = (
    lines.c.clinic_id == bindparam("of_clinic"),
    lines.c.zone == bindparam("of_zone"),
    lines.c.service_date == bindparam("of_day"),
)
_STANDS = (
    tickets.c.clinic_id == bindparam("of_clinic"),
    tickets.c.zone == bindparam("of_zone"),
    tickets.c.service_date == bindparam("of_day"),
    text(STANDING_SQL),
)
_IN_LANE = (*_STANDS, tickets.c.lane == bindparam("of_lane"))
_RATIO = select(lines.c.priority_taken, lines.c.general_taken).where(*_IS_LINE)
_LOCK_RATIO = _RATIO.with_for_update()
_KEEP_RATIO = update(lines).where(*_IS_LINE)
_HEAD = (
    select(tickets.c.id, tickets.c.order_key, tickets.c.order_tie)
    .where(*_IN_LANE)
    .order_by(tickets.c.order_key, tickets.c.order_tie)
    .limit(1)
)
_HEAD_OF_UNITS = _HEAD.where(tickets.c.unit.in_(bindparam("of_units", expanding=True)))
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
_AT_COUNTER = select(*COLUMNS).where(
    tickets.c.clinic_id == bindparam("of_clinic"),
    tickets.c.counter == bindparam("of_counter"),
    text(AT_COUNTER_SQL),
)
_LOCK_AT_COUNTER = _AT_COUNTER.with_for_update()


def _of(tx: Reading, zone: str, service_date: date, lane: Lane | None = None) -> dict[str, Any]:
    of = {"of_clinic": tx.clinic_id, "of_zone": zone, "of_day": service_date}
    return of if lane is None else {**of, "of_lane": lane.value}


def lock_line(tx: Tx, zone: str, service_date: date) -> RatioState:
    """Lock the zone's line for this transaction, first of all locks, and read its ratio state."""
    of = _of(tx, zone, service_date)
    row = tx.conn.execute(_LOCK_RATIO, of).one_or_none()
    if row is None:
        key = {"clinic_id": tx.clinic_id, "zone": zone, "service_date": service_date}
        tx.conn.execute(
            upsert(tx, lines)
            .values(**key, priority_taken=0, general_taken=0)
            .on_conflict_do_nothing()
        )
        row = tx.conn.execute(_LOCK_RATIO, of).one()
    return RatioState(row.priority_taken, row.general_taken)


def ratio_state(tx: Reading, zone: str, service_date: date) -> RatioState:
    """Read where the ratio stands."""
    row = tx.conn.execute(_RATIO, _of(tx, zone, service_date)).one_or_none()
    return RatioState() if row is None else RatioState(row.priority_taken, row.general_taken)


def keep_ratio_state(tx: Tx, zone: str, service_date: date, state: RatioState) -> None:
    """Store where the ratio stands."""
    taken = {"priority_taken": state.priority_taken, "general_taken": state.general_taken}
    tx.conn.execute(_KEEP_RATIO, {**_of(tx, zone, service_date), **taken})


def head(
    tx: Reading, zone: str, service_date: date, lane: Lane, unit_codes: Sequence[str]
) -> tuple[int, Head] | None:
    """
    Find the first ticket of a lane.

    Args:
        unit_codes: Units that the counter may take, none for all.

    Returns:
        Its id and place, None where nobody waits.
    """
    of = _of(tx, zone, service_date, lane)
    if unit_codes:
        row = tx.conn.execute(_HEAD_OF_UNITS, {**of, "of_units": list(unit_codes)}).one_or_none()
    else:
        row = tx.conn.execute(_HEAD, of).one_or_none()
    return None if row is None else (row.id, Head(row.order_key, row.order_tie))


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
    return [to_ticket(row) for row in rows]


def away(tx: Reading, zone: str, service_date: date) -> list[Ticket]:
    """Read who is called, served, held or skipped, in the order of their numbers."""
    rows = tx.conn.execute(_AWAY, _of(tx, zone, service_date))
    return [to_ticket(row) for row in rows]


def at_counter(tx: Reading, counter: int, *, lock: bool = False) -> Ticket | None:
    """Read the ticket that a counter calls or serves."""
    statement = _LOCK_AT_COUNTER if lock else _AT_COUNTER
    of = {"of_clinic": tx.clinic_id, "of_counter": counter}
    row = tx.conn.execute(statement, of).one_or_none()
    return None if row is None else to_ticket(row)


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
