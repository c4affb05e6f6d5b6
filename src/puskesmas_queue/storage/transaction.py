"""
Transactions: one consistent look, or one change, of a clinic's rows.

Events, audit rows and topic versions are collected by the transaction and written at its end,
topics last and sorted, so that locks are always taken in one order.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Table,
    TextClause,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.events import lifetime, order_key
from puskesmas_queue.storage import tables

Audience = Callable[[str], Sequence[str]]
"""Names the plugins that hear of a kind of event."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class Reading:
    """One consistent look at a clinic's rows."""

    def __init__(self, conn: Connection, clinic_id: str, now: datetime) -> None:
        self.conn = conn
        self.clinic_id = clinic_id
        self.now = now

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.conn.dialect.name


class Tx(Reading):
    """One transaction: rows now; events, audit and topic versions at its end."""

    def __init__(self, conn: Connection, clinic_id: str, now: datetime) -> None:
        super().__init__(conn, clinic_id, now)
        self.topics: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self.audits: list[dict[str, Any]] = []
        self.callbacks: list[Callable[[], None]] = []

    def touch(self, *topics: str) -> None:
        """Give these topics a new version when the transaction commits."""
        self.topics.update(topics)

    def event(
        self,
        kind: str,
        *,
        actor: Actor,
        zone: str | None = None,
        ticket_id: int | None = None,
        counter: int | None = None,
        reason: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that something happened, with who, where, when and why."""
        self.events.append(
            {
                "clinic_id": self.clinic_id,
                "occurred_at": self.now,
                "kind": kind,
                "zone": zone,
                "ticket_id": ticket_id,
                "counter": counter,
                "actor_id": actor.id,
                "device": actor.device,
                "reason": reason,
                "data": dict(data or {}),
            }
        )

    def audit(
        self,
        action: str,
        *,
        actor: Actor,
        table: str | None = None,
        record: str | int | None = None,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record who changed what, with old and new values of the changed fields."""
        self.audits.append(
            {
                "clinic_id": self.clinic_id,
                "occurred_at": self.now,
                "user_id": actor.id,
                "action": action,
                "table_name": table,
                "record_id": None if record is None else str(record),
                "reason": reason,
                "old_values": dict(old) if old is not None else None,
                "new_values": dict(new) if new is not None else None,
                "device": actor.device,
                "ip_address": actor.address,
                "user_agent": actor.user_agent,
            }
        )

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run `callback` once the rows are safe; never when they are not."""
        self.callbacks.append(callback)


def next_id(table: Table, clinic_id: str) -> Any:
    """Name the next id of a table for SQLite, where its one writer makes this safe."""
    same_clinic = table.c.clinic_id == clinic_id
    return select(func.coalesce(func.max(table.c.id), 0) + 1).where(same_clinic).scalar_subquery()


def insert_row(tx: Tx, table: Table, values: Mapping[str, Any]) -> int:
    """
    Insert one row of a table with a drawn id.

    Args:
        tx: The transaction.
        table: A table whose key is `(clinic_id, id)`.
        values: The row without `clinic_id` and `id`.

    Returns:
        The new id.
    """
    row: dict[str, Any] = {"clinic_id": tx.clinic_id, **values}
    if tx.dialect == "sqlite":
        row["id"] = next_id(table, tx.clinic_id)
    result = tx.conn.execute(insert(table).values(row).returning(table.c.id))
    return int(result.scalar_one())


def upsert(tx: Reading, table: Table) -> Any:
    """Return the dialect's insert, which knows ON CONFLICT."""
    return sqlite.insert(table) if tx.dialect == "sqlite" else postgresql.insert(table)


def quick(conn: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> list[Any]:
    """
    Run a statement of the hot path and return its rows.

    SQLite's driver gets it at once, since it reads the same `:name`: for a small statement
    SQLAlchemy's own work costs ten times the database's. Values must be of the types that
    `_plain` knows.
    """
    driver = sqlite_driver(conn)
    if driver is not None:
        return driver.execute(statement.text, _plain(parameters)).fetchall()
    result = conn.execute(statement, parameters)
    return list(result) if result.returns_rows else []


def sqlite_driver(conn: Connection) -> sqlite3.Connection | None:
    """Return SQLite's own connection, None on PostgreSQL."""
    driver: Any = conn.connection.dbapi_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write values as SQLAlchemy's SQLite types do."""
    plain = dict(row)
    for name, value in row.items():
        if isinstance(value, datetime):
            moment = value.astimezone(UTC).replace(tzinfo=None)
            plain[name] = moment.isoformat(" ", "microseconds")
        elif isinstance(value, date):
            plain[name] = value.isoformat()
        elif isinstance(value, dict):
            plain[name] = json.dumps(value)
    return plain


def insert_collected(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> Sequence[int]:
    """Insert rows and return their ids."""
    if not rows:
        return ()
    driver = sqlite_driver(conn)
    if driver is None:
        drawn = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return conn.execute(drawn, rows).scalars().all()
    (last,) = driver.execute(
        f"SELECT coalesce(max(id), 0) FROM {table.name} WHERE clinic_id = :clinic_id",
        {"clinic_id": rows[0]["clinic_id"]},
    ).fetchone()
    names = ["id", *rows[0]]
    driver.executemany(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES (:{', :'.join(names)})",
        [{**_plain(row), "id": last + place} for place, row in enumerate(rows, 1)],
    )
    return range(last + 1, last + 1 + len(rows))


def insert_facts(conn: Connection, events: list[dict[str, Any]], audience: Audience) -> None:
    """Insert events, each with one delivery for every plugin that listens to it."""
    ids = insert_collected(conn, tables.events, events)
    deliveries = [
        delivery_row(row, event_id, plugin)
        for event_id, row in zip(ids, events, strict=True)
        for plugin in audience(row["kind"])
    ]
    insert_collected(conn, tables.deliveries, deliveries)


def delivery_row(event: Mapping[str, Any], event_id: int, plugin: str) -> dict[str, Any]:
    """Make the row that lets a plugin hear of an event."""
    at: datetime = event["occurred_at"]
    return {
        "clinic_id": event["clinic_id"],
        "event_id": event_id,
        "plugin": plugin,
        "order_key": order_key(event["kind"], event["ticket_id"]),
        "state": "open",
        "created_at": at,
        "next_at": at,
        "expires_at": at + lifetime(event["kind"]),
    }


# The newest time that was ever stored is what the clock guard compares with.
_BUMP_SQLITE = text(
    "INSERT INTO topic_versions (clinic_id, topic, version, changed_at) "
    "VALUES (:clinic_id, :topic, 1, :now) ON CONFLICT (clinic_id, topic) DO UPDATE "
    "SET version = version + 1, changed_at = max(changed_at, excluded.changed_at) "
    "RETURNING version"
)
_BUMP_POSTGRES = text(
    "WITH touched AS ("
    "INSERT INTO topic_versions (clinic_id, topic, version, changed_at) "
    "SELECT :clinic_id, topic, 1, :now FROM unnest(CAST(:topics AS text[])) AS topic "
    "ORDER BY topic ON CONFLICT (clinic_id, topic) DO UPDATE "
    "SET version = topic_versions.version + 1, "
    "changed_at = greatest(topic_versions.changed_at, excluded.changed_at) "
    "RETURNING topic, version) "
    "SELECT topic, version, pg_notify(:channel, topic || ':' || version) FROM touched"
).bindparams(bindparam("now", type_=tables.Instant))


def bump_topics(
    conn: Connection, clinic_id: str, topics: set[str], now: datetime
) -> dict[str, int]:
    """Give topics their next versions, in the order of their names; PostgreSQL tells of them."""
    if not topics:
        return {}
    known: dict[str, Any] = {"clinic_id": clinic_id, "now": now}
    if conn.dialect.name == "sqlite":
        return {
            topic: quick(conn, _BUMP_SQLITE, {**known, "topic": topic})[0][0]
            for topic in sorted(topics)
        }
    told = {**known, "topics": sorted(topics), "channel": channel(clinic_id)}
    return {row.topic: row.version for row in conn.execute(_BUMP_POSTGRES, told)}


def channel(clinic_id: str) -> str:
    """Name the PostgreSQL notification channel of a clinic."""
    return f"puskesmas_queue_{clinic_id}"
