"""The plugin's own tables."""

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
)

from puskesmas_queue.plugin_tables import Instant, insert

LONGEST_WRITTEN = 40
LONGEST_RESPELLED = 120
LONGEST_ZONE = 40
METADATA = MetaData()


WORDS = Table(
    "tts_words",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("language", String(8), primary_key=True),
    Column("engine", String(20), primary_key=True),
    Column("written", String(LONGEST_WRITTEN), primary_key=True),
    Column("spoken", String(LONGEST_RESPELLED), nullable=False),
)
ZONES = Table(
    "tts_zones",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("zone", String(LONGEST_ZONE), primary_key=True),
    Column("speed_percent", Integer, nullable=False),
    Column("chime", String(20), nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("heard_at", Instant),
)


def put(connection: Connection, table: Table, row: dict[str, Any], *changing: str) -> None:
    """
    Insert a row; where its key is there already, change these columns of it, if any.

    One statement: two processes may try at once.
    """
    statement = insert(connection, table, row)
    if changing:
        key = [column.name for column in table.primary_key]
        new = {name: row[name] for name in changing}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=new))
    else:
        connection.execute(statement.on_conflict_do_nothing())
