"""
What a plugin imports for tables of its own.

Apart from `api`, since it brings SQLAlchemy along: a plugin without tables does without.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table

from puskesmas_queue.extensions import Context, PluginData
from puskesmas_queue.storage.columns import Insert, Instant, insert_for

__all__ = ["Instant", "insert", "own_data"]


def own_data(ctx: Context) -> PluginData:
    """
    Return the plugin's tables.

    Raises:
        RuntimeError: There are none: it brings no migrations, or this is a decision or a veto.
    """
    if ctx.data is None:
        raise RuntimeError("no tables here: the plugin has no migrations, or this is a decision")
    return ctx.data


def insert(connection: Connection, table: Table, row: Mapping[str, Any]) -> Insert:
    """
    Begin an insert that can say what happens where its key is there already.

    `on_conflict_do_nothing()` and `on_conflict_do_update(…)` are SQLite's and PostgreSQL's: one
    statement, so that two processes may try at once.
    """
    return insert_for(connection.dialect.name, table).values(dict(row))
