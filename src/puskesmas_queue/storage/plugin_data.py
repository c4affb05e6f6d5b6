"""
A plugin's own tables: they never wait for the clinic's line, nor make it wait.

On SQLite they are in a file of their own beside the clinic's; on PostgreSQL they are reached by
own connections with time-outs.

Source: architecture, section 3, "Plugin data".
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from puskesmas_queue.domain.errors import PluginDataUnavailable
from puskesmas_queue.storage.connect import make_engine, parse_url

T = TypeVar("T")
FOLDER = "migrations"
"""In the plugin's package; its folder `versions` holds the Alembic revisions, in one line."""
POOL_SIZE = 2
TIMEOUT_S = 5.0
MIGRATING_S = 30.0


def plugin_database(
    url: str, plugin: str, folder: Path | None, *, pooler: bool = False
) -> "PluginDatabase | None":
    """
    Find a plugin's tables; None for a plugin without migrations.

    Args:
        url: The clinic's database.
        plugin: The plugin's name, which begins the names of its tables.
        folder: The plugin's package.
        pooler: See `make_engine`.
    """
    if folder is None or not (folder / FOLDER / "versions").is_dir():
        return None
    return PluginDatabase(url, plugin, folder / FOLDER, pooler=pooler)


class _Turn:
    """
    Whose turn it is; one that does not end can be taken away from its owner.

    It is taken inside of `try` and given in `finally`: a thread that ran out of time is ended in
    any line, most likely in the one where it has waited, and a lock would be nobody's then.
    """

    def __init__(self) -> None:
        self._owner: object | None = None
        self._changed = threading.Condition()

    def take(self, owner: object, timeout_s: float) -> bool:
        """Wait until nobody else has it; False where that takes too long."""
        with self._changed:
            is_free = self._changed.wait_for(lambda: self._owner is None, timeout_s)
            if is_free:
                self._owner = owner
            return is_free

    def give(self, owner: object) -> None:
        """Let the next one have it, unless it was taken away before."""
        with self._changed:
            if self._owner is owner:
                self._owner = None
                # One of them alone may be about to be ended.
                self._changed.notify_all()


_migrating = _Turn()
"""Alembic's `op` stands for one migration at a time in a whole process."""


class _Failed(Exception):
    """A migration is wrong, and would be wrong again."""


class PluginDatabase:
    """The tables of one plugin of one clinic; see `extensions.PluginData`."""

    def __init__(self, url: str, plugin: str, migrations: Path, *, pooler: bool = False) -> None:
        address = parse_url(url)
        self._is_sqlite = address.drivername == "sqlite"
        if self._is_sqlite:
            file = Path(address.database or "")
            own = file.with_name(f"{file.stem}-{plugin}.db")
            address = address.set(database=str(own))
        self._url = address.render_as_string(hide_password=False)
        self._pooler = pooler
        self._plugin = plugin
        self._migrations = migrations
        self._prefix = f"{plugin}_"
        self._version_table = f"{plugin}_version"
        self._known_engine: Engine | None = None
        self._preparing = threading.Lock()
        self._writing = _Turn()
        self._failure: str | None = None
        self._is_ready = False

    def read(self, do: Callable[[Connection], T]) -> T:
        """Look something up."""
        self.prepare()
        with self._connection(is_writing=False) as connection:
            return do(connection)

    def write(self, do: Callable[[Connection], T]) -> T:
        """Change something, all of it or nothing."""
        self.prepare()
        with self._alone(), self._connection(is_writing=True) as connection:
            return do(connection)

    def prepare(self) -> None:
        """
        Bring the tables to the plugin's version, once.

        Raises:
            PluginDataUnavailable: A migration failed, nothing of it was kept; or see `read`.
        """
        if self._is_ready:
            return
        # Asked for before the lock as well: a migration that was given up may hold it for ever.
        self._refuse_failed()
        with self._preparing:
            self._refuse_failed()
            if not self._is_ready:
                self._migrate(self._upgrade)
                self._is_ready = True

    def give_up(self) -> None:
        """Let other plugins have their migrations: this one ran out of time and was ended."""
        if not self._is_ready:
            self._failure = self._failure or "migration failed: it did not end"
            _migrating.give(self)

    def downgrade(self) -> None:
        """
        Take all tables away again.

        Raises:
            PluginDataUnavailable: A migration failed, nothing of it was kept.
        """
        with self._preparing:
            self._migrate(self._downgrade)
            self._is_ready = False

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Read everything, by table; the table of versions is left out."""

        def run(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
            names = [name for name in _names(connection) if name.startswith(self._prefix)]
            names.remove(self._version_table)
            quote = connection.dialect.identifier_preparer.quote
            return {
                name: sorted(
                    (
                        tuple(row)
                        for row in connection.execute(text(f"SELECT * FROM {quote(name)}"))
                    ),
                    key=repr,
                )
                for name in sorted(names)
            }

        return self.read(run)

    def close(self) -> None:
        """Let go of the connections."""
        if self._known_engine is not None:
            self._known_engine.dispose()

    # Connections

    @property
    def _engine(self) -> Engine:
        if self._known_engine is None:
            if self._is_sqlite:
                _keep_private(Path(parse_url(self._url).database or ""))
            self._known_engine = make_engine(
                self._url, pooler=self._pooler, pool_size=POOL_SIZE, wait_s=TIMEOUT_S
            )
        return self._known_engine

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let SQLite see one writer at a time; PostgreSQL looks after itself."""
        if not self._is_sqlite:
            yield
            return
        mine = object()
        try:
            if not self._writing.take(mine, TIMEOUT_S):
                raise PluginDataUnavailable(self._plugin, f"busy for {TIMEOUT_S:.0f} s")
            yield
        finally:
            self._writing.give(mine)

    @contextmanager
    def _connection(self, *, is_writing: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                self._begin(connection, is_writing=is_writing)
                try:
                    yield connection
                except BaseException:
                    self._end(connection, "ROLLBACK")
                    raise
                self._end(connection, "COMMIT")
        except (OperationalError, InternalError, PoolTimeout) as error:
            raise PluginDataUnavailable(self._plugin, _line(error)) from error

    def _begin(self, connection: Connection, *, is_writing: bool) -> None:
        if self._is_sqlite:
            connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if is_writing else 'ON'}")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
            return
        limit = f"'{TIMEOUT_S:.0f}s'"
        if not is_writing:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {limit}")
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {limit}")

    def _end(self, connection: Connection, how: str) -> None:
        if self._is_sqlite:
            connection.exec_driver_sql(how)
        elif how == "COMMIT":
            connection.commit()
        else:
            connection.rollback()

    # Migrations

    def _refuse_failed(self) -> None:
        if self._failure is not None:
            raise PluginDataUnavailable(self._plugin, self._failure)

    def _migrate(self, run: Callable[[Connection], None]) -> None:
        try:
            if not _migrating.take(self, MIGRATING_S):
                raise PluginDataUnavailable(self._plugin, "another migration does not end")
            with self._alone(), self._connection(is_writing=True) as connection:
                try:
                    run(connection)
                except Exception as error:
                    if isinstance(error, DBAPIError) and error.connection_invalidated:
                        raise
                    raise _Failed(_line(error)) from error
        except _Failed as error:
            # Foreign code: whatever it raised, the tables are as they were.
            self._failure = f"migration failed: {error}"
            raise PluginDataUnavailable(self._plugin, self._failure) from error
        finally:
            _migrating.give(self)

    def _upgrade(self, connection: Connection) -> None:
        if not self._is_sqlite:
            # Two processes that start together do this one after the other.
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": self._version_table}
            )
        before = set(_names(connection))
        script, context = self._alembic(connection)
        current = context.get_current_revision()
        steps = list(script.iterate_revisions("head", current or "base"))
        for step in reversed(steps):
            if step.revision == current:
                continue
            with Operations.context(context):
                step.module.upgrade()
            context.stamp(script, step.revision)
        self._check(connection, before)

    def _downgrade(self, connection: Connection) -> None:
        script, context = self._alembic(connection)
        current = context.get_current_revision()
        for step in script.iterate_revisions(current, "base"):
            with Operations.context(context):
                step.module.downgrade()
        context.stamp(script, "base")
        connection.exec_driver_sql(f"DROP TABLE {self._version_table}")

    def _alembic(self, connection: Connection) -> tuple[ScriptDirectory, MigrationContext]:
        script = ScriptDirectory(str(self._migrations))
        context = MigrationContext.configure(
            connection, opts={"version_table": self._version_table}
        )
        current = context.get_current_revision()
        if current is not None:
            try:
                script.get_revision(current)
            except CommandError:
                raise ValueError(f"its tables are newer than the plugin ({current})") from None
        return script, context

    def _check(self, connection: Connection, before: set[str]) -> None:
        """See that tables are the plugin's own in name, key and what they point to."""
        seen = inspect(connection)
        after = set(seen.get_table_names())
        if not before <= after:
            raise ValueError(f"it dropped {', '.join(sorted(before - after))}")
        for name in sorted(after - before):
            if not name.startswith(self._prefix):
                raise ValueError(f'table "{name}" does not begin with {self._prefix}')
            if name == self._version_table:
                continue
            if "clinic_id" not in seen.get_pk_constraint(name)["constrained_columns"]:
                raise ValueError(f'the key of table "{name}" has no clinic_id')
            for key in seen.get_foreign_keys(name):
                if not key["referred_table"].startswith(self._prefix):
                    raise ValueError(f'table "{name}" points to {key["referred_table"]}')


def _names(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


def _line(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return str(error.orig).strip().splitlines()[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _keep_private(file: Path) -> None:
    """Let nobody else read a new file, whatever the folder's rights; its WAL has the same."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
