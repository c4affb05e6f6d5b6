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
    return _free(tx, plugin, limit, _is_first(tx.dialect))


def is_owed(tx: Reading, plugin: str, key: str) -> bool:
    """Say whether something that has this key waits to be told to a plugin for the first time."""
    found = select(true()).where(
        deliveries.c.clinic_id == tx.clinic_id,
        deliveries.c.plugin == plugin,
        deliveries.c.order_key == key,
        text(OPEN_DELIVERY_SQL),
        deliveries.c.attempts == 0,
    )
    return tx.conn.execute(found.limit(1)).first() is not None


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


def waiting_plugins(tx: Reading) -> list[str]:
    """Name the plugins with open rows, by one look into the index for each."""
    names: list[str] = []
    question = select(deliveries.c.plugin).where(
        deliveries.c.clinic_id == tx.clinic_id, text(OPEN_DELIVERY_SQL)
    )
    first = question.order_by(deliveries.c.plugin).limit(literal_column("1"))
    while found := tx.conn.execute(
        first.where(deliveries.c.plugin > names[-1]) if names else first
    ).scalar_one_or_none():
        names.append(found)
    return names


def late(tx: Reading, plugin: str, limit: int) -> list[int]:
    """Find rows of a plugin that are too late to be told and that nobody is telling now."""
    return _free(tx, plugin, limit, deliveries.c.expires_at <= tx.now)


def expire(tx: Tx, ids: Sequence[int]) -> None:
    """Close those of these rows that are still open and that nobody has taken meanwhile."""
    free = tx.conn.execute(
        select(deliveries.c.id)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id.in_(ids),
            _IS_OPEN,
            deliveries.c.next_at <= tx.now,
        )
        .with_for_update(skip_locked=True)
    ).scalars()
    tx.conn.execute(
        update(deliveries)
        .where(deliveries.c.clinic_id == tx.clinic_id, deliveries.c.id.in_(list(free)))
        .values(state="expired", settled_at=tx.now)
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


def forget(tx: Tx, delivered_before: datetime, lost_before: datetime) -> None:
    """Forget rows that were settled before these moments: delivered ones, and dead letters."""
    for state, before in (
        ("deliveries.state = 'done'", delivered_before),
        (LOST_DELIVERY_SQL, lost_before),
    ):
        tx.conn.execute(
            delete(deliveries).where(
                deliveries.c.clinic_id == tx.clinic_id,
                text(state),
                deliveries.c.settled_at < before,
            )
        )


def _free(tx: Reading, plugin: str, limit: int, condition: ColumnElement[bool]) -> list[int]:
    """Find open rows that nobody has taken, in the order of `ix_deliveries_due`."""
    found = tx.conn.execute(
        select(deliveries.c.id)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.plugin == plugin,
            text(OPEN_DELIVERY_SQL),
            deliveries.c.next_at <= tx.now,
            condition,
        )
        .order_by(deliveries.c.expires_at, deliveries.c.id)
        .limit(literal_column(str(limit)))
    )
    return list(found.scalars())


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
