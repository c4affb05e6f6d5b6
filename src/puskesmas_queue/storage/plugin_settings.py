"""Settings of plugins, as they are stored."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select

from puskesmas_queue.storage.tables import plugin_settings
from puskesmas_queue.storage.transaction import Reading, Tx, upsert


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value: JSON, or for a secret what the key ring made of it."""

    text: str
    is_secret: bool


def load(tx: Reading, plugin: str) -> dict[str, StoredValue]:
    """Read what is stored for a plugin, by key."""
    table = plugin_settings
    rows = tx.conn.execute(
        select(table.c.key, table.c.value, table.c.is_secret).where(
            table.c.clinic_id == tx.clinic_id, table.c.plugin == plugin
        )
    )
    return {row.key: StoredValue(row.value, row.is_secret) for row in rows}


def store(tx: Tx, plugin: str, key: str, value: StoredValue, user_id: int | None) -> None:
    """Store one value in place of what was there."""
    given = {
        "value": value.text,
        "is_secret": value.is_secret,
        "updated_at": tx.now,
        "updated_by": user_id,
    }
    statement = upsert(tx, plugin_settings).values(
        clinic_id=tx.clinic_id, plugin=plugin, key=key, **given
    )
    tx.conn.execute(
        statement.on_conflict_do_update(index_elements=["clinic_id", "plugin", "key"], set_=given)
    )


def forget(tx: Tx, plugin: str, keys: Iterable[str]) -> None:
    """Take values away."""
    table = plugin_settings
    tx.conn.execute(
        delete(table).where(
            table.c.clinic_id == tx.clinic_id,
            table.c.plugin == plugin,
            table.c.key.in_(list(keys)),
        )
    )
