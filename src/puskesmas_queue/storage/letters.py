"""Dead letters: deliveries that were given up, until somebody sends or dismisses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select, text, update

from puskesmas_queue.storage.tables import LOST_DELIVERY_SQL, deliveries, events
from puskesmas_queue.storage.transaction import Reading, Tx


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


def latest(tx: Reading, limit: int, before: int | None = None) -> list[DeadLetter]:
    """
    Read dead letters, latest first.

    Args:
        tx: A look at the rows.
        limit: How many at most.
        before: The id of the last one that was read so far.
    """
    question = _letters(tx).order_by(deliveries.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(deliveries.c.id < before)
    return _read(tx, question)


def of_plugin(tx: Reading, plugin: str, after: int, until: int, limit: int) -> list[DeadLetter]:
    """Read a plugin's dead letters in their order: those after one id, until another one."""
    question = _letters(tx).where(
        deliveries.c.plugin == plugin, deliveries.c.id > after, deliveries.c.id <= until
    )
    return _read(tx, question.order_by(deliveries.c.id).limit(limit))


def newest(tx: Reading, plugin: str) -> int | None:
    """Return the id of a plugin's latest dead letter, None where it has none."""
    question = _letters(tx).where(deliveries.c.plugin == plugin)
    found = _read(tx, question.order_by(deliveries.c.id.desc()).limit(1))
    return found[0].id if found else None


def one(tx: Reading, delivery_id: int) -> DeadLetter | None:
    """Read one dead letter, None where there is none of this id."""
    found = _read(tx, _letters(tx).where(deliveries.c.id == delivery_id))
    return found[0] if found else None


def reopen(tx: Tx, ids: Sequence[int], expires_at: datetime) -> None:
    """Let dead letters be delivered once more, until they expire."""
    tx.conn.execute(
        update(deliveries)
        .where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id.in_(ids),
            text(LOST_DELIVERY_SQL),
        )
        .values(state="open", attempts=0, next_at=tx.now, expires_at=expires_at, settled_at=None)
    )


def remove(tx: Tx, ids: Sequence[int]) -> None:
    """Forget dead letters; what is delivered or still tried stays."""
    tx.conn.execute(
        delete(deliveries).where(
            deliveries.c.clinic_id == tx.clinic_id,
            deliveries.c.id.in_(ids),
            text(LOST_DELIVERY_SQL),
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
        .where(deliveries.c.clinic_id == tx.clinic_id, text(LOST_DELIVERY_SQL))
    )


def _read(tx: Reading, question: Select[Any]) -> list[DeadLetter]:
    return [DeadLetter(**row._asdict()) for row in tx.conn.execute(question)]
