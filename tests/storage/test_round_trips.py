"""Several statements at once, what is put off, and the end that goes with the commit."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Date, bindparam, select, text

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.engine import open_database
from puskesmas_queue.storage.round_trips import local_date, locking, moment, plain

ADD = text("INSERT INTO zones (clinic_id, code, name) VALUES (:clinic_id, :code, :code)")
CODES = text("SELECT code FROM zones WHERE clinic_id = :clinic_id ORDER BY code")


@pytest.fixture
def db(database_url, clock):
    """The rows of a clinic, without the clinic."""
    opened = open_database(database_url, "uji", clock)
    yield opened
    opened.close()


@pytest.fixture
def postgres_db(postgres_url, clock):
    """The same on PostgreSQL only."""
    opened = open_database(postgres_url, "uji", clock)
    yield opened
    opened.close()


def zone(tx, code):
    return (ADD, {"clinic_id": tx.clinic_id, "code": code})


def codes(db):
    return [code for (code,) in db.read(lambda tx: tx.ask((CODES, {"clinic_id": "uji"})))[0]]


def test_each_question_has_its_rows_and_sees_what_came_before(db):
    """In their order, whatever stands between them."""

    def run(tx):
        of = {"clinic_id": tx.clinic_id}
        return tx.ask((CODES, of), zone(tx, "a"), (CODES, of), zone(tx, "b"), (CODES, of))

    assert db.write(run) == [[], [], [("a",)], [], [("a",), ("b",)]]
    assert codes(db) == ["a", "b"]


def test_what_is_put_off_is_done_before_anything_else_is_asked(db):
    """By a question, by SQLAlchemy, or by the commit."""

    def run(tx):
        tx.later(*zone(tx, "a"))
        (seen,) = tx.ask((CODES, {"clinic_id": tx.clinic_id}))
        tx.later(*zone(tx, "b"))
        by_sqlalchemy = sorted(tx.conn.execute(select(tables.zones.c.code)).scalars())
        tx.later(*zone(tx, "c"))
        return seen, by_sqlalchemy

    assert db.write(run) == ([("a",)], ["a", "b"])
    assert codes(db) == ["a", "b", "c"]


@pytest.mark.parametrize("last", ["question", "commit"])
def test_a_failure_keeps_nothing_and_the_next_one_goes_on(db, last):
    """The refusal names its cause; neither rows nor events nor versions are kept."""
    db.write(lambda tx: tx.later(*zone(tx, "old")))

    def run(tx):
        tx.later(*zone(tx, "new"))
        tx.later(*zone(tx, "old"))
        tx.event("zone_added", actor=SYSTEM, zone="new")
        tx.touch("line:a")
        if last == "question":
            tx.ask(zone(tx, "never"))

    with pytest.raises(StorageUnavailable, match=r"(?i)unique"):
        db.write(run)

    assert codes(db) == ["old"]
    for table in (tables.events, tables.topic_versions):
        assert db.read(lambda tx, table=table: list(tx.conn.execute(select(table)))) == []
    db.write(lambda tx: tx.later(*zone(tx, "next")))
    assert codes(db) == ["next", "old"]


def test_events_audit_and_letters_are_in_the_order_they_came(db):
    """Each event has a letter for each plugin that listens, whatever else is in the transaction."""
    db.audience = lambda kind: {"a": ("x", "y"), "b": ("y",)}.get(kind, ())

    def run(tx):
        for place, kind in enumerate("abcab"):
            tx.event(kind, actor=SYSTEM, ticket_id=place // 3 or None, data={"place": place})
            tx.audit(kind, actor=SYSTEM, record=place, old=None, new={"ü": place})
        tx.touch("line:b", "line:a")

    heard = []
    db.listener = heard.append
    db.write(run)

    def rows(table):
        return db.read(lambda tx: list(tx.conn.execute(select(table).order_by(table.c.id))))

    events, letters = rows(tables.events), rows(tables.deliveries)
    assert [event.kind for event in events] == list("abcab")
    assert [event.data["place"] for event in events] == list(range(5))
    kinds = {event.id: event.kind for event in events}
    assert [(kinds[one.event_id], one.plugin) for one in letters] == [
        ("a", "x"), ("a", "y"), ("b", "y"), ("a", "x"), ("a", "y"), ("b", "y"),
    ]  # fmt: skip
    assert {one.event_id for one in letters} == {one.id for one in events if one.kind != "c"}
    assert all(one.expires_at > one.created_at == one.next_at for one in letters)
    audit = rows(tables.audit)
    assert [(row.record_id, row.new_values, row.old_values) for row in audit] == [
        (str(place), {"ü": place}, None) for place in range(5)
    ]
    assert heard == [{"line:a": 1, "line:b": 1}]


def test_nothing_to_say_is_nothing_written(db):
    """A transaction that only looked leaves no trace and tells nobody."""
    heard = []
    db.listener = heard.append

    assert db.write(lambda tx: tx.ask((CODES, {"clinic_id": tx.clinic_id}))) == [[]]
    assert heard == []


@pytest.mark.postgres
def test_a_connection_that_broke_costs_one_refusal(postgres_db):
    """All others of the pool were broken too, and are not tried one after the other."""
    held = [postgres_db.engine.connect() for _ in range(4)]
    for conn in held:
        conn.execute(text("SELECT 1"))
        conn.close()

    def cut_off(tx):
        tx.ask((text("SELECT 1"), {}))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with postgres_db.engine.connect() as other:
            other.execute(text(f"{end} AND datname = current_database()"))
        tx.ask((text("SELECT 1"), {}))

    with pytest.raises(StorageUnavailable):
        postgres_db.write(cut_off)
    for code in "abcd":
        postgres_db.write(lambda tx, code=code: tx.later(*zone(tx, code)))

    assert codes(postgres_db) == list("abcd")


def test_values_are_read_as_they_were_written(db):
    """Times, dates, states and JSON, by a driver as by SQLAlchemy."""
    at = datetime(2026, 2, 26, 0, 30, 0, 5, tzinfo=UTC)
    values = {"at": at, "day": date(2026, 2, 26), "state": TicketState.HELD}
    statement = text("SELECT :at, :day, :state").bindparams(
        bindparam("at", type_=tables.Instant), bindparam("day", type_=Date)
    )

    ((row,),) = db.read(lambda tx: tx.ask((statement, values)))

    assert (moment(row[0]), local_date(row[1]), row[2]) == (at, values["day"], "held")
    assert moment(None) is None
    assert plain({"data": {"a": 1}, "none": None}) == {"data": '{"a": 1}', "none": None}


def test_a_locking_question_locks_where_others_write_too():
    """SQLite has one writer, and no words for it."""
    both = locking("SELECT 1 FROM a JOIN b", of="a")

    assert both["sqlite"].text == "SELECT 1 FROM a JOIN b"
    assert both["postgresql"].text == "SELECT 1 FROM a JOIN b FOR UPDATE OF a"
