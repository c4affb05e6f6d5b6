"""How the database finds its rows, and how many statements the hot paths take."""

import re
import threading
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import pytest
from psycopg import ClientCursor
from sqlalchemy import bindparam, delete, event, text

from puskesmas_queue.domain.tickets import Lane, TicketState, format_number
from puskesmas_queue.services import counters as counter_services
from puskesmas_queue.services import estimates
from puskesmas_queue.services.calling import call_next, complete, hold, serve
from puskesmas_queue.services.line import line_view, today
from puskesmas_queue.services.masters import change_unit
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.storage import desk, engine, issuing_sql, round_trips, tables, transaction
from puskesmas_queue.storage import line as line_rows
from puskesmas_queue.storage import outbox as outbox_rows
from puskesmas_queue.storage import tickets as ticket_rows
from puskesmas_queue.storage.engine import open_database
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, execute, general, open_all, rows_of, take

OLD_DAYS, PER_DAY = 100, 500


@pytest.fixture
def old_clinic(clinic):
    """50,000 tickets of earlier days, 40 of today that wait, 20 that are over."""
    fill(clinic)
    open_all(clinic, 1, 2)
    take(clinic, "PA" * 20)
    for _ in range(20):
        serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)
    take(clinic, "PA" * 10)
    analyze(clinic)
    return clinic


def numbers(clinic, count):
    """Return a question for the numbers below `count`, as `n`."""
    if clinic.db.dialect == "sqlite":
        return (
            "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r "
            f"WHERE n < {count - 1}) SELECT n FROM r"
        )
    return f"SELECT n FROM generate_series(0, {count - 1}) AS r(n)"


def fill(clinic):
    """Insert old tickets as the database does it fastest."""
    day = today(clinic)
    if clinic.db.dialect == "sqlite":
        local = f"date('{day}', '-' || (1 + n / {PER_DAY}) || ' days')"
        moment = f"{local} || ' 01:00:00.000000'"
    else:
        local = f"(date '{day}' - (1 + n / {PER_DAY}))"
        moment = f"{local}::timestamp AT TIME ZONE 'UTC'"
    statement = f"""
        INSERT INTO tickets (clinic_id, id, service_date, number, prefix, sequence, unit,
            unit_sequence, zone, lane, source, state, code, order_key, order_tie, calls, skips,
            issued_at, last_called_at, serving_at, completed_at)
        SELECT '{clinic.id}', 1000 + n, {local}, 'A-' || (n % {PER_DAY}), 'A', n % {PER_DAY},
            CASE WHEN n % 3 = 0 THEN 'gigi' ELSE 'umum' END, n % {PER_DAY}, 'main',
            CASE WHEN n % 4 = 0 THEN 'priority' ELSE 'general' END, 'kiosk',
            CASE WHEN n % 10 = 0 THEN 'cancelled' ELSE 'completed' END,
            'old' || n, n, n, 1, 0, {moment}, {moment}, {moment}, {moment}
        FROM ({numbers(clinic, OLD_DAYS * PER_DAY)}) AS numbers
    """
    execute(clinic, text(statement.replace("::", "\\:\\:")))
    if clinic.db.dialect == "postgresql":
        execute(clinic, text("SELECT setval(pg_get_serial_sequence('tickets', 'id'), 100000)"))


def analyze(clinic):
    with clinic.db.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


@contextmanager
def statements(clinic):
    """Collect what is asked of the database inside the block, `BEGIN` and its like left out."""
    seen = []

    def hear(conn, cursor, statement, parameters, context, many):
        # On SQLite the writer speaks to its driver directly: the trace below hears that.
        if threading.current_thread().name != "sqlite-writer":
            seen.append((statement, parameters))

    def trace(line):
        seen.append((line, ()))

    def note(questions):
        """Hear what goes to a driver without SQLAlchemy."""
        for statement, values in questions:
            if clinic.db.dialect == "postgresql":
                sent = (round_trips._text(statement).decode(), round_trips._known(values))
            else:
                sent = (statement.text, round_trips.plain(values))
            if threading.current_thread().name != "sqlite-writer":
                seen.append(sent)

    def heard(ask):
        def asked(conn, questions):
            note(questions)
            return ask(conn, questions)

        return asked

    if clinic.db.dialect == "sqlite":
        clinic.db.write(lambda tx: driver(tx).set_trace_callback(trace))
    event.listen(clinic.db.engine, "before_cursor_execute", hear)
    del seen[:]
    try:
        with (
            patch.object(transaction, "ask", heard(transaction.ask)),
            patch.object(engine, "ask_and_commit", heard(engine.ask_and_commit)),
        ):
            yield seen
    finally:
        event.remove(clinic.db.engine, "before_cursor_execute", hear)
        if clinic.db.dialect == "sqlite":
            clinic.db.write(lambda tx: driver(tx).set_trace_callback(None))
        frame = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
        seen[:] = [one for one in seen if not frame.match(one[0])]


def driver(tx):
    return tx.conn.connection.dbapi_connection


# Plans


def first(tx, day, counter, lane):
    values = {"clinic_id": tx.clinic_id, "counter": counter, "day": day}
    return tx.ask((text(f"SELECT {desk.FIRST[lane]}"), values))[0][0][0]


QUESTIONS = {
    "head": (lambda tx, day: first(tx, day, 1, Lane.GENERAL), "standing"),
    "head of some units": (lambda tx, day: first(tx, day, 2, Lane.PRIORITY), "standing"),
    "both heads": (
        lambda tx, day: tx.ask(
            (desk.HEADS["sqlite"], {"clinic_id": tx.clinic_id, "counter": 2, "day": day})
        )[0],
        "standing",
    ),
    "by id": (lambda tx, day: ticket_rows.by_id(tx, 1000), ""),
    "at counter": (lambda tx, day: line_rows.at_counter(tx, 1), "at_counter"),
    "standing": (lambda tx, day: line_rows.standing(tx, "main", day), "standing"),
    "waiting": (lambda tx, day: line_rows.waiting(tx, "main", day), "standing"),
    "places": (lambda tx, day: line_rows.places(tx, "main", day, Lane.GENERAL, 5), "standing"),
    "last place": (lambda tx, day: line_rows.last_place(tx, "main", day, Lane.GENERAL), "standing"),
    "away": (lambda tx, day: line_rows.away(tx, "main", day), "away"),
    "service times": (lambda tx, day: line_rows.service_times(tx, "main"), "completed"),
    "last called": (line_rows.last_called, "called"),
    "left open": (lambda tx, day: ticket_rows.left_open(tx, day, 200), "open"),
}


IN_ORDER = ("head", "head of some units", "places", "last place")
"""The index gives these in their order: the whole line is never sorted for its first ticket."""


def plans(clinic, asked):
    """Explain statements, on PostgreSQL both for these values and for any (a prepared one)."""

    def run(tx):
        texts = []
        for statement, parameters in asked:
            if clinic.db.dialect == "sqlite":
                explained = f"EXPLAIN QUERY PLAN {statement}"
                texts.append("\n".join(row[3] for row in driver(tx).execute(explained, parameters)))
                continue
            cursor = ClientCursor(driver(tx))
            cursor.execute(f"EXPLAIN {statement}", parameters)
            texts.append("\n".join(row[0] for row in cursor.fetchall()))
            places = {name: f"${place}" for place, name in enumerate(parameters, 1)}
            numbered = re.sub(r"%\((\w+)\)s", r"{\1}", statement).format(**places)
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            cursor.execute(f"PREPARE question AS {numbered}")
            values = ", ".join(f"%({name})s" for name in parameters)
            cursor.execute(f"EXPLAIN EXECUTE question ({values})", parameters)
            texts.append("\n".join(row[0] for row in cursor.fetchall()))
            cursor.execute("DEALLOCATE question")
        return texts

    return clinic.db.read(run)


def test_questions_use_the_partial_indexes(old_clinic):
    """However many old tickets there are, only those that the question is about are looked at."""
    clinic, day = old_clinic, today(old_clinic)
    counter_services.restrict_counter(clinic, 2, ("umum", "gigi"), STAFF)
    for name, (ask, index) in QUESTIONS.items():
        with statements(clinic) as asked:
            answer = clinic.db.read(lambda tx, ask=ask: ask(tx, day))
        assert answer or name == "left open"
        assert len(asked) == 1
        for plan in plans(clinic, asked):
            wanted = f"(ix|uq)_tickets_{index}" if index else "autoindex_tickets|pk_tickets"
            assert re.search(wanted, plan), f"{name}:\n{plan}"
            assert not re.search(r"SCAN tickets|Seq Scan on tickets", plan), f"{name}:\n{plan}"
            if name in IN_ORDER:
                assert not re.search(r"TEMP B-TREE|Sort", plan), f"{name}:\n{plan}"


@pytest.mark.parametrize("more", [{}, {"state": TicketState.WAITING}, {"unit": "umum"}])
def test_a_page_of_a_day_looks_at_that_day_only(old_clinic, more):
    """The first page too, though walking all ids from the first one would save the sorting."""
    clinic, day = old_clinic, today(old_clinic)
    with statements(clinic) as asked:
        found = clinic.db.read(
            lambda tx: ticket_rows.page_of_day(tx, day, after=0, limit=51, **more)
        )
    assert found == sorted(found, key=lambda ticket: ticket.id)
    for plan in plans(clinic, asked):
        assert re.search(r"service_date ?=", plan), plan
        assert not re.search(r"SCAN tickets|Seq Scan on tickets|pk_tickets", plan), plan


def test_state_stays_a_literal(sqlite_clinic):
    """A state that is bound, under a prepared statement, would fall off the partial index."""
    clinic, day = sqlite_clinic, today(sqlite_clinic)
    for name, (ask, _) in QUESTIONS.items():
        with statements(clinic) as asked:
            clinic.db.read(lambda tx, ask=ask: ask(tx, day))
        bound = [
            str(value)
            for _, parameters in asked
            for value in (parameters.values() if isinstance(parameters, dict) else parameters)
        ]
        assert not {state.value for state in TicketState} & set(bound), name


BACKLOGS = 200, 20_000
NO_INDEX = re.compile(r"TEMP B-TREE|Sort|Seq Scan|SCAN|Join|JIT")
STEP = re.compile(r"(?:SEARCH|Index\b[\w ]*Scan) .*?(?:ix|pk)_\w+")
LOOK_BEFORE = re.compile(
    r"using ix_deliveries_open .*\n *Index Cond: \(ROW\(clinic_id, plugin, order_key, id\) <"
    r"|ix_deliveries_open \(clinic_id=\? AND plugin=\? AND order_key=\? AND id<\?\)"
)
"""All columns of the index are used for the row before."""


def test_a_backlog_changes_no_plan(clinic):
    """The next facts are found in as many steps, whether few wait or many, counted or not."""
    found = set()
    for count in BACKLOGS:
        execute(clinic, delete(tables.deliveries))
        execute(clinic, delete(tables.events))
        add_facts(clinic, count)
        for is_counted in (False, True):
            if is_counted:
                analyze(clinic)
            with statements(clinic) as asked:
                answer = clinic.db.read(lambda tx: outbox_rows.due(tx, "hook", 20))
            assert len(answer) == 20
            for plan in plans(clinic, asked):
                assert LOOK_BEFORE.search(plan), plan
                assert not NO_INDEX.search(plan), plan
                found.add(tuple(STEP.findall(plan)))
    assert len(found) == 1, found
    assert "ix_deliveries_due" in str(found)


def test_what_is_late_is_found_by_an_index(clinic):
    """Among many that wait, of which the first are too late to be told."""
    add_facts(clinic, BACKLOGS[1])
    clinic.clock.advance(timedelta(days=1))
    analyze(clinic)
    with statements(clinic) as asked:
        answer = clinic.db.read(lambda tx: outbox_rows.late(tx, "hook", 20))
    assert len(answer) == 20
    for plan in plans(clinic, asked):
        assert "ix_deliveries_due" in plan, plan
        assert not NO_INDEX.search(plan), plan


def test_a_claim_looks_at_its_own_rows_only(clinic):
    """In the write lock nothing takes longer because others wait."""
    add_facts(clinic, BACKLOGS[1])
    ids = clinic.db.read(lambda tx: outbox_rows.due(tx, "hook", 20))
    for is_counted in (False, True):
        if is_counted:
            analyze(clinic)
        with statements(clinic) as asked:
            claimed = clinic.db.write(lambda tx: outbox_rows.claim(tx, ids, timedelta(0)))
        assert [one.id for one in claimed] == ids
        assert len(asked) == 2
        for plan in plans(clinic, asked):
            assert not re.search(r"Seq Scan|SCAN|ix_deliveries_due", plan), plan


def add_facts(clinic, count):
    """Let so many facts wait for a plugin, three of each ticket."""
    moments = {"now": clinic.clock.now(), "later": clinic.clock.now() + timedelta(days=1)}
    values = {
        "events": "kind, occurred_at, data",
        "deliveries": "plugin, event_id, order_key, state, created_at, next_at, expires_at",
    }
    rows = {
        "events": "'ticket_issued', :now, '{}'",
        "deliveries": "'hook', n, 'ticket:' || (n / 3), 'open', :now, :now, :later",
    }
    for table, columns in values.items():
        statement = f"""
            INSERT INTO {table} (clinic_id, id, {columns}) SELECT '{clinic.id}', n, {rows[table]}
            FROM ({numbers(clinic, count)}) AS numbers
        """
        typed = [
            bindparam(name, type_=tables.Instant) for name in moments if f":{name}" in statement
        ]
        execute(clinic, text(statement).bindparams(*typed), moments)


# Statements


@pytest.fixture
def postgres_clinic(postgres_url, clock, tmp_path):
    """A clinic on PostgreSQL."""
    opened = make_clinic(make_config(postgres_url, tmp_path), clock)
    yield opened
    opened.close()


@pytest.fixture
def counted(clinic, monkeypatch):
    """A clinic whose memories are warm, so that only the hot path itself asks."""
    monkeypatch.setattr(estimates, "FORECAST_AGE_S", 600.0)
    open_all(clinic, 1, 2)
    take(clinic, "PAPAPAPA")
    serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)
    return clinic


def test_statements_of_issuing(counted):
    """One on PostgreSQL; on SQLite key, counts, ticket, event, audit with their ids, topic."""
    with statements(counted) as asked:
        issue_ticket(counted, general(), KIOSK)

    assert len(asked) == {"postgresql": 1, "sqlite": 8}[counted.db.dialect], asked


def test_statements_of_issuing_with_a_quota(counted):
    """The refusal must be known in between; still a handful."""
    change_unit(counted, "umum", STAFF, quota_per_day=50)
    issue_ticket(counted, general(), KIOSK)
    with statements(counted) as asked:
        issue_ticket(counted, general(), KIOSK)

    assert len(asked) == {"postgresql": 4, "sqlite": 8}[counted.db.dialect], asked


def test_statements_of_calling(counted):
    """The same number with 3 waiting as with 60, and one more where one is completed."""
    alone, _ = count_call(counted, 2)
    short, called = count_call(counted, 1)
    take(counted, "PA" * 30)
    serve(counted, called.id, STAFF, 1)
    long, _ = count_call(counted, 1)

    assert alone < short == long <= {"postgresql": 11, "sqlite": 18}[counted.db.dialect]


@pytest.mark.postgres
def test_round_trips_of_a_counter(postgres_clinic):
    """To look and to change: nobody waits longer for the line than for these two."""
    clinic = postgres_clinic
    open_all(clinic, 1)
    take(clinic, "PAPAPA")
    serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)
    trips = []
    at_once = round_trips._at_once

    def count(*args, **how):
        trips.append(args)
        return at_once(*args, **how)

    def of(step):
        trips.clear()
        asked = []

        def hear(*args):
            asked.append(args)

        event.listen(clinic.db.engine, "before_cursor_execute", hear)
        with patch.object(round_trips, "_at_once", count):
            ticket = step()
        event.remove(clinic.db.engine, "before_cursor_execute", hear)
        assert asked == []
        return len(trips), ticket

    called, ticket = of(lambda: call_next(clinic, 1, STAFF))
    served, _ = of(lambda: serve(clinic, ticket.id, STAFF, 1))
    held, _ = of(lambda: hold(clinic, ticket.id, STAFF, 1))
    opened, _ = of(lambda: serve(clinic, ticket.id, STAFF, 1))
    completed, _ = of(lambda: complete(clinic, ticket.id, STAFF, 1))

    assert (called, served, held, completed) == (2, 2, 2, 2)
    # A held one: its counter first, then the ticket.
    assert opened == 6


def count_call(clinic, counter):
    """Call the next ticket, and count the statements of that."""
    with statements(clinic) as asked:
        ticket = call_next(clinic, counter, STAFF)
    return len(asked), ticket


def test_statements_of_the_line(counted):
    """One reading for all screens, of as many statements with 5 waiting as with 60."""
    counts = []
    for more in (0, 55):
        take(counted, "A" * more)
        with statements(counted) as asked:
            line_view(counted, "main")
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 13, counts


# One statement and the domain say the same


@pytest.mark.postgres
def test_numbers_are_written_as_the_domain_does(postgres_url, clock, tmp_path):
    """1 to 1200, by the very expression of the one statement."""
    source = str(issuing_sql.ONE_STATEMENT)
    start = source.index("CAST(:prefix AS text)")
    expression = source[start : source.index(":prefix, numbered.value", start)].rstrip(" ,\n")
    assert "lpad" in expression
    query = f"SELECT value, {expression} FROM generate_series(1, 1200) AS numbered(value)"
    db = open_database(postgres_url, "uji", clock)
    try:
        written = db.read(lambda tx: list(tx.conn.execute(text(query), {"prefix": "P"})))
    finally:
        db.close()

    assert [tuple(row) for row in written] == [(n, format_number("P", n)) for n in range(1, 1201)]


def test_both_ways_of_issuing_store_the_same(clinic, monkeypatch):
    """One statement or step by step: the same ticket, event, audit, counts and key."""
    left_out = {"id", "ticket_id", "record_id", "order_key", "order_tie", "code", "occurred_at",
                "issued_at", "created_at", "key", "estimated_time"}  # fmt: skip
    monkeypatch.setattr(estimates, "FORECAST_AGE_S", 600.0)

    def newest():
        last = {}
        for table in (tables.tickets, tables.events, tables.audit, tables.idempotency_keys):
            row = rows_of(clinic, table)[-1]._asdict()
            last[table.name] = {name: row[name] for name in row if name not in left_out}
        return last

    issue_ticket(clinic, general(), STAFF, "0-first-of-two-keys")
    first = newest()
    change_unit(clinic, "umum", STAFF, quota_per_day=50)
    issue_ticket(clinic, general(), STAFF, "1-second-of-two-keys")
    second = newest()

    assert first["tickets"].pop("number") == "A-001"
    assert second["tickets"].pop("number") == "A-002"
    assert first["audit"]["new_values"].pop("number") == "A-001"
    assert second["audit"]["new_values"].pop("number") == "A-002"
    for name in ("sequence", "unit_sequence"):
        assert (first["tickets"].pop(name), second["tickets"].pop(name)) == (1, 2)
    assert first == second
