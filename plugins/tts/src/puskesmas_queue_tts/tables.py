"""The plugin's own tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql, sqlite

from puskesmas_queue.api import Context, PluginData

LONGEST_WRITTEN = 40
LONGEST_RESPELLED = 120
LONGEST_ZONE = 40
METADATA = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone: what comes back without one is UTC too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store it in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it its zone again."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


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
    Column("heard_at", Moment),
)


def own_data(ctx: Context) -> PluginData:
    """Return the plugin's tables; they are there wherever it is asked for more than a decision."""
    assert ctx.data is not None
    return ctx.data


def put(connection: Connection, table: Table, row: dict[str, Any], *changing: str) -> None:
    """
    Insert a row; where its key is there already, change these columns of it, if any.

    One statement: two processes may try at once.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(table).values(row)
    if changing:
        key = [column.name for column in table.primary_key]
        new = {name: row[name] for name in changing}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=new))
    else:
        connection.execute(statement.on_conflict_do_nothing())
