"""Settings and their history."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from puskesmas_queue.storage.tables import settings, settings_history, users
from puskesmas_queue.storage.transaction import Reading, Tx, insert_row, upsert


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a setting; `changed_by` is a user name, None for the system."""

    key: str
    old_value: str | None
    new_value: str
    changed_at: datetime
    changed_by: str | None


def load(tx: Reading) -> dict[str, str]:
    """Read all stored settings as text, by key."""
    rows = tx.conn.execute(
        select(settings.c.key, settings.c.value).where(settings.c.clinic_id == tx.clinic_id)
    )
    return {row.key: row.value for row in rows}


def store(tx: Tx, key: str, value: str, user_id: int | None) -> str | None:
    """Store a setting with its history and return the old text, None where it was the preset."""
    old: str | None = tx.conn.execute(
        select(settings.c.value).where(settings.c.clinic_id == tx.clinic_id, settings.c.key == key)
    ).scalar_one_or_none()
    statement = upsert(tx, settings).values(
        clinic_id=tx.clinic_id, key=key, value=value, updated_at=tx.now, updated_by=user_id
    )
    tx.conn.execute(
        statement.on_conflict_do_update(
            index_elements=["clinic_id", "key"],
            set_={"value": value, "updated_at": tx.now, "updated_by": user_id},
        )
    )
    insert_row(
        tx,
        settings_history,
        {
            "key": key,
            "old_value": old,
            "new_value": value,
            "changed_at": tx.now,
            "changed_by": user_id,
        },
    )
    return old


def history(tx: Reading, key: str) -> list[Change]:
    """Read a setting's changes, newest first."""
    table = settings_history
    rows = tx.conn.execute(
        select(table, users.c.username)
        .join_from(
            table,
            users,
            (users.c.clinic_id == table.c.clinic_id) & (users.c.id == table.c.changed_by),
            isouter=True,
        )
        .where(table.c.clinic_id == tx.clinic_id, table.c.key == key)
        .order_by(table.c.id.desc())
    )
    return [
        Change(row.key, row.old_value, row.new_value, row.changed_at, row.username) for row in rows
    ]
