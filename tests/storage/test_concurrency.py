"""Many at once, on both databases: no number twice, no gap, no ticket at two counters."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.errors import CounterBusy, QueueError, StorageUnavailable
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import counters, day, speech
from puskesmas_queue.services.calling import call_next, complete, hold, serve
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.masters import change_unit
from puskesmas_queue.services.tickets import cancel_ticket, issue_ticket
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import tables
from support.clinics import make_config
from support.desk import (
    KIOSK,
    STAFF,
    add_counters,
    at_once,
    general,
    open_all,
    places,
    priority,
    rows_of,
    session,
    take,
)

CLIENTS, EACH, COUNTERS = 32, 6, 5


def check_numbers(clinic, issued):
    """Every acknowledged ticket is there, no number twice, no gap in any series."""
    rows = {row.id: row for row in rows_of(clinic, tables.tickets)}
    assert {ticket.id: ticket.number for ticket in issued} == {
        row.id: row.number for row in rows.values()
    }
    series, in_unit = {}, {}
    for row in rows.values():
        series.setdefault(row.prefix, []).append(row.sequence)
        in_unit.setdefault(row.unit, []).append(row.unit_sequence)
    for numbers in (*series.values(), *in_unit.values()):
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    kinds = Counter(row.kind for row in rows_of(clinic, tables.events))
    assert kinds["ticket_issued"] == len(issued)


def issue_some(clinic, client):
    """Take tickets as one device does, in both lanes and two units."""
    asks = (general("umum"), priority("umum"), general("gigi"))
    return [
        issue_ticket(clinic, asks[(client + n) % 3], KIOSK, f"client-{client}-{n}")
        for n in range(EACH)
    ]


def call_until(clinic, counter, is_over):
    """Call and serve until nobody waits after the last ticket was given."""
    called = []
    while True:
        was_over = is_over.is_set()
        ticket = call_next(clinic, counter, STAFF)
        if ticket is not None:
            called.append(ticket.id)
            serve(clinic, ticket.id, STAFF, counter)
        elif was_over:
            return called
        else:
            is_over.wait(0.01)


@pytest.mark.parametrize("way", ["one statement", "quota", "two processes"])
def test_many_issue_while_counters_call(clinic, clock, tmp_path, way):
    """32 clients and 5 counters; with a quota the other way; two servers on PostgreSQL."""
    if way == "quota":
        change_unit(clinic, "umum", STAFF, quota_per_day=1000)
    add_counters(clinic, 3, 4, 5)
    open_all(clinic, 1, 2, 3, 4, 5)
    clinics = [clinic]
    if way == "two processes" and clinic.db.dialect == "postgresql":
        clinics.append(open_clinic(make_config(clinic.config.database.url, tmp_path), clock))
    is_over = threading.Event()
    with ThreadPoolExecutor(CLIENTS + COUNTERS) as pool:
        counting = [
            pool.submit(call_until, clinics[n % len(clinics)], n, is_over)
            for n in range(1, COUNTERS + 1)
        ]
        asking = [pool.submit(issue_some, clinics[n % len(clinics)], n) for n in range(CLIENTS)]
        try:
            issued = [ticket for future in asking for ticket in future.result(60)]
        finally:
            is_over.set()
        called = [ticket for future in counting for ticket in future.result(60)]
    for other in clinics[1:]:
        other.close()

    check_numbers(clinic, issued)
    assert sorted(called) == sorted(ticket.id for ticket in issued)
    events = [row for row in rows_of(clinic, tables.events) if row.kind == "ticket_called"]
    assert len(events) == len({row.ticket_id for row in events}) == CLIENTS * EACH
    states = Counter(row.state for row in rows_of(clinic, tables.tickets))
    assert states["completed"] == CLIENTS * EACH
    assert sum(places(clinic).values()) == CLIENTS * EACH


def test_every_request_is_sent_twice(clinic):
    """Each client's answer gets lost once: one ticket for each key."""
    asks = [
        lambda n=n: issue_ticket(clinic, general(), KIOSK, f"request-{n // 2}") for n in range(24)
    ]

    answers = at_once(asks)

    numbers = Counter(answer.number for answer in answers)
    assert set(numbers.values()) == {2}
    check_numbers(clinic, {answer.id: answer for answer in answers}.values())


def test_two_counters_and_one_ticket(clinic):
    """One gets it, the other finds nobody."""
    open_all(clinic, 1, 2)
    for _ in range(4):
        (waiting,) = take(clinic, "A")

        answers = at_once(
            [lambda: call_next(clinic, 1, STAFF), lambda: call_next(clinic, 2, STAFF)]
        )

        assert sorted(answer is None for answer in answers) == [False, True]
        (called,) = [answer for answer in answers if answer is not None]
        assert called.id == waiting.id
        complete(clinic, serve(clinic, called.id, STAFF, called.counter).id, STAFF)


def test_double_click_on_one_counter(clinic):
    """Two requests of one counter: one ticket is called, the other click is refused."""
    open_all(clinic, 1)
    take(clinic, "AAA")

    answers = at_once([lambda: call_next(clinic, 1, STAFF)] * 4)

    assert Counter(type(answer) for answer in answers)[CounterBusy] == 3
    states = Counter(row.state for row in rows_of(clinic, tables.tickets))
    assert states == {"called": 1, "waiting": 2}


def test_ratio_holds_whoever_calls(clinic):
    """However counters overlap, the order of the calls is the ratio's."""
    add_counters(clinic, 3, 4, 5)
    open_all(clinic, 1, 2, 3, 4, 5)
    take(clinic, "PPPPPPPPPPAAAAA")

    def call_and_serve(counter):
        return serve(clinic, call_next(clinic, counter, STAFF).id, STAFF, counter)

    for _ in range(3):
        answers = at_once([lambda n=n: call_and_serve(n) for n in range(1, 6)])
        assert all(not isinstance(answer, Exception) for answer in answers), answers

    events = [row for row in rows_of(clinic, tables.events) if row.kind == "ticket_called"]
    prefix = {row.id: row.prefix for row in rows_of(clinic, tables.tickets)}
    order = [row.ticket_id for row in events]
    assert "".join(prefix[ticket] for ticket in order) == "PPA" * 5


def moving(clinic, tickets, unit, seed):
    """Transfer tickets to a unit in an order of its own."""
    for ticket in random.Random(seed).sample(tickets, len(tickets)):
        yield lambda ticket=ticket: transfer_ticket(clinic, ticket.id, unit, None, "a", STAFF)


def cancelling(clinic, tickets):
    """Cancel some."""
    for ticket in random.Random(5).sample(tickets, 10):
        yield lambda ticket=ticket: cancel_ticket(clinic, ticket.id, "pulang", STAFF)


def working(clinic, counter):
    """Call, serve, hold, pause and open again."""
    for turn in range(12):
        yield lambda: call_next(clinic, counter, STAFF)
        current = line_view(clinic, "main").counters[counter - 1].ticket
        if current is not None:
            yield lambda ticket=current.id: serve(clinic, ticket, STAFF, counter)
            if turn % 3 == 0:
                yield lambda ticket=current.id: hold(clinic, ticket, STAFF)
        if turn % 4 == 3:
            yield lambda: counters.pause_counter(clinic, session(counter), STAFF)
            yield lambda: counters.open_counter(clinic, counter, session(counter), STAFF)


def issuing(clinic):
    """Take tickets of two units."""
    for n in range(20):
        yield lambda n=n: issue_ticket(clinic, general(("umum", "gigi")[n % 2]), KIOSK)


def ticking(clinic):
    """Do what timers and screens do."""
    for _ in range(10):
        yield lambda: speech.tick(clinic, "main")
        yield lambda: speech.heartbeat(clinic, "main", "screen-of-the-tv", True)
        yield lambda: day.skip_long_held(clinic)


def run_all(steps):
    """Take steps; refusals are fine, what the database did not take is returned."""
    unavailable = []
    for step in steps:
        try:
            step()
        except StorageUnavailable as error:
            unavailable.append(str(error))
        except QueueError:
            continue
    return unavailable


def test_nothing_locks_out_another(clinic):
    """Transfers in opposite directions, cancels, calls, holds, pauses: no deadlock, no loss."""
    for unit in ("umum", "gigi"):
        change_unit(clinic, unit, STAFF, quota_per_day=500)
    open_all(clinic, 1, 2)
    tickets = take(clinic, "PA" * 12, "umum") + take(clinic, "PA" * 12, "gigi")
    everybody = [
        *(moving(clinic, tickets, unit, n) for n, unit in enumerate(("umum", "gigi") * 2)),
        cancelling(clinic, tickets),
        working(clinic, 1),
        working(clinic, 2),
        issuing(clinic),
        issuing(clinic),
        ticking(clinic),
    ]

    answers = at_once([lambda steps=steps: run_all(steps) for steps in everybody])

    assert answers == [[]] * len(everybody)
    assert deadlocks(clinic) == 0
    check_places(clinic)


def deadlocks(clinic):
    if clinic.db.dialect == "sqlite":
        return 0
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return clinic.db.read(lambda tx: tx.conn.execute(text(query)).scalar_one())


def check_places(clinic):
    """Each unit's count is the number of its tickets that hold a place."""
    gone = (TicketState.CANCELLED.value, TicketState.EXPIRED.value, TicketState.NO_SHOW.value)
    rows = rows_of(clinic, tables.tickets)
    held = Counter(row.unit for row in rows if row.state not in gone)
    assert {unit: taken for unit, taken in places(clinic).items() if taken} == dict(held)


def test_opposite_transfers_with_full_units(clinic):
    """Where both units are nearly full some are refused; the counts still agree."""
    tickets = {unit: take(clinic, "A" * 6, unit) for unit in ("umum", "gigi")}
    for unit in tickets:
        change_unit(clinic, unit, STAFF, quota_per_day=6)
    tasks = [
        lambda ticket=ticket, unit=unit: transfer_ticket(clinic, ticket.id, unit, None, "a", STAFF)
        for mine, other in zip(tickets["umum"], tickets["gigi"], strict=True)
        for ticket, unit in ((mine, "gigi"), (other, "umum"))
    ]

    answers = at_once(tasks)

    assert not [answer for answer in answers if isinstance(answer, StorageUnavailable)]
    assert deadlocks(clinic) == 0
    check_places(clinic)
    assert max(places(clinic).values()) <= 7


def test_many_counters_after_settings_changed(clinic):
    """Nobody who holds a transaction waits for another connection, however many wait behind."""
    numbers = list(range(3, 25))
    add_counters(clinic, *numbers)
    open_all(clinic, *numbers)
    take(clinic, "A" * len(numbers))
    clinic.settings.forget()
    clinic._memory.clear()

    answers = at_once([lambda n=n: call_next(clinic, n, STAFF) for n in numbers])

    assert Counter(type(answer).__name__ for answer in answers) == {"Ticket": len(numbers)}


def test_numbers_of_a_prefix_stand_in_their_order(clinic):
    """However many ask at once, A-005 is called before A-006."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: take(clinic, "A"), range(200)))

    issued = sorted(rows_of(clinic, tables.tickets), key=lambda row: row.sequence)
    found = [(row.order_key, row.order_tie) for row in issued]
    assert len(found) == 200
    assert found == sorted(found)
