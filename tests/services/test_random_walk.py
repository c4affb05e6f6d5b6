"""Whatever is asked in whatever order, the line stays a line."""

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from puskesmas_queue.domain.errors import QueueError, StorageUnavailable
from puskesmas_queue.domain.tickets import AT_COUNTER, EDGES, STANDING, Lane, TicketState
from puskesmas_queue.services import calling, counters, day
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.masters import change_unit
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.tickets import (
    cancel_own,
    cancel_ticket,
    issue_emergency,
    issue_ticket,
)
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import migrate, tables
from support.clinics import MORNING, make_clinic, make_config
from support.desk import KIOSK, STAFF, PassingClock, general, open_all, priority, session

S = TicketState
UNITS = ("umum", "gigi")
GONE = {S.CANCELLED, S.NO_SHOW, S.EXPIRED}
COUNTERS = (1, 2)
a_ticket = st.integers(0, 10**6)
a_counter = st.sampled_from(COUNTERS)


class Walk(RuleBasedStateMachine):
    """
    Commands of kiosks, counters, staff and timers on one clinic.

    `template` is a migrated SQLite file; the test sets it.
    """

    template: Path

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "walk.db")
        url = f"sqlite:///{(self.folder / 'walk.db').as_posix()}"
        self.clock = PassingClock(MORNING)
        self.clinic = make_clinic(make_config(url, self.folder), self.clock)
        change_unit(self.clinic, "gigi", STAFF, quota_per_day=4)
        set_option(self.clinic, "queue.recall_interval_s", "0", STAFF)
        set_option(self.clinic, "queue.max_calls", "2", STAFF)
        open_all(self.clinic, 1)
        self.before = {}
        self.told = Counter()
        self.after = self.read()
        self.before, self.told = self.after

    def teardown(self):
        self.clinic.close()
        shutil.rmtree(self.folder)

    # Commands

    @rule(unit=st.sampled_from(UNITS), is_priority=st.booleans(), key=st.integers(0, 30))
    def issue(self, unit, is_priority, key):
        """Somebody takes a number; keys repeat now and then."""
        request = (priority if is_priority else general)(unit)
        self.do(issue_ticket, request, KIOSK, f"walk-key-{key}")

    @rule(unit=st.sampled_from(UNITS))
    def exceed(self, unit):
        """Staff give a place over the quota."""
        self.do(issue_ticket, general(unit, exceed_reason="rujukan"), STAFF)

    @rule()
    def emergency(self):
        """Somebody goes to UGD."""
        self.do(issue_emergency, KIOSK)

    @rule(counter=a_counter)
    def call(self, counter):
        """A counter calls."""
        self.do(calling.call_next, counter, STAFF)

    @rule(counter=a_counter)
    def call_and_serve(self, counter):
        """A counter calls, and the patient is there."""
        ticket = self.do(calling.call_next, counter, STAFF)
        if ticket is not None:
            self.do(calling.serve, ticket.id, STAFF, counter)

    @precondition(lambda self: self.before)
    @rule(
        ticket=a_ticket,
        step=st.sampled_from(
            [
                calling.recall, calling.skip, calling.hold, calling.complete, calling.reinsert,
                calling.arrive_emergency,
            ]
        ),
        times=st.integers(1, 3),
    )  # fmt: skip
    def step(self, ticket, step, times):
        """Staff press a key, perhaps more than once."""
        for _ in range(times):
            self.do(step, self.pick(ticket), STAFF)

    @precondition(lambda self: self.before)
    @rule(ticket=a_ticket, counter=a_counter)
    def serve(self, ticket, counter):
        """A counter opens a patient."""
        self.do(calling.serve, self.pick(ticket), STAFF, counter)

    @precondition(lambda self: self.before)
    @rule(counter=a_counter)
    def skip_until_gone(self, counter):
        """Nobody answers, and whoever was skipped comes back, again and again."""
        ticket = self.do(calling.call_next, counter, STAFF)
        if ticket is not None:
            self.do(calling.recall, ticket.id, STAFF)
            self.do(calling.skip, ticket.id, STAFF)
            self.do(calling.reinsert, ticket.id, STAFF)

    @precondition(lambda self: self.before)
    @rule(ticket=a_ticket, is_own=st.booleans())
    def cancel(self, ticket, is_own):
        """Staff or the patient cancel."""
        found = self.pick(ticket)
        if is_own:
            self.do(cancel_own, self.before[found].code, KIOSK)
        else:
            self.do(cancel_ticket, found, "pulang", STAFF)

    @precondition(lambda self: self.before)
    @rule(
        ticket=a_ticket,
        unit=st.sampled_from((None, *UNITS)),
        lane=st.sampled_from((None, Lane.PRIORITY, Lane.GENERAL)),
    )
    def transfer(self, ticket, unit, lane):
        """Another unit, another lane, or both."""
        self.do(transfer_ticket, self.pick(ticket), unit, lane, "salah", STAFF)

    @rule(
        counter=a_counter,
        step=st.sampled_from([counters.close_counter, counters.pause_counter, "open"]),
    )
    def counter(self, counter, step):
        """A counter opens, pauses or closes."""
        if step == "open":
            self.do(counters.open_counter, counter, session(counter), STAFF)
        else:
            self.do(step, session(counter), STAFF)

    @rule(counter=a_counter, units=st.sampled_from([(), ("umum",), ("gigi",)]))
    def restrict(self, counter, units):
        """A counter takes some units only."""
        self.do(counters.restrict_counter, counter, units, STAFF)

    @rule(text=st.sampled_from(["2:1", "1:2", "full", "first_come"]))
    def ratio(self, text):
        """The clinic changes how lanes take turns."""
        self.do(set_option, "queue.priority_ratio", text, STAFF)

    @rule(minutes=st.sampled_from([1, 30, 61]))
    def wait(self, minutes):
        """Time passes, timers run."""
        self.clock.advance(timedelta(minutes=minutes))
        self.timers()

    @rule()
    def sleep(self):
        """The next morning."""
        self.clock.advance(timedelta(days=1))
        self.timers()

    def timers(self):
        self.do(day.expire_old_days)
        self.do(day.skip_long_held)
        self.do(day.forget_old_keys)

    def pick(self, number):
        return sorted(self.before)[number % len(self.before)]

    def do(self, command, *arguments):
        """Run one command, and look at what it changed."""
        answer, refusal = None, None
        try:
            answer = command(self.clinic, *arguments)
        except StorageUnavailable:
            raise
        except QueueError as error:
            refusal = error
        self.check_changes(command.__name__, refusal)
        return answer

    # What must hold

    def read(self):
        def run(tx):
            rows = tx.conn.execute(select(tables.tickets)).all()
            told = tx.conn.execute(select(tables.events.c.ticket_id)).scalars().all()
            audited = tx.conn.execute(
                select(tables.audit.c.record_id).where(tables.audit.c.table_name == "tickets")
            ).scalars()
            assert Counter(map(int, audited)) == Counter(one for one in told if one is not None)
            return {row.id: row for row in rows}, Counter(told)

        return self.clinic.db.read(run)

    def check_changes(self, command, refusal):
        """Every change has an event and follows an edge; a refusal changed nothing."""
        after, told = self.read()
        for ticket_id, new in after.items():
            old = self.before.get(ticket_id)
            events = told[ticket_id] - self.told[ticket_id]
            if old == new:
                assert events == 0, (command, new)
                continue
            assert refusal is None, (command, refusal)
            assert events >= 1, (command, new)
            if old is not None:
                kept = ("service_date", "number", "prefix", "sequence", "code", "issued_at")
                assert all(getattr(old, name) == getattr(new, name) for name in kept)
                reached = {S(old.state)}
                for _ in range(events):
                    reached |= {
                        edges[state]
                        for edges in EDGES.values()
                        for state in reached
                        if state in edges
                    }
                assert S(new.state) in reached, (command, old.state, new.state)
        assert set(self.before) <= set(after)
        self.before, self.told = after, told

    @invariant()
    def at_most_one_ticket_at_a_counter(self):
        """And where a counter is not open there is none."""
        states = {one.number: one.state for one in counters.all_counters(self.clinic)}
        busy = [row.counter for row in self.before.values() if S(row.state) in AT_COUNTER]
        assert len(busy) == len(set(busy))
        assert all(states[number] == "open" for number in busy)

    @invariant()
    def columns_agree_with_the_state(self):
        """A counter only at a counter or behind one; times where there was a step."""
        for row in self.before.values():
            state = S(row.state)
            if state in AT_COUNTER:
                assert row.counter in COUNTERS
            elif state is not S.COMPLETED:
                assert row.counter is None
            assert 0 <= row.skips <= 2
            assert (row.lane == "emergency") == (row.prefix == "E")
            if row.lane == "emergency":
                assert row.called_at is None
            if row.lane != "priority":
                assert row.priority_reason is None
            if state in (S.COMPLETED, S.CANCELLED, S.EXPIRED):
                assert row.completed_at is not None

    @invariant()
    def places_are_what_tickets_hold(self):
        """Per day and unit, never negative, never over the quota and 10 %."""
        rows = self.clinic.db.read(
            lambda tx: tx.conn.execute(
                select(tables.day_counts).where(tables.day_counts.c.kind == "place")
            ).all()
        )
        taken = {(row.service_date, row.name): row.value for row in rows}
        held = Counter(
            (row.service_date, row.unit) for row in self.before.values() if S(row.state) not in GONE
        )
        assert {key: value for key, value in taken.items() if value} == dict(held)
        assert min(taken.values(), default=0) >= 0
        assert all(value <= 5 for (_, unit), value in taken.items() if unit == "gigi")

    @invariant()
    def numbers_have_no_gap(self):
        """Each series of each day begins at 1 and leaves none out."""
        series = {}
        for row in self.before.values():
            series.setdefault((row.service_date, row.prefix), []).append(row.sequence)
        for numbers in series.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1))

    @invariant()
    def screens_show_everybody_once(self):
        """Who stands is in the order once; places in the line are all different."""
        shown = line_view(self.clinic, "main")
        today = [r for r in self.before.values() if r.service_date == shown.service_date]
        standing = [r for r in today if S(r.state) in STANDING and r.lane != "emergency"]
        assert sorted(shown.order) == sorted(row.number for row in standing)
        assert len({(r.lane, r.order_key, r.order_tie) for r in standing}) == len(standing)
        assert shown.totals.waiting == len(standing)
        assert shown.totals.issued == sum(row.lane != "emergency" for row in today)
        assert [one.number for one in (*shown.held, *shown.skipped)] == [
            row.number
            for state in (S.HELD, S.SKIPPED)
            for row in sorted(today, key=lambda row: row.id)
            if S(row.state) is state
        ]
        assert all(one.remaining is None or one.remaining >= 0 for one in shown.units)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A migrated SQLite file."""
    path = tmp_path_factory.mktemp("walk") / "template.db"
    migrate.upgrade(f"sqlite:///{path.as_posix()}")
    return path


def test_a_random_walk_keeps_every_rule(template, is_soak):
    """Short and the same walks here, long and ever new ones with --soak."""
    Walk.template = template
    length = settings(
        max_examples=100 if is_soak else 8,
        stateful_step_count=60 if is_soak else 40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Walk, settings=length)
