"""
Deliveries: one row per fact and listening plugin, written with the fact.

A row is open until it was delivered, died or expired. Of each plugin's rows with one key only the
oldest open one is claimed, so facts about one ticket come in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
    update,
)

from puskesmas_queue.storage.tables import LOST_DELIVERY_SQL, OPEN_DELIVERY_SQL, deliveries, events
from puskesmas_queue.storage.transaction import Reading, Tx


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One fact for one plugin, claimed.

    `attempts` counts the tries so far. `leased_until` is the claim's own: whoever comes later,
    after another one claimed the row, changes nothing.
    """

    id: int
    plugin: str
    order_key: str
    attempts: int
    expires_at: datetime
    event_id: int
    kind: str
    occurred_at: datetime
    zone: str | None
    ticket_id: int | None
    counter: int | None
    reason: str | None
    data: dict[str, Any]
    leased_until: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up; `state` is dead or expired."""

    id: int
    plugin: str
    kind: str
    ticket_id: int | None
    state: str
    attempts: int
    created_at: datetime
    last_error: str | None


_COLUMNS = (
    deliveries.c.id,
    deliveries.c.plugin,
    deliveries.c.order_key,
    deliveries.c.attempts,
    deliveries.c.expires_at,
    deliveries.c.event_id,
    events.c.kind,
    events.c.occurred_at,
    events.c.zone,
    events.c.ticket_id,
    events.c.counter,
    events.c.reason,
    events.c.data,
)
_BEFORE = deliveries.alias("before")
_PLACE = ("clinic_id", "plugin", "order_key", "id")
_SAME_KEY = and_(*(_BEFORE.c[name] == deliveries.c[name] for name in _PLACE[:3]))


_IS_OPEN = deliveries.c.settled_at.is_(None)
"""As OPEN_DELIVERY_SQL says it, for rows that are named: no partial index seems to fit."""


def _is_first(dialect: str) -> ColumnElement[bool]:
    """
    Say of a row that no older open one has the same key, by one look into `ix_deliveries_open`.

    PostgreSQL is asked for the row before this one in that index's own order, which leaves it no
    choice: without statistics it took other indexes for as good, and read all that is open for
    each row. LIMIT is written out, since it reckons with a tenth of the rows for one that is bound.
    SQLite goes by the key as it should.
    """
    if dialect == "sqlite":
        before = select(true()).where(_SAME_KEY, _BEFORE.c.id < deliveries.c.id)
    else:
        here, there = (tuple_(*(one.c[name] for name in _PLACE)) for one in (deliveries, _BEFORE))
        order = [_BEFORE.c[name].desc() for name in _PLACE]
        before = select(_SAME_KEY).where(there < here).order_by(*order)
    before = before.where(text("before.state = 'open'")).limit(literal_column("1"))
    return before.correlate(deliveries).scalar_subquery().is_not(true())


def due(tx: Reading, plugin: str, limit: int) -> list[int]:
    """
    Find rows of a plugin that can be claimed now; what must be heard soon comes first.

    Args:
        tx: A look at the rows, so that the one writer of SQLite need not wait for it.
        plugin: Whose rows.
        limit: How many at most, one per key.
    """
    found = tx.conn.execute(
        select(deliveries.c.id)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.plugin == plugin,
            text(OPEN_DELIVERY_SQL),
            deliveries.c.next_at <= tx.now,
            _is_first(tx.dialect),
        )
        .order_by(deliveries.c.expires_at, deliveries.c.id)
        .limit(literal_column(str(limit)))
    )
    return list(found.scalars())


def claim(tx: Tx, ids: Sequence[int], lease: timedelta) -> list[Delivery]:
    """
    Take those of these rows that nobody else has taken since they were found.

    Args:
        tx: The transaction.
        ids: What `due` found.
        lease: After so long another worker may take them again.
    """
    rows = tx.conn.execute(
        select(*_COLUMNS)
        .join_from(
            deliveries,
            events,
            (events.c.clinic_id == deliveries.c.clinic_id) & (events.c.id == deliveries.c.event_id),
        )
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id.in_(ids),
            _IS_OPEN,
            deliveries.c.next_at <= tx.now,
            _is_first(tx.dialect),
        )
        .order_by(deliveries.c.expires_at, deliveries.c.id)
        .with_for_update(of=deliveries, skip_locked=True)
    ).all()
    until = tx.now + lease
    found = [Delivery(**row._asdict(), leased_until=until) for row in rows]
    if found:
        tx.conn.execute(
            update(deliveries)
            .where(
                deliveries.c.clinic_id == tx.clinic_id,
                deliveries.c.id.in_([one.id for one in found]),
            )
            .values(next_at=until)
        )
    return found


def settle(tx: Tx, claimed: Sequence[Delivery], state: str, error: str | None = None) -> int:
    """Close rows of one claim as `done`, `dead` or `expired`; return how many were still ours."""
    return _change(
        tx,
        claimed,
        {
            "state": state,
            "attempts": deliveries.c.attempts + int(state != "expired"),
            "last_error": error,
            "settled_at": tx.now,
        },
    )


def put_off(tx: Tx, delivery: Delivery, until: datetime, error: str) -> int:
    """Try a row again later; return 1, or 0 where its lease has ended and another one has it."""
    return _change(
        tx,
        [delivery],
        {"attempts": delivery.attempts + 1, "next_at": until, "last_error": error},
    )


def give_back(tx: Tx, claimed: Sequence[Delivery]) -> int:
    """Let rows of one claim be taken again at once, since they were not tried."""
    return _change(tx, claimed, {"next_at": tx.now})


def letters(tx: Reading, limit: int) -> list[DeadLetter]:
    """Read what was given up, latest first."""
    rows = tx.conn.execute(_letters(tx).order_by(deliveries.c.id.desc()).limit(limit))
    return [DeadLetter(**row._asdict()) for row in rows]


def letter(tx: Reading, delivery_id: int) -> DeadLetter | None:
    """Read one delivery that was given up, None where there is none of this id."""
    row = tx.conn.execute(_letters(tx).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else DeadLetter(**row._asdict())


def reopen(tx: Tx, delivery_id: int, expires_at: datetime) -> None:
    """Open a dead letter again."""
    tx.conn.execute(
        update(deliveries)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id == delivery_id,
            text(LOST_DELIVERY_SQL),
        )
        .values(state="open", attempts=0, next_at=tx.now, expires_at=expires_at, settled_at=None)
    )


def counts(tx: Reading) -> dict[tuple[str, str], int]:
    """Count rows that are open, dead or expired, by plugin and state."""
    rows = tx.conn.execute(
        select(deliveries.c.plugin, deliveries.c.state, func.count().label("times"))
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            text("deliveries.state IN ('open', 'dead', 'expired')"),
        )
        .group_by(deliveries.c.plugin, deliveries.c.state)
    )
    return {(row.plugin, row.state): row.times for row in rows}


def oldest_open(tx: Reading) -> dict[str, datetime]:
    """Return when the oldest open row of each plugin was written."""
    rows = tx.conn.execute(
        select(deliveries.c.plugin, func.min(deliveries.c.created_at).label("oldest"))
        .where(deliveries.c.clinic_id == tx.clinic_id, text(OPEN_DELIVERY_SQL))
        .group_by(deliveries.c.plugin)
    )
    return {row.plugin: row.oldest for row in rows}


def forget(tx: Tx, before: datetime) -> None:
    """Forget delivered rows that were settled before that moment; dead letters stay."""
    tx.conn.execute(
        delete(deliveries).where(
            deliveries.c.clinic_id == tx.clinic_id,
            text("deliveries.state = 'done'"),
            deliveries.c.settled_at < before,
        )
    )


def _letters(tx: Reading) -> Select[Any]:
    return (
        select(
            deliveries.c.id,
            deliveries.c.plugin,
            events.c.kind,
            events.c.ticket_id,
            deliveries.c.state,
            deliveries.c.attempts,
            deliveries.c.created_at,
            deliveries.c.last_error,
        )
        .join_from(
            deliveries,
            events,
            (events.c.clinic_id == deliveries.c.clinic_id) & (events.c.id == deliveries.c.event_id),
        )
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            text(LOST_DELIVERY_SQL),
        )
    )


def _change(tx: Tx, claimed: Sequence[Delivery], values: dict[str, Any]) -> int:
    """Change rows of one claim that are still leased to it; return how many."""
    if not claimed:
        return 0
    changed = tx.conn.execute(
        update(deliveries)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id.in_([one.id for one in claimed]),
            _IS_OPEN,
            deliveries.c.next_at == claimed[0].leased_until,
        )
        .values(**values)
    )
    return int(changed.rowcount)
