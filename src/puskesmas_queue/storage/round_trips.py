"""
Several statements in one round trip, on PostgreSQL by its pipeline.

While a transaction holds the line's lock everybody else waits: for the statements, and far longer
for the way to the server and back. SQLite has no such way and runs them one after the other.

Source: docs/decisions/0023-round-trips.md
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

Question = tuple[TextClause, Mapping[str, Any]]
"""A statement and its parameters, by name."""
Rows = list[tuple[Any, ...]]
_POSTGRES = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def locking(statement: str, of: str = "") -> dict[str, TextClause]:
    """
    Make a SELECT that locks its rows, by dialect.

    Args:
        statement: Without the clause.
        of: The table whose rows are locked, where there are several.
    """
    table = f" OF {of}" if of else ""
    return {
        "sqlite": text(statement),
        "postgresql": text(f"{statement} FOR UPDATE{table}"),
    }


def sqlite_driver(conn: Connection) -> sqlite3.Connection | None:
    """Return SQLite's own connection, None on PostgreSQL."""
    driver: Any = conn.connection.dbapi_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


def ask(conn: Connection, questions: Sequence[Question]) -> list[Rows]:
    """
    Run statements in their order and return the rows of each.

    Each sees what was committed when its own turn came: what stands behind one that waits for a
    lock sees what the lock's holder did.

    Args:
        conn: Its transaction begins with this, if it has not begun.
        questions: Statements with values of the types that `plain` knows.
    """
    driver: Any = conn.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection):
        return [driver.execute(one.text, plain(values)).fetchall() for one, values in questions]
    return _at_once(driver, questions)


def ask_and_commit(conn: Connection, questions: Sequence[Question]) -> list[Rows]:
    """Do the same on PostgreSQL and commit, still in one round trip."""
    return _at_once(conn.connection.dbapi_connection, questions, commits=True)


def _at_once(driver: Any, questions: Sequence[Question], *, commits: bool = False) -> list[Rows]:
    connection: psycopg.Connection[Any] = driver
    cursors = []
    with connection.pipeline():
        for statement, values in questions:
            cursor = connection.cursor()
            cursor.execute(_text(statement), _known(values))
            cursors.append(cursor)
        if commits:
            connection.commit()
    return [cursor.fetchall() if _has_rows(cursor) else [] for cursor in cursors]


def _has_rows(cursor: psycopg.Cursor[Any]) -> bool:
    # `cursor.description` would say so too, with an object for every column.
    return cursor.pgresult is not None and cursor.pgresult.nfields > 0


@lru_cache(maxsize=500)
def _text(statement: TextClause) -> bytes:
    """Write a statement as psycopg reads it."""
    return str(statement.compile(dialect=_POSTGRES)).encode()


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write values as psycopg knows them."""
    return {
        name: Jsonb(value)
        if isinstance(value, dict)
        else value.value
        if isinstance(value, Enum)
        else value
        for name, value in values.items()
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write values as SQLAlchemy's SQLite types do: times, dates, JSON and the names of states."""
    written = dict(values)
    for name, value in values.items():
        if isinstance(value, datetime):
            moment = value.astimezone(UTC).replace(tzinfo=None)
            written[name] = moment.isoformat(" ", "microseconds")
        elif isinstance(value, date):
            written[name] = value.isoformat()
        elif isinstance(value, dict):
            written[name] = json.dumps(value)
        elif isinstance(value, Enum):
            written[name] = value.value
    return written


def moment(value: Any) -> Any:
    """Read a time, or none, as `columns.Instant` does."""
    if value is None:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def local_date(value: Any) -> date:
    """Read a date as SQLAlchemy does."""
    return date.fromisoformat(value) if isinstance(value, str) else value
