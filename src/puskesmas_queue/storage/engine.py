"""
Transactions on SQLite and PostgreSQL behind one small interface.

SQLite has one writer thread: it takes the transactions that wait, runs each in a savepoint,
commits once, then answers all. PostgreSQL runs each in the caller's thread. Events, audit rows
and topic versions are collected by the transaction and written at its end, topics last and
sorted, so that locks are always taken in one order.
"""

import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import SetupError, StorageUnavailable
from puskesmas_queue.storage import tables

T = TypeVar("T")

BATCH = 128
"""Most transactions that share one commit on SQLite."""
BUSY_TIMEOUT_MS = 5_000
POOL_SIZE = 12
"""Connections of one process to PostgreSQL; more only queue on the same row locks."""


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


def _insert_collected(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        first = conn.execute(
            select(func.coalesce(func.max(table.c.id), 0)).where(
                table.c.clinic_id == rows[0]["clinic_id"]
            )
        ).scalar_one()
        rows = [{**row, "id": first + index} for index, row in enumerate(rows, 1)]
    conn.execute(insert(table), rows)


def _bump(conn: Connection, clinic_id: str, topics: set[str], now: datetime) -> dict[str, int]:
    if not topics:
        return {}
    table = tables.topic_versions
    is_sqlite = conn.dialect.name == "sqlite"
    statement = (
        (sqlite if is_sqlite else postgresql)
        .insert(table)
        .values(
            [
                {"clinic_id": clinic_id, "topic": topic, "version": 1, "changed_at": now}
                for topic in sorted(topics)
            ]
        )
    )
    # The newest time that was ever stored is what the clock guard compares with.
    newest = (func.max if is_sqlite else func.greatest)(
        table.c.changed_at, statement.excluded.changed_at
    )
    statement = statement.on_conflict_do_update(
        index_elements=["clinic_id", "topic"],
        set_={"version": table.c.version + 1, "changed_at": newest},
    )
    rows = conn.execute(statement.returning(table.c.topic, table.c.version))
    return {row.topic: row.version for row in rows}


def channel(clinic_id: str) -> str:
    """Name the PostgreSQL notification channel of a clinic."""
    return f"puskesmas_queue_{clinic_id}"


class Database(ABC):
    """
    The rows of one clinic.

    `listener` is told the new topic versions of every commit, in the committing thread.
    """

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        self.engine = engine
        self.clinic_id = clinic_id
        self.clock = clock
        self.listener: Callable[[dict[str, int]], None] = lambda versions: None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @abstractmethod
    def read(self, fn: Callable[[Reading], T]) -> T:
        """Run `fn` on one consistent state of the rows."""

    @abstractmethod
    def write(self, fn: Callable[[Tx], T]) -> T:
        """
        Run `fn` in one transaction and return when it is committed.

        Raises:
            StorageUnavailable: The database did not take it; nothing was kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what was accepted and let go of the database."""


@dataclass(slots=True)
class _Job(Generic[T]):
    fn: Callable[[Tx], T]
    future: "Future[T]" = field(default_factory=Future)


class SqliteDatabase(Database):
    """A file, one writer thread, any number of readers."""

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        super().__init__(engine, clinic_id, clock)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._writer.start()

    def read(self, fn: Callable[[Reading], T]) -> T:
        try:
            with self.engine.connect() as conn:
                conn.exec_driver_sql("BEGIN")
                try:
                    return fn(Reading(conn, self.clinic_id, self.clock.now()))
                finally:
                    conn.exec_driver_sql("ROLLBACK")
        except DBAPIError as error:
            raise StorageUnavailable(str(error.orig)) from error

    def write(self, fn: Callable[[Tx], T]) -> T:
        if threading.current_thread() is self._writer:
            raise RuntimeError("a transaction cannot wait for another one")
        job = _Job(fn)
        self._jobs.put(job)
        return job.future.result()

    def close(self) -> None:
        if self._writer.is_alive():
            self._jobs.put(None)
            self._writer.join()
        self.engine.dispose()

    def _run(self) -> None:
        conn: Connection | None = None
        while True:
            job = self._jobs.get()
            jobs: list[_Job[Any]] = []
            while job is not None:
                jobs.append(job)
                if len(jobs) == BATCH or self._jobs.empty():
                    break
                job = self._jobs.get()
            if jobs:
                try:
                    conn = conn or self.engine.connect()
                    self._commit(conn, jobs)
                except BaseException as error:
                    for waiting in jobs:
                        if not waiting.future.done():
                            waiting.future.set_exception(_as_refusal(error))
                    if conn is not None:
                        conn.invalidate()
                        conn.close()
                        conn = None
            if job is None:
                break
        if conn is not None:
            conn.close()

    def _commit(self, conn: Connection, jobs: "list[_Job[Any]]") -> None:
        driver = conn.connection.dbapi_connection
        assert driver is not None
        sql = driver.cursor().execute
        sql("BEGIN IMMEDIATE")
        answers: list[tuple[_Job[Any], Any]] = []
        refusals: list[tuple[_Job[Any], BaseException]] = []
        done: list[Tx] = []
        try:
            for job in jobs:
                tx = Tx(conn, self.clinic_id, self.clock.now())
                sql("SAVEPOINT job")
                try:
                    answers.append((job, job.fn(tx)))
                    done.append(tx)
                except Exception as error:
                    if not driver.in_transaction:
                        # SQLite gives up the whole transaction on a full disk.
                        raise
                    sql("ROLLBACK TO job")
                    refusals.append((job, error))
                sql("RELEASE job")
            _insert_collected(conn, tables.events, [row for tx in done for row in tx.events])
            _insert_collected(conn, tables.audit, [row for tx in done for row in tx.audits])
            topics = set().union(*(tx.topics for tx in done)) if done else set()
            versions = _bump(conn, self.clinic_id, topics, self.clock.now())
            sql("COMMIT")
        except BaseException:
            if driver.in_transaction:
                sql("ROLLBACK")
            raise
        for job, answer in answers:
            job.future.set_result(answer)
        for job, refusal in refusals:
            job.future.set_exception(_as_refusal(refusal))
        for tx in done:
            for callback in tx.callbacks:
                callback()
        if versions:
            self.listener(versions)


class PostgresDatabase(Database):
    """A server, each transaction in its caller's thread."""

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        super().__init__(engine, clinic_id, clock)
        self._reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, fn: Callable[[Reading], T]) -> T:
        try:
            with self._reader.connect() as conn:
                return fn(Reading(conn, self.clinic_id, self.clock.now()))
        except DBAPIError as error:
            raise StorageUnavailable(str(error.orig)) from error

    def write(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self.engine.connect() as conn, conn.begin():
                tx = Tx(conn, self.clinic_id, self.clock.now())
                result = fn(tx)
                _insert_collected(conn, tables.events, tx.events)
                _insert_collected(conn, tables.audit, tx.audits)
                versions = _bump(conn, self.clinic_id, tx.topics, tx.now)
                if versions:
                    conn.execute(
                        text(
                            "SELECT pg_notify(:channel, topic) "
                            "FROM unnest(CAST(:topics AS text[])) AS topic"
                        ),
                        {
                            "channel": channel(self.clinic_id),
                            "topics": [f"{topic}:{v}" for topic, v in versions.items()],
                        },
                    )
        except DBAPIError as error:
            raise StorageUnavailable(str(error.orig)) from error
        self.committed(versions, tx.callbacks)
        return result

    def write_single(self, fn: Callable[[Connection], T]) -> T:
        """
        Run one statement that is a whole transaction by itself: one round trip.

        The statement bumps its topics and notifies; the caller reports them to `committed`.
        """
        try:
            with self._single.connect() as conn:
                return fn(conn)
        except DBAPIError as error:
            raise StorageUnavailable(str(error.orig)) from error

    def committed(self, versions: dict[str, int], callbacks: list[Callable[[], None]]) -> None:
        """Tell this process what a commit changed."""
        for callback in callbacks:
            callback()
        if versions:
            self.listener(versions)

    def close(self) -> None:
        self.engine.dispose()


def _as_refusal(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError):
        refusal = StorageUnavailable(str(error.orig))
        refusal.__cause__ = error
        return refusal
    if isinstance(error, sqlite3.Error):
        refusal = StorageUnavailable(str(error))
        refusal.__cause__ = error
        return refusal
    return error


def parse_url(url: str) -> URL:
    """
    Read a database address as everybody writes it.

    Raises:
        SetupError: Neither `sqlite:///file` nor `postgresql://…`.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SetupError(f'database.url "{url}" is not an address') from error
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if not parsed.database:
            raise SetupError("database.url names no database: postgresql://user@host/name")
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise SetupError(
        "database.url must be sqlite:///path/to/file.db or postgresql://user@host/name"
    )


def make_engine(url: str, *, pooler: bool = False) -> Engine:
    """
    Make the engine for an address.

    Args:
        url: See `parse_url`.
        pooler: PostgreSQL is reached through PgBouncer, which cannot keep prepared statements.
    """
    parsed = parse_url(url)
    if parsed.drivername == "sqlite":
        engine = create_engine(parsed, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    arguments: dict[str, Any] = {"connect_timeout": 5, "application_name": "puskesmas-queue"}
    if pooler:
        arguments["prepare_threshold"] = None
    return create_engine(
        parsed, connect_args=arguments, pool_size=POOL_SIZE, max_overflow=4, pool_timeout=10
    )


def _prepare_sqlite(driver: sqlite3.Connection, record: object) -> None:
    driver.isolation_level = None
    cursor = driver.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.close()


def open_database(url: str, clinic_id: str, clock: Clock, *, pooler: bool = False) -> Database:
    """
    Open a clinic's rows.

    Raises:
        SetupError: The address is wrong.
    """
    engine = make_engine(url, pooler=pooler)
    kind = SqliteDatabase if engine.dialect.name == "sqlite" else PostgresDatabase
    return kind(engine, clinic_id, clock)
