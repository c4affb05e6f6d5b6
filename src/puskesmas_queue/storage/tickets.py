"""Ticket rows: reading one, changing one, counting places."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, delete, func, select, text, update

from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    Ticket,
    TicketState,
)
from puskesmas_queue.storage.round_trips import local_date, locking, moment
from puskesmas_queue.storage.tables import OPEN_SQL, day_counts, idempotency_keys, tickets
from puskesmas_queue.storage.transaction import Reading, Tx

COLUMNS = [tickets.c[field.name] for field in fields(Ticket)]

SELECT_TICKET = f"SELECT {', '.join(f'tickets.{column.name}' for column in COLUMNS)} FROM tickets"
_BY_ID = f"{SELECT_TICKET} WHERE clinic_id = :clinic_id AND id = :ticket"
_LOCK_BY_ID = locking(_BY_ID)
_LOCK_UNLESS_HELD = locking(f"{_BY_ID} AND state <> 'held'")
_READ_BY_ID = text(_BY_ID)
_READ_BY_CODE = text(f"{SELECT_TICKET} WHERE clinic_id = :clinic_id AND code = :code")


def _optional(make: Callable[[str], Any]) -> Callable[[str | None], Any]:
    return lambda value: None if value is None else make(value)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "service_date": local_date,
    "lane": Lane,
    "priority_reason": _optional(PriorityReason),
    "payment_type": _optional(PaymentType),
    "source": Source,
    "state": TicketState,
    **{column.name: moment for column in COLUMNS if column.name.endswith(("_at", "_time"))},
}
_MAKER_BY_PLACE = [
    (place, _MAKERS[column.name]) for place, column in enumerate(COLUMNS) if column.name in _MAKERS
]


def ticket_of(row: Sequence[Any]) -> Ticket:
    """Make a ticket of the values of `COLUMNS`, as SQLAlchemy or a driver reads them."""
    values = list(row)
    for place, make in _MAKER_BY_PLACE:
        values[place] = make(values[place])
    return Ticket(*values)


def first_ticket(rows: Sequence[Sequence[Any]]) -> Ticket | None:
    """Make a ticket of the first of some rows, None where there is none."""
    return ticket_of(rows[0]) if rows else None


def by_id(tx: Reading, ticket_id: int, *, lock: bool = False) -> Ticket | None:
    """Read a ticket; with `lock` nobody else changes it until this transaction ends."""
    statement = _LOCK_BY_ID[tx.dialect] if lock else _READ_BY_ID
    (rows,) = tx.ask((statement, {"clinic_id": tx.clinic_id, "ticket": ticket_id}))
    return first_ticket(rows)


def lock_unless_held(tx: Tx, ticket_id: int) -> Ticket | None:
    """Lock a ticket, but not one that is held: its counter has to be locked before."""
    of = {"clinic_id": tx.clinic_id, "ticket": ticket_id}
    (rows,) = tx.ask((_LOCK_UNLESS_HELD[tx.dialect], of))
    return first_ticket(rows)


def numbers(tx: Reading, ids: Iterable[int]) -> dict[int, str]:
    """Return the numbers that patients see, by id."""
    rows = tx.conn.execute(
        select(tickets.c.id, tickets.c.number).where(
            tickets.c.clinic_id == tx.clinic_id, tickets.c.id.in_(sorted(set(ids)))
        )
    )
    return {row.id: row.number for row in rows}


def by_code(tx: Reading, code: str) -> Ticket | None:
    """Read the ticket of a status page."""
    (rows,) = tx.ask((_READ_BY_CODE, {"clinic_id": tx.clinic_id, "code": code}))
    return first_ticket(rows)


def by_number(tx: Reading, service_date: date, number: str) -> Ticket | None:
    """Read a ticket by what is printed on it."""
    row = tx.conn.execute(
        select(*COLUMNS).where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.service_date == service_date,
            tickets.c.number == number,
        )
    ).one_or_none()
    return None if row is None else ticket_of(row)


def change(tx: Tx, ticket: Ticket, **values: Any) -> Ticket:
    """Change columns of a ticket that is locked, and return it changed."""
    of = {"of_clinic": tx.clinic_id, "of_ticket": ticket.id}
    tx.later(_change(tuple(values)), {**of, **values})
    return replace(ticket, **values)


@lru_cache
def _change(names: tuple[str, ...]) -> TextClause:
    """Put a statement together once: for a small one that is most of its cost."""
    given = ", ".join(f"{tickets.c[name].name} = :{name}" for name in names)
    return text(f"UPDATE tickets SET {given} WHERE clinic_id = :of_clinic AND id = :of_ticket")


def left_open(tx: Reading, before: date, limit: int) -> list[Ticket]:
    """Read open tickets of days before this one, oldest first."""
    rows = tx.conn.execute(
        select(*COLUMNS)
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.service_date < before,
            text(OPEN_SQL),
        )
        .order_by(tickets.c.id)
        .limit(limit)
    )
    return [ticket_of(row) for row in rows]


def held_since(tx: Reading, service_date: date, before: datetime) -> list[Ticket]:
    """Read today's tickets that are held since before that moment."""
    rows = tx.conn.execute(
        select(*COLUMNS).where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.service_date == service_date,
            text("state = 'held'"),
            tickets.c.held_at <= before,
        )
    )
    return [ticket_of(row) for row in rows]


def all_of_day(tx: Reading, service_date: date) -> list[Ticket]:
    """Read every ticket of a day in the order it was issued."""
    rows = tx.conn.execute(
        select(*COLUMNS)
        .where(tickets.c.clinic_id == tx.clinic_id, tickets.c.service_date == service_date)
        .order_by(tickets.c.id)
    )
    return [ticket_of(row) for row in rows]


def page_of_day(
    tx: Reading,
    service_date: date,
    *,
    after: int,
    limit: int,
    state: TicketState | None = None,
    unit: str | None = None,
) -> list[Ticket]:
    """Read the tickets of a day that come after an id, in the order they were issued."""
    # Added to nothing, so that no planner walks all ids in order to save itself the sorting.
    place = tickets.c.id + 0
    statement = select(*COLUMNS).where(
        tickets.c.clinic_id == tx.clinic_id,
        tickets.c.service_date == service_date,
        place > after,
    )
    if state is not None:
        statement = statement.where(tickets.c.state == state.value)
    if unit is not None:
        statement = statement.where(tickets.c.unit == unit)
    rows = tx.conn.execute(statement.order_by(place).limit(limit))
    return [ticket_of(row) for row in rows]


def newest_day(tx: Reading) -> date | None:
    """Return the latest day that has a ticket, None where there is none."""
    latest: date | None = tx.conn.execute(
        select(func.max(tickets.c.service_date)).where(tickets.c.clinic_id == tx.clinic_id)
    ).scalar()
    return latest


def count_up(tx: Tx, service_date: date, kind: str, name: str, most: int | None) -> int | None:
    """
    Take the next value of a day's count.

    Args:
        kind: `number`, `unit` or `place`.
        name: The prefix or the unit's code.
        most: Highest value allowed, None without limit.

    Returns:
        The value, or None where `most` is reached.
    """
    if most is not None and most < 1:
        return None
    value: int | None = tx.conn.execute(
        text(
            "INSERT INTO day_counts (clinic_id, service_date, kind, name, value) "
            "VALUES (:clinic_id, :service_date, :kind, :name, 1) "
            "ON CONFLICT (clinic_id, service_date, kind, name) "
            "DO UPDATE SET value = day_counts.value + 1 WHERE day_counts.value < :most "
            "RETURNING value"
        ).bindparams(
            clinic_id=tx.clinic_id,
            service_date=service_date.isoformat() if tx.dialect == "sqlite" else service_date,
            kind=kind,
            name=name,
            most=2**31 - 1 if most is None else most,
        )
    ).scalar_one_or_none()
    return value


def give_place_back(tx: Tx, service_date: date, unit: str) -> None:
    """Give a quota place back; there are never fewer than none taken."""
    tx.conn.execute(
        update(day_counts)
        .where(
            day_counts.c.clinic_id == tx.clinic_id,
            day_counts.c.service_date == service_date,
            day_counts.c.kind == "place",
            day_counts.c.name == unit,
            day_counts.c.value > 0,
        )
        .values(value=day_counts.c.value - 1)
    )


def day_values(tx: Reading, service_date: date, kinds: Iterable[str]) -> dict[tuple[str, str], int]:
    """Read a day's counts by kind and name."""
    rows = tx.conn.execute(
        select(day_counts.c.kind, day_counts.c.name, day_counts.c.value).where(
            day_counts.c.clinic_id == tx.clinic_id,
            day_counts.c.service_date == service_date,
            day_counts.c.kind.in_(list(kinds)),
        )
    )
    return {(row.kind, row.name): row.value for row in rows}


def states_of_day(tx: Reading, zone: str, service_date: date) -> dict[str, int]:
    """Count a zone's tickets of a day by state, the emergency lane left out."""
    rows = tx.conn.execute(
        select(tickets.c.state, func.count().label("times"))
        .where(
            tickets.c.clinic_id == tx.clinic_id,
            tickets.c.service_date == service_date,
            tickets.c.zone == zone,
            tickets.c.lane != Lane.EMERGENCY.value,
        )
        .group_by(tickets.c.state)
    )
    return {row.state: row.times for row in rows}


def whole_day(tx: Reading, service_date: date) -> list[tuple[str, str, str, int]]:
    """Count all tickets of a day by lane, unit and state."""
    parts = (tickets.c.lane, tickets.c.unit, tickets.c.state)
    rows = tx.conn.execute(
        select(*parts, func.count())
        .where(tickets.c.clinic_id == tx.clinic_id, tickets.c.service_date == service_date)
        .group_by(*parts)
    )
    return [(lane, unit, state, times) for lane, unit, state, times in rows]


def unclosed(tx: Reading, before: date, oldest: int = 31) -> list[date]:
    """Read the service days before this one that had tickets and were not closed."""
    counted = day_counts.c
    mine = (counted.clinic_id == tx.clinic_id, counted.service_date < before)
    since = before - timedelta(days=oldest)
    had = select(counted.service_date).where(
        *mine, counted.service_date >= since, counted.kind == "number"
    )
    closed = select(counted.service_date).where(*mine, counted.kind == "closed")
    rows = tx.conn.execute(had.where(counted.service_date.not_in(closed)).distinct())
    return sorted(rows.scalars())


def forget_keys(tx: Tx, before: datetime) -> None:
    """Forget idempotency keys of before that moment."""
    table = idempotency_keys
    tx.conn.execute(
        delete(table).where(table.c.clinic_id == tx.clinic_id, table.c.created_at < before)
    )
