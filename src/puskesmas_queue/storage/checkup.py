"""How the database itself is: whether it takes a row, how large it is, what time it has."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DatabaseError

from puskesmas_queue.storage.tables import zones
from puskesmas_queue.storage.transaction import Reading, Tx

WAL = "-wal"
"""What SQLite adds to the name of a file for what was not moved into it yet."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """
    What a look at a database found.

    Args:
        size: Bytes on disk.
        wal: Bytes of SQLite's log beside it; None on PostgreSQL.
        faults: What its own check complains of; PostgreSQL has no such check.
        ahead_s: By how many seconds its clock is ahead of ours; None where it has none of its own.
        is_read_only: Whether it takes no change.
    """

    size: int
    wal: int | None
    faults: tuple[str, ...]
    ahead_s: float | None
    is_read_only: bool


def touch(tx: Tx) -> None:
    """
    Write the clinic's halls as they are: a full or read-only disk shows, and nothing changes.

    Another name and the old one again: SQLite writes nothing where a row is set to what it is.
    """
    own = update(zones).where(zones.c.clinic_id == tx.clinic_id)
    tx.conn.execute(own.values(name=zones.c.name + "."))
    tx.conn.execute(own.values(name=func.substr(zones.c.name, 1, func.length(zones.c.name) - 1)))


def look(tx: Reading, file: Path | None) -> DatabaseState:
    """
    Look a database over.

    Args:
        tx: A look at it.
        file: Of SQLite; None on PostgreSQL.
    """
    if file is not None:
        try:
            told = tx.conn.execute(text("PRAGMA quick_check(5)")).scalars().all()
        except DatabaseError as error:
            # So damaged that it cannot be checked.
            told = [str(error.orig)]
        wal = file.with_name(file.name + WAL)
        return DatabaseState(
            size=file.stat().st_size,
            wal=wal.stat().st_size if wal.exists() else 0,
            faults=tuple(str(line) for line in told if line != "ok"),
            ahead_s=None,
            is_read_only=False,
        )
    row = tx.conn.execute(
        select(
            func.pg_database_size(func.current_database()).label("size"),
            func.clock_timestamp().label("now"),
            func.pg_is_in_recovery().label("is_standby"),
        )
    ).one()
    return DatabaseState(
        size=row.size,
        wal=None,
        faults=(),
        ahead_s=(row.now - datetime.now(UTC)).total_seconds(),
        is_read_only=row.is_standby,
    )
