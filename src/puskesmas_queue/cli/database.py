"""Whether the database is the one that this version of the program works with."""

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import Config, without_password


def schema_fault(config: Config) -> str | None:
    """
    Compare the database with this program.

    Returns:
        None where they fit, else one line that says what to do.

    Raises:
        SetupError: The database cannot be reached.
    """
    missing = file_fault(config)
    if missing is not None:
        return missing
    from puskesmas_queue.storage import migrate

    try:
        found, wanted = migrate.current(config.database.url), migrate.head()
    except SetupError as error:
        place = config.database.file or without_password(config.database.url)
        raise SetupError(f"{place}: {error}") from error
    if found == wanted:
        return None
    if found is None:
        return "the database is empty: run puskesmas-queue db upgrade"
    if found in migrate.revisions():
        return f"the database is older than this program ({found}): run puskesmas-queue db upgrade"
    return f"the database is newer than this program ({found}): install the newer puskesmas-queue"


def file_fault(config: Config) -> str | None:
    """Say that the SQLite file is not there; opening it would make an empty one."""
    file = config.database.file
    if file is None or file.exists():
        return None
    return f"no database at {file}: make one with puskesmas-queue init"


def refuse_missing_file(config: Config) -> None:
    """Raise SetupError where `file_fault` has something to say."""
    fault = file_fault(config)
    if fault is not None:
        raise SetupError(fault)


def make_folder(config: Config) -> None:
    """
    Make the folder of the SQLite file.

    Raises:
        SetupError: It cannot be made.
    """
    if config.database.file is None:
        return
    folder = config.database.file.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot make {folder}: {error.strerror}") from None


def refuse_wrong_schema(config: Config) -> None:
    """Raise SetupError where `schema_fault` has something to say."""
    fault = schema_fault(config)
    if fault is not None:
        raise SetupError(fault)
