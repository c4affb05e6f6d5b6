"""The schema's versions: where a database stands, and bringing it up."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from puskesmas_queue.domain.errors import SetupError, StorageUnavailable
from puskesmas_queue.storage.connect import make_engine
from puskesmas_queue.storage.tables import metadata

VERSION_TABLE = "puskesmas_queue_version"
FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """Return the version that this program works with."""
    revision = _script().get_current_head()
    assert revision is not None
    return revision


def revisions() -> list[str]:
    """Return every version that this program knows, newest first."""
    return [revision.revision for revision in _script().walk_revisions()]


def current(url: str) -> str | None:
    """
    Return the version of a database, None where it is empty.

    Raises:
        SetupError: It cannot be reached or is no database.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            return context.get_current_revision()
    except DBAPIError as error:
        raise SetupError(f"cannot open the database: {_first_line(error)}") from error
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """
    Bring a database to this program's version, all of it or nothing.

    Raises:
        SetupError: It cannot be reached, or it is newer than this program.
        StorageUnavailable: A step failed; nothing of it was kept.
    """
    found = current(url)
    if found is not None and found not in revisions():
        raise SetupError(f"the database is newer than this program ({found})")
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            command.upgrade(_config(connection), "head")
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("COMMIT")
            else:
                connection.commit()
    except DBAPIError as error:
        raise StorageUnavailable(f"upgrade failed: {_first_line(error)}") from error
    finally:
        engine.dispose()


def check(url: str) -> list[str]:
    """Return how a database differs from what this program expects, one line each."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={"version_table": VERSION_TABLE, "include_object": is_ours},
            )
            return [str(difference) for difference in compare_metadata(context, metadata)]
    except DBAPIError as error:
        raise SetupError(f"cannot open the database: {_first_line(error)}") from error
    finally:
        engine.dispose()


def is_ours(
    item: object, name: str | None, kind: str, is_reflected: bool, compared_to: object
) -> bool:
    """Leave tables of plugins alone."""
    return not (kind == "table" and is_reflected and name not in metadata.tables)


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
