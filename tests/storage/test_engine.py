"""Transactions: shared commits, failures that stay alone, versions, and a full disk."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import func, insert, select, text

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import QueueError, SetupError, StorageUnavailable
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.tickets import cancel_ticket, issue_ticket
from puskesmas_queue.storage import engine as engines
from puskesmas_queue.storage import finale, tables
from puskesmas_queue.storage.connect import BUSY_TIMEOUT_MS, parse_url
from puskesmas_queue.storage.engine import open_database
from support.desk import KIOSK, general, rows_of, take

ZONES = tables.zones


@pytest.fixture
def db(database_url, clock):
    """The rows of a clinic, without the clinic."""
    opened = open_database(database_url, "uji", clock)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_db(sqlite_url, clock):
    """The same on SQLite only."""
    opened = open_database(sqlite_url, "uji", clock)
    yield opened
    opened.close()


def add(code, *topics):
    """Make a transaction that inserts a zone."""

    def run(tx):
        tx.conn.execute(insert(ZONES).values(clinic_id=tx.clinic_id, code=code, name=code))
        tx.event("zone_added", actor=SYSTEM, zone=code)
        tx.audit("add_zone", actor=SYSTEM, record=code)
        tx.touch(*topics)
        return code

    return run


def add_and_fail(code, *topics):
    """The same, and raise at its end."""

    def run(tx):
        add(code, *topics)(tx)
        raise ValueError(code)

    return run


def stored(db):
    """Codes of the zones, of their events and of their audit rows."""

    def run(tx):
        columns = (ZONES.c.code, tables.events.c.zone, tables.audit.c.record_id)
        return tuple(sorted(tx.conn.execute(select(column)).scalars()) for column in columns)

    return db.read(run)


def versions(db):
    table = tables.topic_versions
    rows = db.read(lambda tx: list(tx.conn.execute(select(table.c.topic, table.c.version))))
    return {row.topic: row.version for row in rows}


@contextmanager
def one_batch(db):
    """Make the writer wait, so that what is asked for inside shares the next commit, in order."""
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def block(tx):
        is_waiting.set()
        may_go_on.wait(60)

    with ThreadPoolExecutor(20) as pool:
        blocked = pool.submit(db.write, block)
        assert is_waiting.wait(60)
        asked = []

        def ask(fn):
            asked.append(pool.submit(db.write, fn))
            while db._jobs.qsize() < len(asked):
                time.sleep(0.002)
            return asked[-1]

        yield ask
        may_go_on.set()
        blocked.result(60)


def outcome(future):
    try:
        return future.result(60)
    except Exception as error:
        return type(error).__name__


# One transaction


def test_rows_events_and_audit_are_one_transaction(db):
    """All of it or nothing."""
    assert db.write(add("a")) == "a"
    with pytest.raises(ValueError, match="b"):
        db.write(add_and_fail("b"))

    assert stored(db) == (["a"], ["a"], ["a"])


def test_refusal_comes_as_it_was_raised(db):
    """Use cases tell their callers through exceptions."""

    class Refusal(QueueError):
        pass

    def refuse(tx):
        raise Refusal("no")

    with pytest.raises(Refusal, match="no"):
        db.write(refuse)


@pytest.mark.parametrize("kind", ["duplicate", "not null", "no such table"])
def test_database_error_becomes_one_type(db, kind):
    """Whatever the driver calls it; nothing of the transaction is kept."""
    db.write(add("a"))

    def run(tx):
        tx.event("never", actor=SYSTEM, zone="x")
        if kind == "duplicate":
            add("a")(tx)
        elif kind == "not null":
            tx.conn.execute(insert(ZONES).values(clinic_id="uji", code="b"))
        else:
            tx.conn.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(StorageUnavailable):
        db.write(run)
    with pytest.raises(StorageUnavailable):
        db.read(lambda tx: tx.conn.execute(text("SELECT * FROM nowhere")))

    assert stored(db) == (["a"], ["a"], ["a"])
    assert db.write(add("b")) == "b"


def test_callbacks_run_after_the_commit(db):
    """They see the rows; those of a transaction that failed never run."""
    seen = []

    def run(tx):
        add("a")(tx)
        tx.after_commit(lambda: seen.append(stored(db)[0]))
        assert seen == []

    def fail(tx):
        tx.after_commit(lambda: seen.append("failed"))
        raise ValueError("no")

    db.write(run)
    with pytest.raises(ValueError, match="no"):
        db.write(fail)
    with pytest.raises(StorageUnavailable):
        db.write(lambda tx: (tx.after_commit(lambda: seen.append("refused")), add("a")(tx)))

    assert seen == [["a"]]


def test_listener_hears_before_the_answer(db):
    """Whoever asks next, sees what was changed: versions are known when `write` returns."""
    heard = []

    def listen_slowly(news):
        time.sleep(0.05)
        heard.append(news)

    db.listener = listen_slowly
    db.write(add("a", "line:a"))

    assert heard == [{"line:a": 1}]


def test_one_that_fails_to_hear_costs_nothing(db, caplog):
    """The rows are safe: the caller gets its answer, the others hear, the log says so."""
    heard = []
    db.listener = heard.append

    def run(tx):
        add("a", "line:a")(tx)
        tx.after_commit(lambda: 1 / 0)

    with caplog.at_level(logging.ERROR):
        db.write(run)

    assert heard == [{"line:a": 1}]
    assert "ZeroDivisionError" in caplog.text
    assert stored(db)[0] == ["a"]


def test_versions_count_every_commit(db):
    """One more for each; a transaction that fails or touches nothing counts for none."""
    heard = []
    db.listener = heard.append
    db.write(add("a", "line:a", "speech:a"))
    db.write(add("b", "line:a"))
    with pytest.raises(ValueError, match="c"):
        db.write(add_and_fail("c", "line:a"))
    db.write(add("d"))
    db.write(add("e", "line:a"))

    assert versions(db) == {"line:a": 3, "speech:a": 1}
    assert heard == [{"line:a": 1, "speech:a": 1}, {"line:a": 2}, {"line:a": 3}]


def test_versions_of_transactions_at_once(db):
    """None is lost and none is given twice."""
    heard = []
    db.listener = lambda news: heard.append(news["line:a"])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: db.write(add(f"z{n}", "line:a")), range(24)))

    last = versions(db)["line:a"]
    assert sorted(heard) == list(range(1, last + 1))
    assert last == 24 if db.dialect == "postgresql" else last <= 24
    assert len(stored(db)[0]) == 24


def test_newest_time_never_goes_back(db, clock):
    """The clock guard compares with it."""
    table = tables.topic_versions
    db.write(add("a", "line:a"))
    (first,) = db.read(lambda tx: list(tx.conn.execute(select(table.c.changed_at)).scalars()))
    clock.move_to(first.replace(hour=0, minute=1))

    db.write(add("b", "line:a"))

    (after,) = db.read(lambda tx: list(tx.conn.execute(select(table.c.changed_at)).scalars()))
    assert after == first


def test_nested_write_is_refused(db):
    """A transaction that waits for another one could wait for itself; the outer one goes on."""

    def run(tx):
        with pytest.raises(RuntimeError, match="cannot wait"):
            db.write(add("b"))
        return add("a")(tx)

    assert db.write(run) == "a"
    assert stored(db)[0] == ["a"]
    assert db.write(add("c")) == "c"


def test_reading_is_one_moment(db):
    """What is committed while somebody reads is not seen by half."""

    def run(tx):
        before = tx.conn.execute(select(func.count()).select_from(ZONES)).scalar_one()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(db.write, add("b")).result(60)
        return before, tx.conn.execute(select(func.count()).select_from(ZONES)).scalar_one()

    db.write(add("a"))

    assert db.read(run) == (1, 1)
    assert len(stored(db)[0]) == 2


def test_closed_database_takes_nothing(db):
    """And says so, instead of letting anybody wait; what was accepted is finished."""
    db.write(add("a"))
    db.close()
    db.close()

    if db.dialect == "sqlite":
        with pytest.raises(StorageUnavailable):
            db.write(add("b"))


# The shared commit


def test_failure_in_a_batch_stays_alone(sqlite_db):
    """One commit for all; one refusal, one duplicate and one bad statement hurt nobody else."""
    sqlite_db.write(add("old"))
    traced = trace(sqlite_db)
    with one_batch(sqlite_db) as ask:
        for n in range(4):
            ask(add(f"good{n}", "line:a"))
            ask(add_and_fail(f"bad{n}", "line:b"))
        ask(add("old", "line:b"))
        ask(lambda tx: tx.conn.execute(text("SELECT * FROM nowhere")))
        ask(add("last", "line:a"))

    good = sorted(["old", "last", *(f"good{n}" for n in range(4))])
    assert stored(sqlite_db) == (good, good, good)
    assert versions(sqlite_db) == {"line:a": 1}
    assert [line for line in traced if line == "COMMIT"] == ["COMMIT"] * 2


def trace(db):
    """Collect the statements of the writer's connection."""
    lines = []
    db.write(lambda tx: tx.conn.connection.dbapi_connection.set_trace_callback(lines.append))
    lines.clear()
    return lines


def test_answers_of_a_batch_are_each_ones_own(sqlite_db):
    """Answers and refusals, in whatever mixture."""
    with one_batch(sqlite_db) as ask:
        asked = [add("a"), add_and_fail("b"), add("c"), add("a"), lambda tx: 7]
        futures = [ask(fn) for fn in asked]

    answers = [outcome(future) for future in futures]
    assert answers == ["a", "ValueError", "c", "StorageUnavailable", 7]


def test_more_than_one_commit_takes(sqlite_db, monkeypatch):
    """The rest has the next commit."""
    monkeypatch.setattr(engines, "BATCH", 3)
    traced = trace(sqlite_db)
    with one_batch(sqlite_db) as ask:
        for n in range(8):
            ask(add(f"z{n}", "line:a"))

    assert len(stored(sqlite_db)[0]) == 8
    # The one that blocked, then 3, 3 and 2.
    assert traced.count("COMMIT") == 4
    assert versions(sqlite_db) == {"line:a": 3}


def test_failure_at_the_common_end_keeps_nothing(sqlite_db, monkeypatch):
    """What is written for all together fails for all: everybody is told, nothing is kept."""
    insert = finale._insert

    def fail(conn, table, rows):
        if rows and table is tables.audit:
            raise StorageUnavailable("audit")
        return insert(conn, table, rows)

    monkeypatch.setattr(finale, "_insert", fail)
    for code in ("a", "b"):
        with pytest.raises(StorageUnavailable):
            sqlite_db.write(add(code, "line:a"))
    monkeypatch.undo()

    assert stored(sqlite_db) == ([], [], [])
    assert versions(sqlite_db) == {}
    assert sqlite_db.write(add("c")) == "c"


def test_writer_survives_a_broken_connection(sqlite_db):
    """The transaction is refused, the next one has a new connection."""
    sqlite_db.write(add("a"))

    def break_it(tx):
        add("b")(tx)
        tx.conn.connection.dbapi_connection.close()

    with pytest.raises(StorageUnavailable):
        sqlite_db.write(break_it)

    assert stored(sqlite_db)[0] == ["a"]
    assert sqlite_db.write(add("c")) == "c"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_writer_survives_what_ends_threads(sqlite_db, error):
    """Whoever asked gets it, the writer goes on."""

    def leave(tx):
        add("b")(tx)
        raise error

    with pytest.raises(error):
        sqlite_db.write(leave)

    assert sqlite_db.write(add("c")) == "c"
    assert stored(sqlite_db)[0] == ["c"]


@pytest.mark.postgres
def test_server_that_drops_its_connections(postgres_url, clock):
    """One refusal at most, then the service goes on."""
    db = open_database(postgres_url, "uji", clock)
    try:
        db.write(add("a"))
        admin = open_database(postgres_url, "uji", clock)
        kill = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        admin.write(lambda tx: list(tx.conn.execute(text(kill))))
        admin.close()

        with pytest.raises(StorageUnavailable):
            db.write(add("b"))
        assert db.write(add("c")) == "c"
        assert stored(db)[0] == ["a", "c"]
    finally:
        db.close()


@pytest.mark.postgres
def test_no_connection_left(postgres_url, clock):
    """Refused as the database's failure, not as something unknown."""
    db = open_database(postgres_url, "uji", clock)
    db.engine.pool._timeout = 0.1
    db.engine.pool._max_overflow = 0
    held = []
    try:
        held += [db.engine.connect() for _ in range(db.engine.pool.size())]
        for ask in (lambda: db.write(add("a")), lambda: stored(db)):
            with pytest.raises(StorageUnavailable):
                ask()
    finally:
        for connection in held:
            connection.close()
    assert db.write(add("b")) == "b"
    db.close()


# SQLite's own


def test_pragmas(sqlite_db):
    """An acknowledged ticket survives a power cut: WAL with FULL, on every connection."""

    def look(tx):
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [tx.conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    expected = ["wal", 2, 1, BUSY_TIMEOUT_MS]
    assert sqlite_db.read(look) == expected
    assert sqlite_db.write(look) == expected
    with sqlite_db.engine.connect() as first, sqlite_db.engine.connect() as second:
        for conn in (first, second):
            assert conn.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def fill_up(db):
    """Let no page be added to the file from now on, as a full disk would."""
    db.write(
        lambda tx: tx.conn.exec_driver_sql(
            "PRAGMA max_page_count = "
            + str(tx.conn.exec_driver_sql("PRAGMA page_count").scalar_one())
        ).scalar_one()
    )


def make_room(db):
    db.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA max_page_count = 1073741823").scalar_one())


def test_full_disk_refuses_and_the_service_goes_on(sqlite_clinic):
    """No acknowledged ticket is lost, none is half there, numbers go on without a gap."""
    clinic = sqlite_clinic
    given = take(clinic, "AAA")
    fill_up(clinic.db)
    refused = 0
    for _ in range(300):
        try:
            given.append(issue_ticket(clinic, general(), KIOSK))
        except StorageUnavailable:
            refused += 1
            fill_up(clinic.db)
        if refused == 3:
            break
    assert refused == 3
    assert len(line_view(clinic, "main").general) == len(given)

    make_room(clinic.db)
    given += take(clinic, "A")

    stored_tickets = rows_of(clinic, tables.tickets)
    assert [row.number for row in stored_tickets] == [ticket.number for ticket in given]
    assert [row.sequence for row in stored_tickets] == list(range(1, len(given) + 1))
    assert len(rows_of(clinic, tables.events)) == len(given)
    assert len(rows_of(clinic, tables.idempotency_keys)) == len(given)
    assert cancel_ticket(clinic, given[0].id, "pulang", KIOSK).state.value == "cancelled"


def test_full_disk_in_a_batch(sqlite_db):
    """Whoever shared the commit is told the truth: what was answered is there, no more."""
    sqlite_db.write(add("a"))
    fill_up(sqlite_db)
    answers = {}

    def ask_for(n):
        code = f"z{n}"
        long = "x" * 100

        def run(tx):
            values = [{"clinic_id": "uji", "code": f"{code}-{i}", "name": long} for i in range(40)]
            tx.conn.execute(insert(ZONES), values)
            return code

        return run

    with one_batch(sqlite_db) as ask:
        for n in range(6):
            answers[f"z{n}"] = ask(ask_for(n))
    answered = {code for code, future in answers.items() if outcome(future) == code}
    make_room(sqlite_db)

    codes = [code.split("-")[0] for code in stored(sqlite_db)[0] if code != "a"]
    assert len(answered) < 6
    assert set(codes) == answered
    assert len(codes) == 40 * len(answered)
    assert sqlite_db.write(add("b")) == "b"


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "",
        "puskesmas.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://root@localhost/puskesmas",
        "postgresql://budi@localhost",
        "http://localhost/puskesmas",
    ],
)
def test_address_that_is_none(url):
    """One line that says what is expected."""
    with pytest.raises(SetupError, match=r"database\.url") as refusal:
        parse_url(url)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_address_as_everybody_writes_it(scheme):
    """All name the same driver."""
    assert parse_url(f"{scheme}://budi@localhost/puskesmas").drivername == "postgresql+psycopg"
