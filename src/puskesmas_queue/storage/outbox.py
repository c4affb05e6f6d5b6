"""
Deliveries: one row per fact and listening plugin, written with the fact.

A row is open until it was delivered, died or expired. Of each plugin's rows with one key only the
oldest open one is claimed, so facts about one ticket come in order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, exists, func, select, text, update

from puskesmas_queue.storage.tables import OPEN_DELIVERY_SQL, deliveries, events
from puskesmas_queue.storage.transaction import Reading, Tx


@dataclass(frozen=True, slots=True)
class Delivery:
    """One fact for one plugin; `attempts` counts the tries so far."""

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
_OLDER = deliveries.alias("older")
_IS_BEHIND = exists(
    select(_OLDER.c.id).where(
        _OLDER.c.clinic_id == deliveries.c.clinic_id,
        _OLDER.c.plugin == deliveries.c.plugin,
        _OLDER.c.order_key == deliveries.c.order_key,
        _OLDER.c.id < deliveries.c.id,
        text("older.state = 'open'"),
    )
)
"""An older open row has the same key."""


def claim(tx: Tx, plugin: str, limit: int, lease: timedelta) -> list[Delivery]:
    """
    Take due rows of a plugin for a while.

    Args:
        tx: The transaction.
        plugin: Whose rows.
        limit: How many at most, one per key.
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
            deliveries.c.plugin == plugin,
            text(OPEN_DELIVERY_SQL),
            deliveries.c.next_at <= tx.now,
            ~_IS_BEHIND,
        )
        # What must be heard soon goes ahead of what keeps for a day.
        .order_by(deliveries.c.expires_at, deliveries.c.id)
        .limit(limit)
        .with_for_update(of=deliveries, skip_locked=True)
    ).all()
    found = [Delivery(**row._asdict()) for row in rows]
    if found:
        tx.conn.execute(
            update(deliveries)
            .where(
                deliveries.c.clinic_id == tx.clinic_id,
                deliveries.c.id.in_([one.id for one in found]),
            )
            .values(next_at=tx.now + lease)
        )
    return found


def next_due(tx: Reading, plugin: str) -> datetime | None:
    """Return when a plugin's next row can be claimed, None where nothing is open."""
    found: datetime | None = tx.conn.execute(
        select(func.min(deliveries.c.next_at)).where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.plugin == plugin,
            text(OPEN_DELIVERY_SQL),
            ~_IS_BEHIND,
        )
    ).scalar_one()
    return found


def settle(tx: Tx, delivery: Delivery, state: str, error: str | None = None) -> None:
    """Close a row as `done`, `dead` or `expired`."""
    _change(
        tx,
        delivery.id,
        {
            "state": state,
            "attempts": delivery.attempts + (state != "expired"),
            "last_error": error,
            "settled_at": tx.now,
        },
    )


def put_off(tx: Tx, delivery: Delivery, until: datetime, error: str) -> None:
    """Try a row again later."""
    _change(
        tx,
        delivery.id,
        {"attempts": delivery.attempts + 1, "next_at": until, "last_error": error},
    )


def give_back(tx: Tx, delivery: Delivery) -> None:
    """Let a claimed row be taken again at once, since it was not tried."""
    _change(tx, delivery.id, {"next_at": tx.now})


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
    values = {"attempts": 0, "next_at": tx.now, "expires_at": expires_at, "settled_at": None}
    _change(tx, delivery_id, {"state": "open", **values})


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
            text("deliveries.state IN ('dead', 'expired')"),
        )
    )


def _change(tx: Tx, delivery_id: int, values: dict[str, Any]) -> None:
    tx.conn.execute(
        update(deliveries)
        .where(deliveries.c.clinic_id == tx.clinic_id, deliveries.c.id == delivery_id)
        .values(**values)
    )
