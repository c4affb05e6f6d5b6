"""The line of a zone and day: its ratio state, its heads, and who stands in it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select, text, update

from puskesmas_queue.domain.line import SERVICE_SAMPLE, Head, RatioState
from puskesmas_queue.domain.tickets import Lane, Ticket
from puskesmas_queue.storage.engine import Reading, Tx, upsert
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


def lock_line(tx: Tx, zone: str, service_date: date) -> RatioState:
    """Lock the zone's line for this transaction, first of all locks, and read its ratio state."""
    key = {"clinic_id": tx.clinic_id, "zone": zone, "service_date": service_date}
    mine = _is_line(tx, zone, service_date)
    statement = select(lines.c.priority_taken, lines.c.general_taken).where(*mine)
    row = tx.conn.execute(statement.with_for_update()).one_or_none()
    if row is None:
        tx.conn.execute(
            upsert(tx, lines)
            .values(**key, priority_taken=0, general_taken=0)
            .on_conflict_do_nothing()
        )
        row = tx.conn.execute(statement.with_for_update()).one()
    return RatioState(row.priority_taken, row.general_taken)


def ratio_state(tx: Reading, zone: str, service_date: date) -> RatioState:
    """Read where the ratio stands."""
    row = tx.conn.execute(
        select(lines.c.priority_taken, lines.c.general_taken).where(
            *_is_line(tx, zone, service_date)
        )
    ).one_or_none()
    return RatioState() if row is None else RatioState(row.priority_taken, row.general_taken)


def keep_ratio_state(tx: Tx, zone: str, service_date: date, state: RatioState) -> None:
    """Store where the ratio stands."""
    tx.conn.execute(
        update(lines)
        .where(*_is_line(tx, zone, service_date))
        .values(priority_taken=state.priority_taken, general_taken=state.general_taken)
    )


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
    statement = (
        select(tickets.c.id, tickets.c.order_key, tickets.c.order_tie)
        .where(*_stands(tx, zone, service_date, lane))
        .order_by(tickets.c.order_key, tickets.c.order_tie)
        .limit(1)
    )
    if unit_codes:
        statement = statement.where(tickets.c.unit.in_(unit_codes))
    row = tx.conn.execute(statement).one_or_none()
    return None if row is None else (row.id, Head(row.order_key, row.order_tie))


def places(
    tx: Reading, zone: str, service_date: date, lane: Lane, most: int | None = None
) -> list[tuple[int, int]]:
    """Read the places of a lane in lane order, the first `most` of them."""
    rows = tx.conn.execute(
        select(tickets.c.order_key, tickets.c.order_tie)
        .where(*_stands(tx, zone, service_date, lane))
        .order_by(tickets.c.order_key, tickets.c.order_tie)
        .limit(most)
    )
    return [(row.order_key, row.order_tie) for row in rows]


def last_place(tx: Reading, zone: str, service_date: date, lane: Lane) -> tuple[int, int] | None:
    """Read the place at the end of a lane, None where it is empty."""
    row = tx.conn.execute(
        select(tickets.c.order_key, tickets.c.order_tie)
        .where(*_stands(tx, zone, service_date, lane))
        .order_by(tickets.c.order_key.desc(), tickets.c.order_tie.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.order_key, row.order_tie)


def waiting(tx: Reading, zone: str, service_date: date) -> dict[Lane, int]:
    """Count who stands in the line, by lane."""
    rows = tx.conn.execute(
        select(tickets.c.lane, func.count().label("times"))
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.zone == zone,
            tickets.c.service_date == service_date,
            text(STANDING_SQL),
        )
        .group_by(tickets.c.lane)
    )
    return {Lane(row.lane): row.times for row in rows}


def standing(tx: Reading, zone: str, service_date: date) -> list[Ticket]:
    """Read who stands in the line, each lane in its order, the emergency lane too."""
    rows = tx.conn.execute(
        select(*COLUMNS)
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.zone == zone,
            tickets.c.service_date == service_date,
            text(STANDING_SQL),
        )
        .order_by(tickets.c.lane, tickets.c.order_key, tickets.c.order_tie)
    )
    return [to_ticket(row) for row in rows]


def away(tx: Reading, zone: str, service_date: date) -> list[Ticket]:
    """Read who is called, served, held or skipped, in the order of their numbers."""
    rows = tx.conn.execute(
        select(*COLUMNS)
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.zone == zone,
            tickets.c.service_date == service_date,
            text(AWAY_SQL),
        )
        .order_by(tickets.c.id)
    )
    return [to_ticket(row) for row in rows]


def at_counter(tx: Reading, counter: int, *, lock: bool = False) -> Ticket | None:
    """Read the ticket that a counter calls or serves."""
    statement = select(*COLUMNS).where(
        tickets.c.clinic_id == tx.clinic_id,
        tickets.c.counter == counter,
        text(AT_COUNTER_SQL),
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).one_or_none()
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


def _is_line(tx: Reading, zone: str, service_date: date) -> tuple[ColumnElement[bool], ...]:
    return (
        lines.c.clinic_id == tx.clinic_id,
        lines.c.zone == zone,
        lines.c.service_date == service_date,
    )


def _stands(tx: Reading, zone: str, service_date: date, lane: Lane) -> tuple[Any, ...]:
    return (
        tickets.c.clinic_id == tx.clinic_id,
        tickets.c.zone == zone,
        tickets.c.service_date == service_date,
        tickets.c.lane == lane.value,
        text(STANDING_SQL),
    )
