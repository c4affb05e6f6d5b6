"""The clinic's day in three zones: dates, series, expiry, held tickets, and the clock guard."""

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.days import ZONES
from puskesmas_queue.domain.errors import ClockUnconfirmed, KioskClosed
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import day
from puskesmas_queue.services.calling import call_next, hold, reinsert, serve
from puskesmas_queue.services.counters import all_counters
from puskesmas_queue.services.line import line_view, today
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.tickets import (
    cancel_ticket,
    find_ticket,
    issue_emergency,
    issue_ticket,
)
from puskesmas_queue.storage import tables
from puskesmas_queue.storage import tickets as ticket_rows
from support.clinics import make_clinic, make_config
from support.desk import (
    KIOSK,
    STAFF,
    PassingClock,
    at_once,
    execute,
    general,
    open_all,
    places,
    priority,
    rows_of,
    take,
)

S = TicketState
THURSDAY, FRIDAY = date(2026, 2, 26), date(2026, 2, 27)


@pytest.fixture(params=["UTC", "America/New_York"])
def server_zone(request, monkeypatch):
    """The server's own zone, which must not matter."""
    monkeypatch.setenv("TZ", request.param)
    if hasattr(time, "tzset"):
        time.tzset()
    yield request.param
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


def local(zone, hour, minute=0, second=0, on=THURSDAY):
    return datetime(on.year, on.month, on.day, hour, minute, second, tzinfo=ZoneInfo(zone))


@contextmanager
def clinic_at(url, folder, at, zone="Asia/Jakarta"):
    """Open a furnished clinic whose clock stands at that moment."""
    clock = PassingClock(at.astimezone(UTC))
    clinic = make_clinic(make_config(url, folder, zone=zone), clock)
    try:
        yield clinic
    finally:
        clinic.close()


def pass_to(clinic, at):
    """Let time pass until then."""
    clinic.clock.advance(at - clinic.clock.now())


@pytest.mark.parametrize("zone", list(ZONES))
def test_one_series_per_local_day(sqlite_url, tmp_path, server_zone, zone):
    """Around midnight, at 05:50 by staff, 06:30 and 07:00: local dates, one series a day."""
    assert os.environ["TZ"] == server_zone
    with clinic_at(sqlite_url, tmp_path, local(zone, 23, 59, 59), zone) as clinic:
        issued = [issue_ticket(clinic, general(), STAFF)]
        for at in (local(zone, 0, 0, 1, FRIDAY), local(zone, 5, 50, 0, FRIDAY)):
            pass_to(clinic, at)
            with pytest.raises(KioskClosed) as refusal:
                issue_ticket(clinic, general(), KIOSK)
            assert refusal.value.opens_at == local(zone, 6, 0, 0, FRIDAY)
            issued.append(issue_ticket(clinic, general(), STAFF))
        for at in (local(zone, 6, 30, 0, FRIDAY), local(zone, 7, 0, 0, FRIDAY)):
            pass_to(clinic, at)
            issued.append(issue_ticket(clinic, general(), KIOSK))

        assert [(ticket.service_date, ticket.number) for ticket in issued] == [
            (THURSDAY, "A-001"),
            (FRIDAY, "A-001"),
            (FRIDAY, "A-002"),
            (FRIDAY, "A-003"),
            (FRIDAY, "A-004"),
        ]
        assert [ticket.unit_sequence for ticket in issued] == [1, 1, 2, 3, 4]
        assert today(clinic) == FRIDAY
        assert [ticket.number for ticket in line_view(clinic, "main").general] == [
            "A-001", "A-002", "A-003", "A-004",
        ]  # fmt: skip


def test_one_moment_is_two_dates(database_url, tmp_path):
    """At 23:30 in Jakarta it is tomorrow in Jayapura; a stored date is what was meant."""
    at = local("Asia/Jakarta", 23, 30)
    dates = {}
    for zone in ZONES:
        with clinic_at(database_url, tmp_path, at, zone) as clinic:
            ticket = issue_ticket(clinic, general(), STAFF)
            dates[zone] = find_ticket(clinic, ticket.id).service_date
            assert ticket.number == "A-001"
            clear(clinic)

    assert dates == {"Asia/Jakarta": THURSDAY, "Asia/Makassar": FRIDAY, "Asia/Jayapura": FRIDAY}


def clear(clinic):
    """Empty the database, so that another clinic begins in it."""

    def run(tx):
        for table in reversed(tables.metadata.sorted_tables):
            tx.conn.execute(table.delete())

    clinic.db.write(run)


def test_times_are_read_as_they_were_written(clinic):
    """An instant with its zone, to the microsecond."""
    (ticket,) = take(clinic, "A")

    stored = find_ticket(clinic, ticket.id)

    assert stored.issued_at == ticket.issued_at
    assert stored.issued_at.utcoffset() == timedelta(0)


# Midnight


def test_what_is_left_open_expires_at_midnight(clinic):
    """Every open state; places are given back, counters free, what is over stays."""
    open_all(clinic, 1, 2)
    waiting, called, serving, held, skipped, done, gone = take(clinic, "APAAAAA")
    emergency = issue_emergency(clinic, KIOSK)
    force(clinic, called, "called", counter=1)
    force(clinic, serving, "serving", counter=2)
    force(clinic, held, "held")
    force(clinic, skipped, "skipped")
    force(clinic, done, "completed")
    cancel_ticket(clinic, gone.id, "pulang", STAFF)
    assert day.expire_old_days(clinic) == 0

    next_day(clinic)

    open_ones = [waiting, called, serving, held, skipped, emergency]
    assert day.expire_old_days(clinic) == len(open_ones)
    assert [find_ticket(clinic, one.id).state for one in open_ones] == [S.EXPIRED] * 6
    assert find_ticket(clinic, done.id).state is S.COMPLETED
    assert find_ticket(clinic, gone.id).state is S.CANCELLED
    assert places(clinic) == {"umum": 1, "ugd": 0}
    expired = [row for row in rows_of(clinic, tables.events) if row.kind == "ticket_expired"]
    assert {row.ticket_id for row in expired} == {one.id for one in open_ones}
    assert {row.data["to"] for row in expired} == {"expired"}
    assert day.expire_old_days(clinic) == 0
    take_by_staff(clinic, 1)
    assert call_next(clinic, 1, STAFF).number == "A-001"


def force(clinic, ticket, state, counter=None):
    table = tables.tickets
    statement = table.update().where(table.c.clinic_id == clinic.id, table.c.id == ticket.id)
    statement = statement.values(state=state, counter=counter)
    execute(clinic, statement)


def next_day(clinic):
    clinic.clock.advance(timedelta(hours=17))
    day.confirm_clock(clinic, STAFF)


def take_by_staff(clinic, count):
    return [issue_ticket(clinic, general(), STAFF) for _ in range(count)]


def test_expiry_is_caught_up_after_days_off(clinic, monkeypatch):
    """Days that nobody was here for, in more than one transaction."""
    monkeypatch.setattr(day, "EXPIRY_BATCH", 3)
    take(clinic, "APAPA")
    next_day(clinic)
    take_by_staff(clinic, 4)
    clinic.clock.advance(timedelta(days=9))
    day.confirm_clock(clinic, STAFF)
    (fresh,) = take_by_staff(clinic, 1)

    assert day.expire_old_days(clinic) == 9

    assert find_ticket(clinic, fresh.id).state is S.WAITING
    assert places(clinic) == {"umum": 1}


def test_expiry_is_caught_up_at_start(database_url, tmp_path):
    """The server was off at midnight: the tickets are of yesterday when it opens again."""
    with clinic_at(database_url, tmp_path, local("Asia/Jakarta", 8)) as clinic:
        (ticket,) = take(clinic, "A")
    clock = PassingClock(local("Asia/Jakarta", 6, on=FRIDAY).astimezone(UTC))
    clinic = open_clinic(make_config(database_url, tmp_path), clock)
    try:
        assert clinic.guard.fault() is None
        assert day.expire_old_days(clinic) == 1
        assert find_ticket(clinic, ticket.id).state is S.EXPIRED
    finally:
        clinic.close()


def test_nothing_expires_by_a_clock_that_is_wrong(sqlite_url, tmp_path):
    """A day that goes on is not ended because the clock leapt over midnight."""
    with clinic_at(sqlite_url, tmp_path, local("Asia/Jakarta", 8)) as clinic:
        (ticket,) = take(clinic, "A")
        clinic.clock.move(timedelta(days=1))

        assert day.expire_old_days(clinic) == 0
        assert find_ticket(clinic, ticket.id).state is S.WAITING


@pytest.mark.parametrize("job", ["expiry", "long held"])
def test_timer_and_cancelling_do_not_lock_each_other_out(clinic, monkeypatch, job):
    """Both give places back: the timer locks its tickets first, as whoever cancels does."""
    first, second = take(clinic, "AA")
    if job == "expiry":
        next_day(clinic)
    else:
        for ticket in (first, second):
            force(clinic, ticket, "held")
        values = {"held_at": clinic.clock.now() - timedelta(hours=2), "skips": 2}
        execute(clinic, tables.tickets.update().values(values))
    give_back = ticket_rows.give_place_back

    def give_back_slowly(*arguments):
        give_back(*arguments)
        time.sleep(0.2)

    monkeypatch.setattr(ticket_rows, "give_place_back", give_back_slowly)

    def cancel():
        time.sleep(0.1)
        return cancel_ticket(clinic, second.id, "pulang", STAFF)

    timer = day.expire_old_days if job == "expiry" else day.skip_long_held
    answers = at_once([lambda: timer(clinic), cancel])

    assert answers[0] in (1, 2)
    assert {type(answer).__name__ for answer in answers} <= {"int", "Ticket", "EdgeNotAllowed"}
    assert places(clinic) == {"umum": 0}


# Held for too long


def test_held_ticket_is_skipped_after_an_hour(clinic):
    """Not after 59 minutes; it may come back like any skipped one."""
    open_all(clinic, 1)
    take(clinic, "A")
    held = hold(clinic, serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1).id, STAFF)

    clinic.clock.advance(timedelta(minutes=59))
    assert day.skip_long_held(clinic) == 0
    clinic.clock.advance(timedelta(minutes=1, seconds=1))
    assert day.skip_long_held(clinic) == 1

    skipped = find_ticket(clinic, held.id)
    assert (skipped.state, skipped.skips) == (S.SKIPPED, 1)
    event = rows_of(clinic, tables.events)[-1]
    assert (event.kind, event.actor_id) == ("ticket_skipped", SYSTEM.id)
    assert day.skip_long_held(clinic) == 0
    assert reinsert(clinic, held.id, STAFF).state is S.WAITING


def test_hour_of_a_held_ticket_is_a_setting(sqlite_clinic):
    """`queue.hold_minutes`; a ticket that returned in time is left alone."""
    set_option(sqlite_clinic, "queue.hold_minutes", "10", STAFF)
    open_all(sqlite_clinic, 1)
    first, second = take(sqlite_clinic, "AA")
    for ticket in (first, second):
        assert call_next(sqlite_clinic, 1, STAFF).id == ticket.id
        serve(sqlite_clinic, ticket.id, STAFF, 1)
        hold(sqlite_clinic, ticket.id, STAFF)
    serve(sqlite_clinic, first.id, STAFF, 1)
    sqlite_clinic.clock.advance(timedelta(minutes=11))

    assert day.skip_long_held(sqlite_clinic) == 1
    assert find_ticket(sqlite_clinic, first.id).state is S.SERVING
    assert find_ticket(sqlite_clinic, second.id).state is S.SKIPPED


# Clock guard


def test_clock_that_fell_behind(clinic):
    """Over 2 minutes before what was stored: no ticket, from nobody, and the reason is told."""
    (first,) = take(clinic, "A")
    clinic.clock.advance(timedelta(minutes=-3))

    for actor in (KIOSK, STAFF):
        with pytest.raises(ClockUnconfirmed) as refusal:
            issue_ticket(clinic, general(), actor)
        assert refusal.value.why == "behind"
        assert refusal.value.shown.utcoffset() == timedelta(hours=7)
    with pytest.raises(ClockUnconfirmed):
        issue_emergency(clinic, KIOSK)
    assert line_view(clinic, "main").clock_fault == "behind"
    assert len(rows_of(clinic, tables.tickets)) == 1
    open_all(clinic, 1)
    assert call_next(clinic, 1, STAFF).id == first.id


def test_two_minutes_are_borne(sqlite_clinic):
    """Time servers pull clocks by a little."""
    take(sqlite_clinic, "A")
    sqlite_clinic.clock.advance(timedelta(seconds=-110))

    assert take(sqlite_clinic, "A")[0].number == "A-002"


def test_confirmation_is_audited_and_the_new_base(clinic):
    """Who confirmed which time; then tickets go on, and the old future is forgotten."""
    take(clinic, "A")
    clinic.clock.advance(timedelta(days=-2))

    day.confirm_clock(clinic, STAFF)

    assert line_view(clinic, "main").clock_fault is None
    audit = rows_of(clinic, tables.audit)[-1]
    shown = clinic.clock.now().astimezone(clinic.timezone)
    assert (audit.action, audit.user_id) == ("confirm_clock", STAFF.id)
    assert abs(datetime.fromisoformat(audit.new_values["shown"]) - shown) < timedelta(seconds=60)
    assert rows_of(clinic, tables.events)[-1].kind == "clock_confirmed"
    ticket = issue_ticket(clinic, general(), STAFF)
    assert (ticket.service_date, ticket.number) == (date(2026, 2, 24), "A-001")
    clinic.clock.advance(timedelta(minutes=-3))
    with pytest.raises(ClockUnconfirmed):
        issue_ticket(clinic, general(), STAFF)


def test_confirmation_survives_a_restart(database_url, tmp_path):
    """What was stored before it does not make the clock wrong again."""
    with clinic_at(database_url, tmp_path, local("Asia/Jakarta", 8)) as clinic:
        take(clinic, "A")
        clinic.clock.move(timedelta(days=-3))
        day.confirm_clock(clinic, STAFF)
        moved = clinic.clock.now()
    for back, why in ((timedelta(), None), (timedelta(minutes=3), "behind")):
        clinic = open_clinic(make_config(database_url, tmp_path), PassingClock(moved - back))
        try:
            assert clinic.guard.fault() == why
        finally:
            clinic.close()


@pytest.mark.parametrize(
    ("off", "why"),
    [
        (timedelta(minutes=-3), "behind"),
        (timedelta(seconds=-100), None),
        (timedelta(days=29), None),
        (timedelta(days=31), "ahead"),
    ],
)
def test_clock_at_start(database_url, tmp_path, off, why):
    """Compared with the newest stored time; after a holiday it is right, after a month not."""
    at = local("Asia/Jakarta", 8)
    with clinic_at(database_url, tmp_path, at) as clinic:
        take(clinic, "A")
    clinic = open_clinic(
        make_config(database_url, tmp_path), PassingClock(at.astimezone(UTC) + off)
    )
    try:
        assert clinic.guard.fault() == why
        if why == "ahead":
            with pytest.raises(ClockUnconfirmed):
                issue_ticket(clinic, general(), STAFF)
            day.confirm_clock(clinic, STAFF)
        if why != "behind":
            assert issue_ticket(clinic, priority(), STAFF).number == "P-001"
    finally:
        clinic.close()


@pytest.mark.parametrize("leap", [timedelta(minutes=61), timedelta(minutes=-61)])
def test_clock_that_leaps_while_running(sqlite_url, tmp_path, leap):
    """Wall and monotonic clock part by over an hour; a day that only passes is no leap."""
    with clinic_at(sqlite_url, tmp_path, local("Asia/Jakarta", 8)) as clinic:
        clinic.clock.advance(timedelta(hours=20))
        issue_ticket(clinic, general(), STAFF)
        clinic.clock.move(leap)

        with pytest.raises(ClockUnconfirmed) as refusal:
            issue_ticket(clinic, general(), STAFF)

        assert refusal.value.why == ("jumped" if leap > timedelta() else "behind")
        day.confirm_clock(clinic, STAFF)
        assert clinic.guard.fault() is None


def test_leap_in_a_clinic_where_nothing_was_stored(sqlite_url, tmp_path):
    """Backwards too, where there is no newest time to be behind."""
    with clinic_at(sqlite_url, tmp_path, local("Asia/Jakarta", 8)) as clinic:
        clinic.guard.start(None)
        clinic.clock.move(timedelta(minutes=-61))

        assert clinic.guard.fault() == "jumped"


def test_one_process_hears_of_the_other_ones_confirmation(postgres_url, tmp_path):
    """Two processes, one clinic: confirmed once is confirmed."""
    at = local("Asia/Jakarta", 8)
    with clinic_at(postgres_url, tmp_path, at) as clinic:
        take(clinic, "A")
        clock = PassingClock(clinic.clock.now())
        other = open_clinic(make_config(postgres_url, tmp_path), clock)
        try:
            for one in (clinic, other):
                one.clock.move(timedelta(hours=-5))
                assert one.guard.fault() == "behind"

            day.confirm_clock(clinic, STAFF)
            other.look()

            assert other.guard.fault() is None
            assert issue_ticket(other, general(), STAFF).number == "A-002"
        finally:
            other.close()


def test_demo_clock_moved_back(clinic):
    """The demo's clock goes to any day and back; the line of each day is its own."""
    take(clinic, "AP")
    clinic.clock.advance(timedelta(days=3))
    day.confirm_clock(clinic, STAFF)
    later = take(clinic, "A")
    clinic.clock.advance(timedelta(days=-3))
    day.confirm_clock(clinic, STAFF)

    assert take(clinic, "A")[0].number == "A-002"
    assert [ticket.number for ticket in line_view(clinic, "main").general] == ["A-001", "A-002"]
    assert day.expire_old_days(clinic) == 0
    assert find_ticket(clinic, later[0].id).state is S.WAITING
    assert [counter.state for counter in all_counters(clinic)] == ["closed", "closed"]


def test_is_today(sqlite_clinic):
    """A ticket of the present service day."""
    (ticket,) = take(sqlite_clinic, "A")

    assert day.is_today(sqlite_clinic, ticket)
    assert not day.is_today(sqlite_clinic, replace(ticket, service_date=FRIDAY))
