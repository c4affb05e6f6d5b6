"""A plugin's own tables, on both databases."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from puskesmas_queue.domain.errors import PluginDataUnavailable
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.storage import migrate, plugin_data
from puskesmas_queue.storage.plugin_data import PluginDatabase, plugin_database
from support.plugin_tables import FIRST, write_migration

SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.add_column("words_seen", sa.Column("note", sa.String(40)))


def downgrade():
    op.drop_column("words_seen", "note")
"""
Make = Callable[..., PluginDatabase]


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Makes the tables of a plugin `words` whose first migration is this."""
    made: list[PluginDatabase] = []

    def build(
        table: str = "words_seen", more: str = "pass", package: str = "words"
    ) -> PluginDatabase:
        folder = tmp_path / package
        write_migration(folder, "0001_first", FIRST.format(table=table, more=more))
        database = plugin_database(database_url, "words", folder)
        assert database is not None
        made.append(database)
        return database

    yield build
    for one in made:
        one.close()


def add(word: str) -> Callable[..., None]:
    """Return what counts a word once more."""

    def run(connection):
        connection.execute(
            text(
                "INSERT INTO words_seen (clinic_id, word, times) VALUES ('c', :word, 1) "
                "ON CONFLICT (clinic_id, word) DO UPDATE SET times = words_seen.times + 1"
            ),
            {"word": word},
        )

    return run


def times(connection, word: str = "satu") -> int | None:
    query = text("SELECT times FROM words_seen WHERE word = :word")
    return connection.execute(query, {"word": word}).scalar()


def test_a_plugin_without_migrations_has_no_tables(database_url, tmp_path):
    """Nothing is made for who needs nothing."""
    assert plugin_database(database_url, "words", tmp_path) is None
    assert plugin_database(database_url, "words", None) is None


def test_what_was_written_is_read(make):
    """The tables are made at the first question, and stay."""
    data = make()
    data.write(add("satu"))
    data.write(add("satu"))
    assert data.read(times) == 2
    assert data.tables() == {"words_seen": [("c", "satu", 2)]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_nobody_else_reads_its_file(sqlite_url, tmp_path):
    """As with the clinic's own."""
    write_migration(tmp_path / "p", "0001_first", FIRST.format(table="words_seen", more="pass"))
    data = plugin_database(sqlite_url, "words", tmp_path / "p")
    data.write(add("satu"))
    rights = [file.stat().st_mode & 0o777 for file in tmp_path.glob("*-words.db*")]
    data.close()
    assert rights == [0o600] * 3


def test_a_write_that_raises_keeps_nothing(make):
    """All of it or nothing; the exception is the plugin's own."""
    data = make()

    def half(connection):
        add("satu")(connection)
        raise KeyError("half way")

    with pytest.raises(KeyError, match="half way"):
        data.write(half)
    assert data.read(times) is None


def test_read_does_not_write(make):
    """Who reads cannot change anything by mistake."""
    data = make()
    with pytest.raises(PluginDataUnavailable) as caught:
        data.read(add("satu"))
    assert "read" in str(caught.value)
    data.write(add("dua"))
    assert data.tables() == {"words_seen": [("c", "dua", 1)]}


def test_migrations_go_on_up_and_down(make, database_url, tmp_path):
    """A later version adds its step; down takes everything away, the core's tables stay."""
    data = make()
    data.write(add("satu"))
    write_migration(tmp_path / "words", "0002_note", SECOND)
    later = plugin_database(database_url, "words", tmp_path / "words")
    try:
        assert later.tables() == {"words_seen": [("c", "satu", 1, None)]}
        later.downgrade()
        assert migrate.check(database_url) == []
        later.prepare()
        assert later.tables() == {"words_seen": []}
    finally:
        later.close()


def test_tables_newer_than_the_plugin_are_left_alone(make, database_url, tmp_path):
    """An older plugin does not touch what a newer one made."""
    make()
    write_migration(tmp_path / "words", "0002_note", SECOND)
    newer = plugin_database(database_url, "words", tmp_path / "words")
    newer.prepare()
    newer.close()
    older = make(package="older")
    with pytest.raises(PluginDataUnavailable, match=r"newer than the plugin \(0002\)"):
        older.prepare()


@pytest.mark.parametrize(
    ("table", "more", "reason"),
    [
        ("seen", "pass", 'table "seen" does not begin with words_'),
        ("words_seen", "raise RuntimeError('no')", "RuntimeError: no"),
        (
            "words_seen",
            "op.create_table('words_b', sa.Column('id', sa.Integer, primary_key=True))",
            'the key of table "words_b" has no clinic_id',
        ),
        ("words_seen", "op.execute('SELECT 1 FROM nowhere')", "nowhere"),
    ],
)
def test_a_failing_migration_leaves_nothing(make, database_url, table, more, reason, monkeypatch):
    """Tried once, named at every question, and the core's tables are as they were."""
    tries = []
    monkeypatch.setattr("builtins.tries", tries, raising=False)
    data = make(table, f"import builtins; builtins.tries.append(1)\n    {more}")
    for _ in range(2):
        with pytest.raises(PluginDataUnavailable, match="migration failed") as caught:
            data.read(times)
        assert reason in str(caught.value)
    assert tries == [1]
    assert migrate.check(database_url) == []
    good = make(package="good")
    good.write(add("satu"))
    assert good.read(times) == 1


@pytest.mark.postgres
def test_a_foreign_key_into_the_core_is_refused(postgres_url, tmp_path):
    """A plugin that is uninstalled must not hold on to the core's rows."""
    more = (
        "op.create_table('words_t', sa.Column('clinic_id', sa.String(36), primary_key=True), "
        "sa.Column('code', sa.String(8)), sa.ForeignKeyConstraint(['clinic_id', 'code'], "
        "['units.clinic_id', 'units.code']))"
    )
    write_migration(tmp_path, "0001_first", FIRST.format(table="words_seen", more=more))
    data = plugin_database(postgres_url, "words", tmp_path)
    try:
        with pytest.raises(PluginDataUnavailable, match='"words_t" points to units'):
            data.prepare()
    finally:
        data.close()


@pytest.mark.postgres
def test_a_slow_statement_is_ended(postgres_url, tmp_path, monkeypatch):
    """On PostgreSQL nothing of a plugin's runs for longer than its time."""
    monkeypatch.setattr(plugin_data, "TIMEOUT_S", 3.0)
    write_migration(tmp_path, "0001_first", FIRST.format(table="words_seen", more="pass"))
    data = plugin_database(postgres_url, "words", tmp_path)
    try:
        with pytest.raises(PluginDataUnavailable, match="statement timeout"):
            data.write(lambda connection: connection.execute(text("SELECT pg_sleep(30)")))
        data.write(add("satu"))
    finally:
        data.close()


def test_a_write_that_hangs_holds_up_itself_only(sqlite_url, tmp_path, monkeypatch):
    """On SQLite the next writer of the same plugin is told that it is busy."""
    write_migration(tmp_path, "0001_first", FIRST.format(table="words_seen", more="pass"))
    data = plugin_database(sqlite_url, "words", tmp_path)
    data.prepare()
    monkeypatch.setattr(plugin_data, "TIMEOUT_S", 0.05)
    inside, leave = threading.Event(), threading.Event()

    def hang(connection):
        inside.set()
        leave.wait(30)

    thread = threading.Thread(target=data.write, args=(hang,))
    thread.start()
    inside.wait(30)
    with pytest.raises(PluginDataUnavailable, match="busy"):
        data.write(add("satu"))
    assert data.read(times) is None
    leave.set()
    thread.join()
    data.write(add("satu"))
    data.close()


def test_many_threads_count_right(make):
    """200 writes of 8 threads are 200."""
    data = make()
    data.prepare()
    workers = [
        threading.Thread(target=lambda: [data.write(add("satu")) for _ in range(25)])
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert data.read(times) == 200


def test_two_processes_migrate_once(make, database_url, tmp_path):
    """Whoever comes second finds the tables made."""
    first = make()
    second = plugin_database(database_url, "words", tmp_path / "words")
    failures: list[Exception] = []

    def prepare(data: PluginDatabase) -> None:
        try:
            data.prepare()
        except PluginDataUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=prepare, args=(one,)) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert failures == []


def test_a_write_that_is_ended_while_it_waits_blocks_no_other(sqlite_url, tmp_path):
    """It ran out of time, and is ended at the moment in which its turn has come."""
    write_migration(tmp_path, "0001_first", FIRST.format(table="words_seen", more="pass"))
    data = plugin_database(sqlite_url, "words", tmp_path)
    data.prepare()
    inside, leave = threading.Event(), threading.Event()

    def hang(connection):
        inside.set()
        leave.wait(60)

    thread = threading.Thread(target=data.write, args=(hang,))
    thread.start()
    assert inside.wait(60)
    guard = Guard()
    with pytest.raises(NoAnswer):
        guard.call(lambda: data.write(add("satu")), 0.5)
    guard.end()
    leave.set()
    thread.join()

    data.write(add("satu"))

    assert data.read(times) == 1
    data.close()
