"""What every screen shows of a line: order, people ahead, estimates, totals, places."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.domain.line import Head, Ratio, RatioState, call_order, people_ahead_of_new
from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.services import counters, estimates, line
from puskesmas_queue.services.calling import call_next, complete, hold, recall, serve, skip
from puskesmas_queue.services.estimates import expect
from puskesmas_queue.services.line import (
    default_zone,
    known_zone,
    line_view,
    seen_line,
    ticket_view,
)
from puskesmas_queue.services.masters import change_unit
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.presets import PRESETS
from puskesmas_queue.services.tickets import cancel_ticket, issue_emergency
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import tables
from support.desk import KIOSK, STAFF, open_all, rows_of, session, take


def view(clinic):
    return line_view(clinic, "main")


def ahead(clinic):
    """People ahead by number."""
    shown = view(clinic)
    return {ticket.number: ticket.people_ahead for ticket in (*shown.priority, *shown.general)}


def unit(clinic, code):
    return next(one for one in view(clinic).units if one.code == code)


def serve_for(clinic, counter, seconds):
    """Serve the next ticket for so long."""
    ticket = call_next(clinic, counter, STAFF)
    serve(clinic, ticket.id, STAFF, counter)
    clinic.clock.advance(timedelta(seconds=seconds))
    return complete(clinic, ticket.id, STAFF)


def test_empty_clinic(clinic):
    """Nobody, nothing called, no estimate."""
    shown = view(clinic)

    assert (shown.priority, shown.general, shown.held, shown.skipped) == ((), (), (), ())
    assert (shown.order, shown.emergency, shown.open_counters) == ((), (), 0)
    assert shown.totals == line.Totals(0, 0, 0, 0, 0, 0)
    assert [one.code for one in shown.units] == [one.code for one in PRESETS["klasik"]]
    assert {(one.remaining, one.waiting, one.last_called) for one in shown.units} == {
        (None, 0, None)
    }
    assert [(one.number, one.state, one.ticket) for one in shown.counters] == [
        (1, "closed", None),
        (2, "closed", None),
    ]
    assert shown.clock_fault is None
    assert shown.opens_at is None


def test_order_is_the_order_of_the_calls(clinic):
    """What the screen promises is what the counters do."""
    take(clinic, "APPAAPAPP")
    shown = view(clinic)
    assert shown.order == (
        "P-001", "P-002", "A-001", "P-003", "P-004", "A-002", "P-005", "A-003", "A-004",
    )  # fmt: skip
    assert [ahead(clinic)[number] for number in shown.order] == list(range(9))
    open_all(clinic, 1, 2)

    called = []
    for turn in range(9):
        assert view(clinic).order == shown.order[turn:]
        ticket = call_next(clinic, 1 + turn % 2, STAFF)
        serve(clinic, ticket.id, STAFF, 1 + turn % 2)
        called.append(ticket.number)
    assert tuple(called) == shown.order


def test_people_ahead_follow_the_setting(sqlite_clinic):
    """Under `full` every priority ticket goes first, under `first_come` nobody does."""
    take(sqlite_clinic, "AAPP")

    set_option(sqlite_clinic, "queue.priority_ratio", "full", STAFF)
    assert ahead(sqlite_clinic) == {"P-001": 0, "P-002": 1, "A-001": 2, "A-002": 3}
    set_option(sqlite_clinic, "queue.priority_ratio", "first_come", STAFF)
    assert ahead(sqlite_clinic) == {"A-001": 0, "A-002": 1, "P-001": 2, "P-002": 3}


ratios = st.builds(Ratio, st.just("ratio"), st.integers(1, 4), st.integers(1, 4))
states = st.builds(RatioState, st.integers(0, 6), st.integers(0, 6))


@given(ratios, states, st.integers(0, 12), st.integers(0, 12), st.sampled_from(list(Lane)[:2]))
def test_people_ahead_after_the_ratio_was_changed(ratio, state, priority, general, lane):
    """The state may be of the old ratio; the count still agrees with running the line on."""
    sizes = {Lane.PRIORITY: priority, Lane.GENERAL: general}
    sizes[lane] += 1
    heads = {one: [Head(n, 0) for n in range(size)] for one, size in sizes.items()}
    order = call_order(heads[Lane.PRIORITY], heads[Lane.GENERAL], ratio, state)

    place = order.index((lane, sizes[lane] - 1))
    assert people_ahead_of_new(lane, priority, general, ratio, state) == place


def test_estimate_before_anything_was_measured(clinic, monkeypatch):
    """People ahead × 5 minutes ÷ open counters, rounded to 5; nothing while none is open."""
    monkeypatch.setattr(estimates, "FORECAST_AGE_S", 0.0)
    take(clinic, "AAAAAAA")
    assert {one.estimate_min for one in view(clinic).general} == {None}
    assert expect(clinic, "main", Lane.GENERAL).wait is None

    open_all(clinic, 1)
    assert [one.estimate_min for one in view(clinic).general] == [0, 5, 10, 15, 20, 25, 30]
    assert expect(clinic, "main", Lane.GENERAL).wait == timedelta(minutes=35)
    open_all(clinic, 2)
    assert [one.estimate_min for one in view(clinic).general] == [0, 5, 5, 10, 10, 10, 15]

    counters.pause_counter(clinic, session(2), STAFF)
    assert view(clinic).open_counters == 1


def test_estimate_from_the_latest_service_times(clinic):
    """The median of what was measured; one that took an hour does not spoil it."""
    take(clinic, "AAAAAAAA")
    open_all(clinic, 1)
    for seconds in (600, 3600, 620, 540, 640):
        serve_for(clinic, 1, seconds)

    shown = view(clinic)

    assert shown.service_s == pytest.approx(620, abs=2)
    assert [one.estimate_min for one in shown.general] == [0, 10, 20]


def test_first_service_times_of_the_day_promise_little(sqlite_clinic):
    """Up to five are filled up with the setting's 5 minutes."""
    take(sqlite_clinic, "AAAA")
    open_all(sqlite_clinic, 1)
    for expected in (300, 300, 30):
        serve_for(sqlite_clinic, 1, 30)
        assert view(sqlite_clinic).service_s == pytest.approx(expected, abs=2)


def test_only_the_last_20_service_times_count(sqlite_clinic):
    """An old morning does not make the present one."""
    take(sqlite_clinic, "A" * 31)
    open_all(sqlite_clinic, 1)
    for seconds in [1000] * 10 + [60] * 20:
        serve_for(sqlite_clinic, 1, seconds)

    assert view(sqlite_clinic).service_s == pytest.approx(60, abs=2)


def test_service_time_over_a_clock_that_was_set_back(sqlite_clinic):
    """No wait is shorter than nothing."""
    take(sqlite_clinic, "AAAA")
    open_all(sqlite_clinic, 1)
    for _ in range(3):
        serve_for(sqlite_clinic, 1, -1000)

    assert view(sqlite_clinic).service_s == 0


def test_estimate_is_printed_on_the_ticket(clinic):
    """Those in front of it count, not itself; its time is in the future."""
    open_all(clinic, 1)
    take(clinic, "AAA")
    clinic.clock.advance(timedelta(seconds=30))

    (ticket,) = take(clinic, "P")

    assert ticket.estimated_time is not None
    wait = ticket.estimated_time - ticket.issued_at
    assert wait in (timedelta(), timedelta(minutes=5))
    shown = ticket_view(clinic, ticket.code)
    assert (shown.people_ahead, shown.estimate_min) == (0, 0)


def test_ticket_page(clinic):
    """Its place while it waits, none once it was called."""
    first, second, third = take(clinic, "AAA", "gigi")
    open_all(clinic, 1)

    shown = ticket_view(clinic, third.code)
    assert (shown.people_ahead, shown.estimate_min) == (2, 10)
    assert (shown.unit_name, shown.room) == ("Poli Gigi", "Ruang 2")

    call_next(clinic, 1, STAFF)
    assert ticket_view(clinic, first.code).people_ahead is None
    assert ticket_view(clinic, third.code).people_ahead == 1
    cancel_ticket(clinic, second.id, "pulang", STAFF)
    assert ticket_view(clinic, third.code).people_ahead == 0
    assert ticket_view(clinic, issue_emergency(clinic, KIOSK).code).people_ahead is None
    with pytest.raises(NotFound):
        ticket_view(clinic, "AAAAAAAA")


def test_ticket_page_before_the_counters_open(sqlite_clinic):
    """It says when they do, for as long as that is to come."""
    (ticket,) = take(sqlite_clinic, "A")
    assert ticket_view(sqlite_clinic, ticket.code).counter_opens is None

    sqlite_clinic.clock.advance(timedelta(minutes=-45))
    assert ticket_view(sqlite_clinic, ticket.code).counter_opens == "07:30"


def test_totals(clinic):
    """Every ticket counts once, emergencies in none of it."""
    open_all(clinic, 1)
    tickets = take(clinic, "AAAAPP")
    issue_emergency(clinic, KIOSK)
    serve_for(clinic, 1, 60)
    set_option(clinic, "queue.recall_interval_s", "0", STAFF)
    called = call_next(clinic, 1, STAFF)
    for _ in range(2):
        recall(clinic, called.id, STAFF)
    skip(clinic, called.id, STAFF)
    cancel_ticket(clinic, tickets[3].id, "pulang", STAFF)
    held = serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)
    hold(clinic, held.id, STAFF)
    call_next(clinic, 1, STAFF)

    shown = view(clinic)

    assert shown.totals == line.Totals(
        issued=6, done=1, waiting=1, priority=2, skipped=1, cancelled=1
    )
    assert [len(part) for part in (shown.priority, shown.general, shown.held, shown.skipped)] == [
        0, 1, 1, 1,
    ]  # fmt: skip
    assert [one.number for one in shown.emergency] == ["E-001"]
    assert shown.counters[0].ticket.number == "A-002"


def test_units_show_waiting_and_last_called(clinic):
    """The latest number called for the unit, priority or not."""
    open_all(clinic, 1, 2)
    take(clinic, "AP", "umum")
    take(clinic, "A", "gigi")
    assert [unit(clinic, code).waiting for code in ("umum", "gigi", "kia")] == [2, 1, 0]

    call_next(clinic, 1, STAFF)
    assert (unit(clinic, "umum").waiting, unit(clinic, "umum").last_called) == (1, "P-001")
    call_next(clinic, 2, STAFF)
    assert unit(clinic, "umum").last_called == "A-001"
    assert unit(clinic, "gigi").last_called is None


def test_remaining_places(clinic):
    """The quota minus what is taken, never below 0, whatever staff did."""
    change_unit(clinic, "gigi", STAFF, quota_per_day=2)
    tickets = take(clinic, "AAA", "umum")
    assert unit(clinic, "gigi").remaining == 2

    for expected, ticket in zip((1, 0, 0), tickets, strict=True):
        transfer_ticket(clinic, ticket.id, "gigi", None, "sakit gigi", STAFF)
        assert unit(clinic, "gigi").remaining == expected
    change_unit(clinic, "gigi", STAFF, quota_per_day=0)
    assert unit(clinic, "gigi").remaining == 0


def test_staff_see_what_is_at_a_counter(clinic):
    """Who works there, what is called, how often, since when."""
    take(clinic, "P")
    open_all(clinic, 2)
    called = call_next(clinic, 2, STAFF)
    clinic.clock.advance(timedelta(minutes=3))

    shown = view(clinic).counters[1]

    assert (shown.number, shown.state, shown.user_name) == (2, "open", "Budi")
    assert (shown.ticket.id, shown.ticket.state.value, shown.ticket.calls) == (
        called.id, "called", 1,
    )  # fmt: skip
    assert (shown.ticket.called_at, shown.ticket.waited_min) == (called.called_at, 3)
    assert shown.ticket.people_ahead is None


def test_version_grows_with_every_change(clinic):
    """A screen can tell an old picture from a new one."""
    before = view(clinic).version
    take(clinic, "A")
    after = view(clinic).version

    assert after == before + 1
    assert view(clinic).version == after


def test_yesterday_is_not_shown(clinic):
    """Neither what waited nor what was called."""
    take(clinic, "AP")
    clinic.clock.advance(timedelta(hours=20))

    shown = view(clinic)

    assert (shown.order, shown.totals.issued) == ((), 0)
    assert shown.opens_at is not None
    assert len(rows_of(clinic, tables.tickets)) == 2


def test_zones(sqlite_clinic):
    """The first is the default; one that does not exist is refused."""
    assert default_zone(sqlite_clinic) == "main"
    assert known_zone(sqlite_clinic, None) == known_zone(sqlite_clinic, "main") == "main"
    with pytest.raises(NotFound):
        known_zone(sqlite_clinic, "atas")


def test_pages_show_what_was_set_at_once(clinic):
    """Hours and units stand in the reading that pages share, which no ticket changed."""
    assert seen_line(clinic, "main").opens_at is None

    set_option(clinic, "queue.operating_end", "07:00", STAFF)

    assert seen_line(clinic, "main").opens_at is not None


def test_pages_show_a_clock_that_was_moved_at_once(clinic, clock):
    """No commit tells of it."""
    take(clinic, "A")
    assert seen_line(clinic, "main").clock_fault is None

    clock.advance(timedelta(minutes=-30))

    assert seen_line(clinic, "main").clock_fault is not None
