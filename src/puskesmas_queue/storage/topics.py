"""Versions of what screens show, and the newest time that was ever stored."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from puskesmas_queue.storage.tables import topic_versions
from puskesmas_queue.storage.transaction import Reading, Tx


@dataclass(frozen=True, slots=True)
class Topic:
    """How often a topic changed, and when last."""

    version: int
    changed_at: datetime


def load(tx: Reading) -> dict[str, Topic]:
    """Read all topics of the clinic, by name."""
    table = topic_versions
    rows = tx.conn.execute(
        select(table.c.topic, table.c.version, table.c.changed_at).where(
            table.c.clinic_id == tx.clinic_id
        )
    )
    return {row.topic: Topic(row.version, row.changed_at) for row in rows}


def reset_times(tx: Tx) -> None:
    """Take now for the newest time: staff confirmed the clock."""
    table = topic_versions
    tx.conn.execute(
        update(table).where(table.c.clinic_id == tx.clinic_id).values(changed_at=tx.now)
    )
