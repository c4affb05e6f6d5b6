"""
Transactions on SQLite and PostgreSQL behind one small interface.

SQLite has one writer thread: it takes the transactions that wait, runs one after the other, commits
once, then answers all. PostgreSQL runs each in the caller's thread.
"""

import logging
import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.storage.connect import make_engine
from puskesmas_queue.storage.finale import Audience, end_batch, questions_at_the_end, versions_of
from puskesmas_queue.storage.round_trips import ask_and_commit, sqlite_driver
from puskesmas_queue.storage.transaction import Clock, Reading, Tx

T = TypeVar("T")
log = logging.getLogger(__name__)

BATCH = 128
"""Most transactions that share one commit on SQLite."""


@dataclass(frozen=True, slots=True)
class DatabaseLoad:
    """
    How busy this process's way to the database is.

    Args:
        queue: Changes that wait for SQLite's writer.
        commits: Commits so far, of SQLite's writer.
        changes: Transactions in them; each commit takes all that wait.
        used: Connections in use.
        size: Connections that are kept.
    """

    queue: int
    commits: int
    changes: int
    used: int
    size: int


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

    def load(self) -> DatabaseLoad:
        """Return how busy it is."""
        pool = cast(QueuePool, self.engine.pool)
        return DatabaseLoad(0, 0, 0, pool.checkedout(), pool.size())

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
        self._commits = self._changes = 0
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

    def load(self) -> DatabaseLoad:
        return replace(
            super().load(),
            queue=self._jobs.qsize(),
            commits=self._commits,
            changes=self._changes,
        )

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
                    self._commits += 1
                    self._changes += len(jobs)
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
        driver = sqlite_driver(conn)
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
            versions = end_batch(conn, self.clinic_id, done, self.audience, self.clock.now())
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
        with self._connection(self._reader) as conn:
            return fn(Reading(conn, self.clinic_id, self.clock.now()))

    def write(self, fn: Callable[[Tx], T]) -> T:
        with self._one_write(), self._connection(self.engine) as conn, conn.begin():
            tx = Tx(conn, self.clinic_id, self.clock.now())
            result = fn(tx)
            last = questions_at_the_end(tx, self.audience)
            # The last statements and the commit: one way there and back, then all locks are free.
            answers = ask_and_commit(conn, [*tx.put_off(), *last])
            versions = versions_of(answers[-1]) if last else {}
        self.committed(versions, tx.callbacks)
        return result

    def write_single(self, fn: Callable[[Connection], T]) -> T:
        """
        Run one statement that is a whole transaction by itself: one round trip.

        The statement bumps its topics and notifies; the caller reports them to `committed`.
        """
        with self._one_write(), self._connection(self._single) as conn:
            return fn(conn)

    @contextmanager
    def _connection(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.connect() as conn:
                try:
                    yield conn
                except psycopg.Error as error:
                    # SQLAlchemy was not asked, so it does not know that the server is gone.
                    if getattr(conn.connection.dbapi_connection, "closed", True):
                        conn.invalidate(error)
                        self.engine.dispose()
                    raise
        except (DBAPIError, NoConnection, psycopg.Error) as error:
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
    if isinstance(error, sqlite3.Error | psycopg.Error | NoConnection):
        refusal = StorageUnavailable(str(error))
        refusal.__cause__ = error
        return refusal
    return error


def open_database(url: str, clinic_id: str, clock: Clock, *, pooler: bool = False) -> Database:
    """
    Open a clinic's rows.

    Raises:
        SetupError: The address is wrong.
    """
    engine = make_engine(url, pooler=pooler)
    kind = SqliteDatabase if engine.dialect.name == "sqlite" else PostgresDatabase
    return kind(engine, clinic_id, clock)
