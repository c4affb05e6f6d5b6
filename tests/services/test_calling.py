"""Calling, recalling, skipping, holding: what a counter does with a ticket."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from puskesmas_queue.domain.errors import (
    Conflict,
    CounterBusy,
    CounterClosed,
    EdgeNotAllowed,
    NotFound,
    TooEarly,
)
from puskesmas_queue.domain.tickets import Lane, TicketState
from puskesmas_queue.services import calling, counters, tickets
from puskesmas_queue.services.calling import (
    call_next,
    complete,
    hold,
    recall,
    reinsert,
    serve,
    skip,
)
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.tickets import find_ticket, issue_emergency
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import engine, tables
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, at_once, open_all, places, rows_of, session, take

S = TicketState
INTERVAL = timedelta(seconds=20)


@pytest.fixture
def desk(clinic):
    """Counters 1 and 2 are open; called tickets need no waiting in between."""
    open_all(clinic, 1, 2)
    return clinic


@pytest.fixture
def quick(sqlite_clinic):
    """The same on SQLite only."""
    open_all(sqlite_clinic, 1, 2)
    return sqlite_clinic


@pytest.fixture
def postgres_clinic(postgres_url, clock, tmp_path):
    """The same on PostgreSQL only, where transactions overlap."""
    clinic = make_clinic(make_config(postgres_url, tmp_path), clock)
    open_all(clinic, 1, 2)
    yield clinic
    clinic.close()


def pick(clinic, counter=1):
    """Call the next ticket and begin to serve it."""
    ticket = call_next(clinic, counter, STAFF)
    assert ticket is not None
    return serve(clinic, ticket.id, STAFF, counter)


def skip_now(clinic, ticket):
    """Call a called ticket as often as it takes, then skip it."""
    for _ in range(2):
        clinic.clock.advance(INTERVAL)
        recall(clinic, ticket.id, STAFF)
    return skip(clinic, ticket.id, STAFF)


def events_of(clinic, ticket):
    return [row for row in rows_of(clinic, tables.events) if row.ticket_id == ticket.id]


def audits_of(clinic, ticket):
    found = rows_of(clinic, tables.audit)
    return [r for r in found if (r.table_name, r.record_id) == ("tickets", str(ticket.id))]


# Picking


def test_two_counters_call_seven_times(desk):
    """P1 to P4 and A1 to A3 wait: P P A P P A A, whichever counter calls."""
    take(desk, "PPPPAAA")

    numbers = [pick(desk, counter).number for counter in (1, 2, 1, 2, 2, 1, 1)]

    assert numbers == ["P-001", "P-002", "A-001", "P-003", "P-004", "A-002", "A-003"]
    assert call_next(desk, 1, STAFF) is None


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ("2:1", "PPAPPAAA"),
        ("1:2", "PAAPAAPP"),
        ("1:1", "PAPAPAPA"),
        ("3:2", "PPPAAPAA"),
        ("full", "PPPPAAAA"),
        ("first_come", "APPAAPAP"),
    ],
)
def test_order_under_each_setting(quick, ratio, expected):
    """The ratio, strict priority and plain first-come, by setting; they came as A P P A A P A P."""
    take(quick, "APPAAPAP")
    set_option(quick, "queue.priority_ratio", ratio, STAFF)

    called = [pick(quick, 1 + turn % 2).number[0] for turn in range(8)]

    assert "".join(called) == expected


@pytest.mark.parametrize("letter", ["P", "A"])
def test_one_lane_empty(quick, letter):
    """The other one is taken, in the order of coming."""
    take(quick, letter * 3)

    assert [pick(quick).number for _ in range(3)] == [f"{letter}-00{n}" for n in (1, 2, 3)]


def test_priority_after_general_ones_alone_is_next(quick):
    """A priority patient who comes after general ones alone is the next one."""
    take(quick, "AAA")
    pick(quick, 1)
    pick(quick, 2)
    take(quick, "P")

    assert pick(quick, 1).number == "P-001"


def test_picking_calls_and_tells(desk):
    """Called at that counter, once, now; with event, audit and announcement."""
    (waiting,) = take(desk, "A")

    called = call_next(desk, 2, STAFF)

    assert called == find_ticket(desk, waiting.id)
    assert (called.state, called.counter, called.calls) == (S.CALLED, 2, 1)
    assert called.called_at == called.last_called_at
    event = events_of(desk, called)[-1]
    assert (event.kind, event.counter, event.actor_id) == ("ticket_called", 2, STAFF.id)
    assert event.data == {"from": "waiting", "to": "called"}
    audit = audits_of(desk, called)[-1]
    assert (audit.action, audit.user_id, audit.device) == ("ticket_called", STAFF.id, STAFF.device)
    (said,) = rows_of(desk, tables.announcements)
    assert (said.number, said.counter) == ("A-001", 2)
    assert said.number_text == "Nomor antrean, A, nol nol satu."


def test_calling_again_completes_what_is_served(desk):
    """F2 while one is served: that one is completed, the next is called."""
    first, second = take(desk, "AA")
    pick(desk)

    assert call_next(desk, 1, STAFF).id == second.id
    done = find_ticket(desk, first.id)
    assert (done.state, done.counter) == (S.COMPLETED, 1)
    assert done.completed_at is not None
    assert events_of(desk, first)[-1].data == {"from": "serving", "to": "completed"}


def test_calling_while_one_is_called_picks_nothing(desk):
    """The counter offers Hadir, Ulang, Lewati; the line stays as it is."""
    take(desk, "AA")
    called = call_next(desk, 1, STAFF)
    before = rows_of(desk, tables.tickets)

    with pytest.raises(CounterBusy) as refusal:
        call_next(desk, 1, STAFF)

    assert (refusal.value.counter, refusal.value.number) == (1, called.number)
    assert rows_of(desk, tables.tickets) == before


def test_nobody_waits(desk):
    """None; and what was served is completed all the same."""
    assert call_next(desk, 1, STAFF) is None
    take(desk, "A")
    served = pick(desk)

    assert call_next(desk, 1, STAFF) is None
    assert find_ticket(desk, served.id).state is S.COMPLETED


def test_counter_that_is_not_open(quick):
    """Closed, paused, or no counter at all."""
    take(quick, "A")
    counters.close_counter(quick, session(1), STAFF)
    counters.pause_counter(quick, session(2), STAFF)

    for number in (1, 2):
        with pytest.raises(CounterClosed):
            call_next(quick, number, STAFF)
    with pytest.raises(NotFound):
        call_next(quick, 9, STAFF)


def test_emergency_is_never_picked(desk):
    """An E ticket waits in no lane."""
    issue_emergency(desk, KIOSK)

    assert call_next(desk, 1, STAFF) is None


def test_restricted_counter_takes_its_units_only(desk):
    """Empty means: nothing that this counter may take."""
    counters.restrict_counter(desk, 1, ("gigi",), STAFF)
    take(desk, "PPA", "umum")
    assert call_next(desk, 1, STAFF) is None

    take(desk, "AP", "gigi")

    assert pick(desk, 1).unit == "gigi"
    assert pick(desk, 1).unit == "gigi"
    assert call_next(desk, 1, STAFF) is None
    assert [pick(desk, 2).number for _ in range(3)] == ["P-001", "P-002", "A-001"]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "called"),
    [("cancelled", "A-002"), ("another unit", "A-002"), ("another lane", "A-001")],
)
def test_head_that_changes_while_it_is_picked(postgres_clinic, monkeypatch, change, called):
    """Whoever was cancelled or moved in that moment is not called for this counter's unit."""
    clinic = postgres_clinic
    counters.restrict_counter(clinic, 1, ("umum",), STAFF)
    head = take(clinic, "AA")[0]
    steps = {
        "cancelled": lambda: tickets.cancel_ticket(clinic, head.id, "pulang", STAFF),
        "another unit": lambda: transfer_ticket(clinic, head.id, "gigi", None, "salah", STAFF),
        "another lane": lambda: transfer_ticket(
            clinic, head.id, None, Lane.PRIORITY, "usia 70", STAFF
        ),
    }
    has_locked = threading.Event()
    end = engine.questions_at_the_end

    def end_late(tx, audience):
        if threading.current_thread() is not threading.main_thread():
            has_locked.set()
            until_somebody_waits(clinic)
        return end(tx, audience)

    monkeypatch.setattr(engine, "questions_at_the_end", end_late)
    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(steps[change])
        assert has_locked.wait(60)
        assert call_next(clinic, 1, STAFF).number == called
        assert changing.result().id == head.id


def until_somebody_waits(clinic):
    """Wait until a transaction waits for a lock of another one."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1"
    deadline = time.monotonic() + 60
    with clinic.db.engine.connect() as conn:
        while conn.execute(text(waiting)).one_or_none() is None:
            assert time.monotonic() < deadline
            conn.rollback()
            time.sleep(0.01)


# Hadir


def test_serving_and_completing(desk):
    """Called, serving, completed; asking twice changes nothing."""
    take(desk, "A")
    called = call_next(desk, 1, STAFF)

    served = serve(desk, called.id, STAFF, 1)
    assert (served.state, served.serving_at is not None) == (S.SERVING, True)
    done = complete(desk, called.id, STAFF)
    assert done.state is S.COMPLETED

    count = len(events_of(desk, called))
    assert complete(desk, called.id, STAFF) == done
    assert len(events_of(desk, called)) == count == 4
    assert rows_of(desk, tables.tickets)[0].counter == 1


def test_serving_twice_changes_nothing(quick):
    """A double click on Hadir."""
    take(quick, "A")
    served = pick(quick)
    quick.clock.advance(timedelta(seconds=5))

    assert serve(quick, served.id, STAFF, 1) == served
    assert [event.kind for event in events_of(quick, served)].count("ticket_serving") == 1


def test_ticket_of_another_counter(quick):
    """One counter does not serve what the other one called."""
    take(quick, "A")
    called = call_next(quick, 1, STAFF)

    with pytest.raises(Conflict):
        serve(quick, called.id, STAFF, 2)
    assert find_ticket(quick, called.id) == called


def test_waiting_ticket_is_not_served(quick):
    """Nobody overtakes the line by being opened."""
    (waiting,) = take(quick, "A")

    for step in (
        lambda: serve(quick, waiting.id, STAFF, 1),
        lambda: complete(quick, waiting.id, STAFF),
        lambda: hold(quick, waiting.id, STAFF),
        lambda: recall(quick, waiting.id, STAFF),
        lambda: skip(quick, waiting.id, STAFF),
        lambda: calling.arrive_emergency(quick, waiting.id, STAFF),
    ):
        with pytest.raises(EdgeNotAllowed):
            step()
    assert find_ticket(quick, waiting.id) == waiting


def test_no_such_ticket(quick):
    """Every step says so."""
    for step in (recall, skip, hold, complete, reinsert, calling.arrive_emergency):
        with pytest.raises(NotFound):
            step(quick, 99, STAFF)
    with pytest.raises(NotFound):
        serve(quick, 99, STAFF, 1)


# Ulang and Lewati


def test_recall_waits_20_seconds(desk):
    """And says how long is still to wait."""
    take(desk, "A")
    called = call_next(desk, 1, STAFF)

    desk.clock.advance(INTERVAL - timedelta(seconds=8))
    with pytest.raises(TooEarly) as refusal:
        recall(desk, called.id, STAFF)
    assert 1 <= refusal.value.wait_s <= 8

    desk.clock.advance(timedelta(seconds=8))
    again = recall(desk, called.id, STAFF)
    assert (again.calls, again.called_at) == (2, called.called_at)
    assert again.last_called_at > called.last_called_at
    with pytest.raises(TooEarly):
        recall(desk, called.id, STAFF)


def test_three_calls_at_most(quick):
    """Then only skipping or serving is left."""
    take(quick, "A")
    called = call_next(quick, 1, STAFF)
    for calls in (2, 3):
        quick.clock.advance(INTERVAL)
        assert recall(quick, called.id, STAFF).calls == calls

    quick.clock.advance(INTERVAL)
    with pytest.raises(TooEarly) as refusal:
        recall(quick, called.id, STAFF)
    assert refusal.value.wait_s == 0
    assert skip(quick, called.id, STAFF).state is S.SKIPPED


def test_recall_after_the_clock_was_set_back(quick):
    """The last call seems to lie in the future: nobody waits for an hour because of it."""
    take(quick, "A")
    called = call_next(quick, 1, STAFF)
    quick.clock.advance(timedelta(hours=-1))

    assert recall(quick, called.id, STAFF).calls == 2
    with pytest.raises(TooEarly):
        recall(quick, called.id, STAFF)


def test_skip_needs_three_calls(quick):
    """Not after one, not after two."""
    take(quick, "A")
    called = call_next(quick, 1, STAFF)
    for _ in range(2):
        with pytest.raises(TooEarly):
            skip(quick, called.id, STAFF)
        quick.clock.advance(INTERVAL)
        recall(quick, called.id, STAFF)

    skipped = skip(quick, called.id, STAFF)

    assert (skipped.state, skipped.skips, skipped.counter) == (S.SKIPPED, 1, None)
    assert skip(quick, called.id, STAFF) == skipped


def test_skipping_frees_the_counter(desk):
    """The next one is called; the skipped one's place in the quota stays taken."""
    first, second = take(desk, "AA")
    skip_now(desk, call_next(desk, 1, STAFF))

    assert call_next(desk, 1, STAFF).id == second.id
    assert find_ticket(desk, first.id).state is S.SKIPPED
    assert places(desk) == {"umum": 2}


def test_back_after_the_next_three_of_the_lane(desk):
    """The first time behind three, whatever stands in the other lane."""
    skipped = skip_now(desk, _first(desk, take(desk, "AAAAA")))
    take(desk, "P")

    back = reinsert(desk, skipped.id, STAFF)

    assert (back.state, back.calls, back.skips) == (S.WAITING, 0, 1)
    assert _general_order(desk) == ["A-002", "A-003", "A-004", "A-001", "A-005"]
    assert reinsert(desk, skipped.id, STAFF) == back


def test_several_who_come_back_keep_their_order(desk):
    """Two behind the same ticket: who came back first is called first."""
    issued = take(desk, "AAAAAA")
    first = skip_now(desk, _first(desk, issued))
    second = skip_now(desk, call_next(desk, 1, STAFF))
    assert (first.number, second.number) == ("A-001", "A-002")

    reinsert(desk, second.id, STAFF)
    reinsert(desk, first.id, STAFF)

    order = [(row.order_key, row.order_tie) for row in rows_of(desk, tables.tickets)]
    assert len(set(order)) == 6
    assert _general_order(desk) == ["A-003", "A-004", "A-005", "A-002", "A-001", "A-006"]


def test_back_into_a_short_or_empty_lane(quick):
    """Behind the last where there are fewer, at once where there is nobody."""
    skipped = skip_now(quick, _first(quick, take(quick, "AA")))
    reinsert(quick, skipped.id, STAFF)
    assert _general_order(quick) == ["A-002", "A-001"]

    alone = skip_now(quick, _first(quick, take(quick, "P")))
    reinsert(quick, alone.id, STAFF)
    assert call_next(quick, 1, STAFF).id == alone.id


def test_back_a_second_time_at_the_end(desk):
    """And newcomers still come after."""
    take(desk, "AAAAAA")
    ticket = skip_now(desk, call_next(desk, 1, STAFF))
    reinsert(desk, ticket.id, STAFF)
    for _ in range(3):
        pick(desk)
    complete(desk, rows_of(desk, tables.tickets)[3].id, STAFF)
    again = skip_now(desk, call_next(desk, 1, STAFF))
    assert (again.id, again.skips) == (ticket.id, 2)

    reinsert(desk, ticket.id, STAFF)
    take(desk, "A")

    assert _general_order(desk) == ["A-005", "A-006", "A-001", "A-007"]


def test_third_skip_cancels(desk):
    """Absent three times: cancelled as not there, and the place is given back."""
    (ticket,) = take(desk, "A")
    for skips in (1, 2):
        skipped = skip_now(desk, call_next(desk, 1, STAFF))
        assert (skipped.state, skipped.skips) == (S.SKIPPED, skips)
        reinsert(desk, ticket.id, STAFF)

    gone = skip_now(desk, call_next(desk, 1, STAFF))

    assert (gone.state, gone.counter) == (S.CANCELLED, None)
    assert events_of(desk, ticket)[-1].reason == "tidak hadir"
    assert places(desk) == {"umum": 0}
    with pytest.raises(EdgeNotAllowed):
        reinsert(desk, ticket.id, STAFF)


def test_a_second_round_of_calls_begins_anew(quick):
    """A ticket that came back is called three times again before it may be skipped."""
    take(quick, "A")
    skipped = skip_now(quick, call_next(quick, 1, STAFF))
    reinsert(quick, skipped.id, STAFF)

    assert call_next(quick, 1, STAFF).calls == 1
    with pytest.raises(TooEarly):
        skip(quick, skipped.id, STAFF)


# Held


def test_held_ticket_returns_to_a_free_counter(desk):
    """Its counter is free at once; it comes back to any open one, not to a busy one."""
    first, second = take(desk, "AA")
    pick(desk, 1)
    held = hold(desk, first.id, STAFF)
    assert (held.state, held.counter) == (S.HELD, None)
    assert call_next(desk, 1, STAFF).id == second.id

    with pytest.raises(CounterBusy):
        serve(desk, first.id, STAFF, 1)
    back = serve(desk, first.id, STAFF, 2)

    assert (back.state, back.counter) == (S.SERVING, 2)


def test_held_ticket_needs_an_open_counter(quick):
    """A closed counter serves nobody."""
    take(quick, "A")
    served = pick(quick)
    held = hold(quick, served.id, STAFF)
    assert hold(quick, served.id, STAFF) == held
    counters.close_counter(quick, session(2), STAFF)

    with pytest.raises(CounterClosed):
        serve(quick, served.id, STAFF, 2)
    assert find_ticket(quick, served.id) == held


def test_held_ticket_may_be_skipped_at_once(quick):
    """It was here; no three calls are asked for."""
    take(quick, "A")
    held = hold(quick, pick(quick).id, STAFF)

    assert skip(quick, held.id, STAFF).state is S.SKIPPED


@pytest.mark.postgres
def test_ticket_that_is_taken_back_and_held_again_in_that_moment(postgres_clinic, monkeypatch):
    """It was no held one when its counter had to be locked."""
    clinic = postgres_clinic
    take(clinic, "A")
    served = pick(clinic, 1)

    def lock_late(tx, ticket_id):
        monkeypatch.undo()
        at_once([lambda: hold(clinic, ticket_id, STAFF)])
        return tickets.locked(tx, ticket_id)

    monkeypatch.setattr(calling.tickets, "lock_unless_held", lambda tx, ticket_id: None)
    monkeypatch.setattr(calling, "locked", lock_late)

    with pytest.raises(Conflict):
        serve(clinic, served.id, STAFF, 2)
    assert find_ticket(clinic, served.id).state is S.HELD


@pytest.mark.postgres
def test_ticket_that_is_held_while_another_counter_opens_it(postgres_clinic, monkeypatch):
    """It was served a moment ago: the new counter must be open and free for it."""
    clinic = postgres_clinic
    take(clinic, "A")
    served = pick(clinic, 1)
    counters.close_counter(clinic, session(2), STAFF)

    lock = calling.tickets.lock_unless_held

    def lock_late(tx, ticket_id):
        monkeypatch.undo()
        at_once([lambda: hold(clinic, ticket_id, STAFF)])
        return lock(tx, ticket_id)

    monkeypatch.setattr(calling.tickets, "lock_unless_held", lock_late)

    with pytest.raises(CounterClosed):
        serve(clinic, served.id, STAFF, 2)
    assert find_ticket(clinic, served.id).state is S.HELD


# Emergency


def test_emergency_arrives(desk):
    """*Sudah di UGD* closes it; a double click changes nothing."""
    ticket = issue_emergency(desk, KIOSK)

    done = calling.arrive_emergency(desk, ticket.id, STAFF)

    assert done.state is S.COMPLETED
    assert calling.arrive_emergency(desk, ticket.id, STAFF) == done
    assert [event.kind for event in events_of(desk, ticket)] == [
        "emergency_announced",
        "ticket_completed",
    ]


# Cancelling


def test_cancelling_at_the_counter_frees_it(desk):
    """With its reason in event and audit; the place is given back once."""
    first, second = take(desk, "AA")
    called = call_next(desk, 1, STAFF)

    gone = tickets.cancel_ticket(desk, called.id, "  salah   ambil ", STAFF)

    assert (gone.id, gone.state, gone.counter) == (first.id, S.CANCELLED, None)
    assert events_of(desk, first)[-1].reason == "salah ambil"
    assert audits_of(desk, first)[-1].reason == "salah ambil"
    assert tickets.cancel_ticket(desk, called.id, "lagi", STAFF) == gone
    assert places(desk) == {"umum": 1}
    assert call_next(desk, 1, STAFF).id == second.id


def test_completed_ticket_is_not_cancelled(quick):
    """What is over stays as it is."""
    take(quick, "A")
    done = complete(quick, pick(quick).id, STAFF)

    with pytest.raises(EdgeNotAllowed):
        tickets.cancel_ticket(quick, done.id, "salah", STAFF)
    assert places(quick) == {"umum": 1}


def test_patient_cancels_before_the_call_only(quick):
    """From the ticket's own page; later only staff can."""
    first, second = take(quick, "AA")
    call_next(quick, 1, STAFF)

    with pytest.raises(Conflict):
        tickets.cancel_own(quick, first.code, KIOSK)
    assert tickets.cancel_own(quick, second.code, KIOSK).state is S.CANCELLED
    assert tickets.cancel_own(quick, second.code, KIOSK).state is S.CANCELLED
    with pytest.raises(NotFound):
        tickets.cancel_own(quick, "AAAAAAAA", KIOSK)
    assert places(quick) == {"umum": 1}


def _first(clinic, issued):
    called = call_next(clinic, 1, STAFF)
    assert called.id == issued[0].id
    return called


def _general_order(clinic):
    """Numbers of the general lane in the order they would be called."""
    waiting = [
        row
        for row in rows_of(clinic, tables.tickets)
        if row.state == "waiting" and row.lane == "general"
    ]
    return [row.number for row in sorted(waiting, key=lambda r: (r.order_key, r.order_tie))]
