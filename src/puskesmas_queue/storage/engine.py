"""
Transactions on SQLite and PostgreSQL behind one small interface.

SQLite has one writer thread: it takes the transactions that wait, runs each so that it can fail
alone, commits once, then answers all. PostgreSQL runs each in the caller's thread. Events, audit
rows and topic versions are collected by the transaction and written at its end, topics last and
sorted, so that locks are always taken in one order.
"""

import json
import logging
import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Generic, Protocol, TypeVar, cast

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    TextClause,
    bindparam,
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
from sqlalchemy.exc import TimeoutError as NoConnection

from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import SetupError, StorageUnavailable
from puskesmas_queue.domain.events import lifetime, order_key
from puskesmas_queue.storage import tables

T = TypeVar("T")
Audience = Callable[[str], Sequence[str]]
log = logging.getLogger(__name__)

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


def quick(conn: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> list[Any]:
    """
    Run a statement of the hot path and return its rows.

    SQLite's driver gets it at once, since it reads the same `:name`: for a small statement
    SQLAlchemy's own work costs ten times the database's. Values must be of the types that
    `_plain` knows.
    """
    driver = _sqlite_driver(conn)
    if driver is not None:
        return driver.execute(statement.text, _plain(parameters)).fetchall()
    result = conn.execute(statement, parameters)
    return list(result) if result.returns_rows else []


def _sqlite_driver(conn: Connection) -> sqlite3.Connection | None:
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


def _insert_collected(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> Sequence[int]:
    """Insert rows and return their ids."""
    if not rows:
        return ()
    driver = _sqlite_driver(conn)
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


def _insert_facts(conn: Connection, events: list[dict[str, Any]], audience: Audience) -> None:
    """Insert events, each with one delivery for every plugin that listens to it."""
    ids = _insert_collected(conn, tables.events, events)
    deliveries = [
        delivery_row(row, event_id, plugin)
        for event_id, row in zip(ids, events, strict=True)
        for plugin in audience(row["kind"])
    ]
    _insert_collected(conn, tables.deliveries, deliveries)


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


def _bump(conn: Connection, clinic_id: str, topics: set[str], now: datetime) -> dict[str, int]:
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


class Database(ABC):
    """
    The rows of one clinic.

    `listener` is told the new topic versions of every commit, in the committing thread;
    `audience` names the plugins that hear of a kind of event.
    """

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        self.engine = engine
        self.clinic_id = clinic_id
        self.clock = clock
        self.listener: Callable[[dict[str, int]], None] = lambda versions: None
        self.audience: Audience = lambda kind: ()

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

    def committed(
        self, versions: dict[str, int], callbacks: Sequence[Callable[[], None]] = ()
    ) -> None:
        """Tell this process what a commit changed; what is safe stays so whoever fails to hear."""
        told = [*callbacks, lambda: self.listener(versions)] if versions else callbacks
        for tell in told:
            try:
                tell()
            except Exception:
                log.exception("after a commit")


class _Job(Generic[T]):
    """A transaction that waits for the writer; a plain lock wakes its thread cheapest."""

    __slots__ = ("_answer", "_is_over", "_is_told", "_refusal", "fn")

    def __init__(self, fn: Callable[[Tx], T]) -> None:
        self.fn = fn
        self._answer: T | None = None
        self._refusal: BaseException | None = None
        self._is_told = False
        self._is_over = threading.Lock()
        self._is_over.acquire()

    def wait(self) -> T:
        self._is_over.acquire()
        if self._refusal is not None:
            raise self._refusal
        return cast(T, self._answer)

    def answer(self, value: T) -> None:
        self._answer = value
        self._is_told = True
        self._is_over.release()

    def refuse(self, error: BaseException) -> None:
        """Let its thread raise this, unless it was told something before."""
        if not self._is_told:
            self._refusal = error
            self._is_told = True
            self._is_over.release()


class _Spoilt(Exception):
    """A transaction failed after it changed rows that others share a commit with."""


class SqliteDatabase(Database):
    """A file, one writer thread, any number of readers."""

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        super().__init__(engine, clinic_id, clock)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._is_closed = False
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
        except (DBAPIError, NoConnection) as error:
            raise _as_refusal(error) from error

    def write(self, fn: Callable[[Tx], T]) -> T:
        if threading.current_thread() is self._writer:
            raise RuntimeError("a transaction cannot wait for another one")
        job = _Job(fn)
        with self._closing:
            if self._is_closed:
                raise StorageUnavailable("the database is closed")
            self._jobs.put(job)
        return job.wait()

    def close(self) -> None:
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
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
                        waiting.refuse(_as_refusal(error))
                    if conn is not None:
                        conn.invalidate()
                        conn.close()
                        conn = None
            if job is None:
                break
        if conn is not None:
            conn.close()

    def _commit(self, conn: Connection, jobs: "list[_Job[Any]]") -> None:
        """
        Run transactions and commit them together.

        Savepoints cost a fifth of the rate, and refusals nearly always come before the first
        changed row. So several run without; where one changed something and then failed, all
        is rolled back and run again with a savepoint each.
        """
        try:
            self._try(conn, jobs, has_savepoints=len(jobs) == 1)
        except _Spoilt:
            self._try(conn, jobs, has_savepoints=True)

    def _try(self, conn: Connection, jobs: "list[_Job[Any]]", *, has_savepoints: bool) -> None:
        driver = _sqlite_driver(conn)
        assert driver is not None
        sql = driver.cursor().execute
        sql("BEGIN IMMEDIATE")
        answers: list[tuple[_Job[Any], Any]] = []
        refusals: list[tuple[_Job[Any], BaseException]] = []
        done: list[Tx] = []
        try:
            for job in jobs:
                tx = Tx(conn, self.clinic_id, self.clock.now())
                changes = driver.total_changes
                if has_savepoints:
                    sql("SAVEPOINT job")
                try:
                    answers.append((job, job.fn(tx)))
                    done.append(tx)
                except Exception as error:
                    if not driver.in_transaction:
                        # SQLite gives up the whole transaction on a full disk.
                        raise
                    if has_savepoints:
                        sql("ROLLBACK TO job")
                    elif driver.total_changes != changes:
                        raise _Spoilt from error
                    refusals.append((job, error))
                if has_savepoints:
                    sql("RELEASE job")
            events = [row for tx in done for row in tx.events]
            _insert_facts(conn, events, self.audience)
            _insert_collected(conn, tables.audit, [row for tx in done for row in tx.audits])
            topics = set().union(*(tx.topics for tx in done)) if done else set()
            versions = _bump(conn, self.clinic_id, topics, self.clock.now())
            sql("COMMIT")
        except BaseException:
            if driver.in_transaction:
                sql("ROLLBACK")
            raise
        # Before the answers: whoever asks next must see what was changed.
        self.committed(versions, [callback for tx in done for callback in tx.callbacks])
        for job, answer in answers:
            job.answer(answer)
        for job, refusal in refusals:
            job.refuse(_as_refusal(refusal))


class PostgresDatabase(Database):
    """A server, each transaction in its caller's thread."""

    def __init__(self, engine: Engine, clinic_id: str, clock: Clock) -> None:
        super().__init__(engine, clinic_id, clock)
        self._reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._thread = threading.local()

    def read(self, fn: Callable[[Reading], T]) -> T:
        try:
            with self._reader.connect() as conn:
                return fn(Reading(conn, self.clinic_id, self.clock.now()))
        except (DBAPIError, NoConnection) as error:
            raise _as_refusal(error) from error

    def write(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self._one_write(), self.engine.connect() as conn, conn.begin():
                tx = Tx(conn, self.clinic_id, self.clock.now())
                result = fn(tx)
                _insert_facts(conn, tx.events, self.audience)
                _insert_collected(conn, tables.audit, tx.audits)
                versions = _bump(conn, self.clinic_id, tx.topics, tx.now)
        except (DBAPIError, NoConnection) as error:
            raise _as_refusal(error) from error
        self.committed(versions, tx.callbacks)
        return result

    def write_single(self, fn: Callable[[Connection], T]) -> T:
        """
        Run one statement that is a whole transaction by itself: one round trip.

        The statement bumps its topics and notifies; the caller reports them to `committed`.
        """
        try:
            with self._one_write(), self._single.connect() as conn:
                return fn(conn)
        except (DBAPIError, NoConnection) as error:
            raise _as_refusal(error) from error

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _one_write(self) -> Iterator[None]:
        """Refuse a transaction inside another one, as SQLite must: it could wait for itself."""
        if getattr(self._thread, "is_writing", False):
            raise RuntimeError("a transaction cannot wait for another one")
        self._thread.is_writing = True
        try:
            yield
        finally:
            self._thread.is_writing = False


def _as_refusal(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError):
        refusal = StorageUnavailable(str(error.orig))
        refusal.__cause__ = error
        return refusal
    if isinstance(error, sqlite3.Error | NoConnection):
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
