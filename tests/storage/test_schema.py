"""Tables: keys that begin with the clinic, migrations up and down, clinics that never meet."""

from dataclasses import replace

import pytest
from alembic import command
from sqlalchemy import inspect, select

from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.services import accounts, counters, day, speech
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.tickets import cancel_ticket
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.settings import ClinicConfig
from puskesmas_queue.storage import migrate, tables
from puskesmas_queue.storage import tickets as ticket_rows
from puskesmas_queue.storage.connect import make_engine
from support.clinics import make_clinic, make_config
from support.desk import STAFF, add_counters, open_all, take

TABLES = tables.metadata.sorted_tables


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request, tmp_path):
    """A database without any table."""
    if request.param == "postgresql":
        return request.getfixturevalue("empty_postgres_url")
    return f"sqlite:///{(tmp_path / 'empty.db').as_posix()}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_begin_with_the_clinic(table):
    """Primary key, unique constraints, indexes and foreign keys: one database, many clinics."""
    keys = [table.primary_key, *table.indexes]
    keys += [one for one in table.constraints if hasattr(one, "columns") and len(one.columns)]
    keys = [list(key.columns) for key in keys if key.__class__.__name__ != "CheckConstraint"]

    assert len(table.primary_key.columns) >= 2
    assert {columns[0].name for columns in keys} == {"clinic_id"}


def test_stored_keys_begin_with_the_clinic(database_url):
    """As the database has them, not as the program wishes."""
    engine = make_engine(database_url)
    try:
        found = inspect(engine)
        for table in TABLES:
            assert found.get_pk_constraint(table.name)["constrained_columns"][0] == "clinic_id"
            for key in (*found.get_indexes(table.name), *found.get_unique_constraints(table.name)):
                assert key["column_names"][0] == "clinic_id", (table.name, key)
    finally:
        engine.dispose()


def test_migrations_up_down_and_up(empty_url):
    """From nothing to the program's version, back to nothing, and up again, without drift."""
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    assert migrate.check(empty_url) == []
    assert tables_in(empty_url) == {table.name for table in TABLES}

    downgrade(empty_url)
    assert migrate.current(empty_url) is None
    assert tables_in(empty_url) == set()

    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.check(empty_url) == []


def downgrade(url):
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            command.downgrade(migrate._config(connection), "base")
    finally:
        engine.dispose()


def tables_in(url):
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {migrate.VERSION_TABLE}
    finally:
        engine.dispose()


def change(url, statement):
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX ix_tickets_standing",
        "ALTER TABLE tickets DROP COLUMN skips",
        "ALTER TABLE units ADD COLUMN floor INTEGER",
    ],
)
def test_drift_is_found(database_url, statement):
    """An index, a column too few, a column too many."""
    assert migrate.check(database_url) == []

    change(database_url, statement)

    assert len(migrate.check(database_url)) == 1


def test_tables_of_plugins_are_left_alone(database_url):
    """They are not drift."""
    change(database_url, "CREATE TABLE bpjs_logs (id INTEGER)")

    assert migrate.check(database_url) == []


def test_newer_database_is_refused(database_url):
    """Nothing of it is touched."""
    change(database_url, f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(SetupError, match="newer"):
        migrate.upgrade(database_url)
    assert migrate.current(database_url) == "9999"


# Two clinics


@pytest.fixture
def two(database_url, clock, tmp_path):
    """Two clinics in one database."""
    config = make_config(database_url, tmp_path)
    other = replace(config, clinic=ClinicConfig("lain", "Puskesmas Lain", "Asia/Jayapura"))
    opened = [make_clinic(config, clock), make_clinic(other, clock, preset="ilp")]
    yield opened
    for one in opened:
        one.close()


def rows_by_clinic(clinic):
    """Every row of every table, by clinic."""

    def run(tx):
        found = {}
        for table in TABLES:
            for row in tx.conn.execute(select(table).order_by(*table.primary_key.columns)):
                found.setdefault(row.clinic_id, []).append((table.name, tuple(row)))
        return found

    return clinic.db.read(run)


def work_a_morning(clinic, unit, other_unit):
    """Touch every table that a clinic's day touches."""
    add_counters(clinic, 3)
    open_all(clinic, 1, 2, 3)
    counters.restrict_counter(clinic, 2, (unit,), STAFF)
    issued = take(clinic, "PAAAA", unit)
    speech.heartbeat(clinic, "main", "screen-of-the-tv", True)
    serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)
    call_next(clinic, 2, STAFF)
    cancel_ticket(clinic, issued[3].id, "pulang", STAFF)
    transfer_ticket(clinic, issued[4].id, other_unit, None, "salah", STAFF)
    set_option(clinic, "queue.priority_ratio", "1:1", STAFF)
    accounts.add_user(clinic, "budi", SYSTEM, role=Role.ADMIN, password="tikus7&abuabu")
    accounts.invite_user(clinic, "ani", SYSTEM, role=Role.KEPALA)
    day.forget_old_keys(clinic)
    day.confirm_clock(clinic, STAFF)
    day.skip_long_held(clinic)
    day.expire_old_days(clinic)
    return issued


def test_two_clinics_never_meet(two):
    """What one does leaves every row of the other one as it was, numbers from 001 for each."""
    mine, other = two
    first = work_a_morning(mine, "umum", "gigi")
    before = rows_by_clinic(mine)["uji"]

    second = work_a_morning(other, "dewasa", "gigi")

    after = rows_by_clinic(mine)
    assert after["uji"] == before
    assert set(after) == {"uji", "lain"}
    assert {name for name, _ in after["lain"]} == {name for name, _ in before}
    assert [ticket.number for ticket in second] == ["P-001", "B-001", "B-002", "B-003", "B-004"]
    assert [ticket.number for ticket in first] == ["P-001", "A-001", "A-002", "A-003", "A-004"]


def test_two_clinics_see_their_own(two):
    """Lines, tickets, counters, users, settings and versions."""
    mine, other = two
    work_a_morning(mine, "umum", "gigi")

    shown = line_view(other, "main")
    assert (shown.order, shown.totals.issued, shown.open_counters) == ((), 0, 0)
    assert accounts.list_users(other) == ()
    assert other.settings.get("queue.priority_ratio").a == 2
    assert [one.state for one in counters.all_counters(other)] == ["closed", "closed"]
    ticket = take(mine, "A")[0]
    assert other.db.read(lambda tx: ticket_rows.by_code(tx, ticket.code)) is None
    assert other.db.read(lambda tx: ticket_rows.by_id(tx, ticket.id)) is None
    before = dict(other.versions)
    take(mine, "A")
    other.look()
    assert other.versions == before
