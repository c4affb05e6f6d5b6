"""Facts reach plugins: at least once, in order per ticket, never too late."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.clock import ShiftedClock, SystemClock
from puskesmas_queue.domain.access import Actor, Role
from puskesmas_queue.domain.errors import NotFound, TicketObjected
from puskesmas_queue.domain.events import FACTS, Fact, TicketFact
from puskesmas_queue.domain.tickets import Lane, PaymentType, Source, TicketRequest, TicketState
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.services import calling, counters, day, facts, letters, tickets
from puskesmas_queue.storage import outbox as rows
from puskesmas_queue.storage.outbox import Delivery
from puskesmas_queue.storage.tables import deliveries
from puskesmas_queue.workers import breaker, outbox
from puskesmas_queue.workers.outbox import Outbox, OutboxWorker
from support.clinics import MORNING, make_clinic, make_config
from support.desk import PassingClock, rows_of
from support.waiting import until

KIOSK = Actor("device", name="kiosk", device="kiosk-1")
STAFF = Actor("user", id=1, name="Siti", role=Role.PETUGAS_LOKET)
REQUEST = TicketRequest("umum", Lane.GENERAL, PaymentType.UMUM)


class Receiver:
    """Hears every fact, and fails as often as it is told."""

    def __init__(self, fails: Callable[[Fact], bool] = lambda fact: False) -> None:
        self.seen: list[tuple[str, str, str | None]] = []
        self.attempts: dict[str, int] = defaultdict(int)
        self.fails = fails

    def hear(self, fact: Fact, number: str | None) -> None:
        self.attempts[fact.id] += 1
        if self.fails(fact):
            raise RuntimeError("not now")
        self.seen.append((fact.id, fact.kind, number))

    @property
    def once(self) -> list[tuple[str, str, str | None]]:
        """What a receiver that goes by `fact.id` has: each fact once."""
        return list(dict.fromkeys(self.seen))


def listener(receiver: Receiver) -> object:
    def about_ticket(kind: str) -> object:
        def hear(fact: Fact, ticket: TicketFact) -> None:
            receiver.hear(fact, ticket.number)

        hear.__name__ = kind
        return hookimpl(hear)

    def closed(fact: Fact) -> None:
        receiver.hear(fact, None)

    members = {kind: staticmethod(about_ticket(kind)) for kind in FACTS if kind != "day_closed"}
    return type("Listener", (), {**members, "day_closed": staticmethod(hookimpl(closed))})()


@pytest.fixture
def open_with(
    database_url: str, clock: ShiftedClock, tmp_path: Path
) -> Iterator[Callable[..., Clinic]]:
    """Opens a clinic whose plugins are these objects, by name."""
    opened = []

    def open_clinic(clock: SystemClock = clock, **plugins: object) -> Clinic:
        clinic = make_clinic(make_config(database_url, tmp_path), clock, plugins=plugins.items())
        opened.append(clinic)
        return clinic

    yield open_clinic
    for clinic in opened:
        clinic.close()


@contextmanager
def delivering(clinic: Clinic) -> Iterator[Outbox]:
    worker = Outbox(clinic)
    for name in clinic.plugins.listeners():
        worker.start(name)
    try:
        yield worker
    finally:
        worker.stop()


def claim(clinic: Clinic, plugin: str) -> list[Delivery]:
    """Claim what is due, as another process would."""
    found = clinic.db.read(lambda tx: rows.due(tx, plugin, outbox.BATCH))
    return clinic.db.write(lambda tx: rows.claim(tx, found, outbox.LEASE))


def test_a_journey_is_told_in_order(open_with):
    """Issued, called, recalled, serving, held, serving, completed: each once, in this order."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    with delivering(clinic):
        ticket = tickets.issue_ticket(clinic, REQUEST, KIOSK)
        counters.open_counter(clinic, 1, "s" * 64, STAFF)
        calling.call_next(clinic, 1, STAFF)
        clinic.clock.advance(timedelta(seconds=21))
        calling.recall(clinic, ticket.id, STAFF)
        calling.serve(clinic, ticket.id, STAFF, 1)
        calling.hold(clinic, ticket.id, STAFF)
        calling.serve(clinic, ticket.id, STAFF, 1)
        calling.complete(clinic, ticket.id, STAFF)
        until(lambda: len(receiver.once) == 7)
    assert [kind.removeprefix("ticket_") for _, kind, _ in receiver.seen] == [
        "issued", "called", "recalled", "serving", "held", "serving", "completed",
    ]  # fmt: skip
    assert {number for _, _, number in receiver.seen} == {"A-001"}


def test_facts_say_what_happened(open_with):
    """Counter, zone, state and the ticket's words; no reason of priority anywhere."""
    heard = []

    class Listener:
        @hookimpl
        def ticket_called(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
            heard.append((fact, ticket, ctx))

    clinic = open_with(listener=Listener())
    with delivering(clinic):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        counters.open_counter(clinic, 2, "s" * 64, STAFF)
        calling.call_next(clinic, 2, STAFF)
        until(lambda: bool(heard))
    fact, ticket, ctx = heard[0]
    assert (fact.kind, fact.counter, fact.zone, fact.attempt) == ("ticket_called", 2, "main", 1)
    assert (ticket.number, ticket.unit_name, ticket.state) == (
        "A-001", "Poli Umum", TicketState.CALLED,
    )  # fmt: skip
    assert ctx.clinic_name == "Puskesmas Uji"
    assert not hasattr(ticket, "priority_reason")


def test_a_fact_tells_the_state_that_it_led_to(open_with):
    """Also where it is told late, and the ticket is completed by then."""
    states = []

    def heard(fact: Fact, ticket: TicketFact) -> None:
        states.append(ticket.state)

    kinds = ("ticket_issued", "ticket_called", "ticket_serving", "ticket_completed")
    clinic = open_with(listener=SimpleNamespace(**{kind: hookimpl(heard) for kind in kinds}))
    ticket = tickets.issue_ticket(clinic, REQUEST, KIOSK)
    counters.open_counter(clinic, 1, "s" * 64, STAFF)
    calling.call_next(clinic, 1, STAFF)
    calling.serve(clinic, ticket.id, STAFF, 1)
    calling.complete(clinic, ticket.id, STAFF)
    while OutboxWorker(clinic, "listener").deliver_due():
        pass
    assert states == [
        TicketState.WAITING, TicketState.CALLED, TicketState.SERVING, TicketState.COMPLETED,
    ]  # fmt: skip


def test_what_a_plugin_does_not_hear_is_not_stored_for_it(open_with):
    """A listener of one fact has rows of that fact only; without listeners there are none."""

    class Listener:
        @hookimpl
        def ticket_cancelled(self, fact: Fact, ticket: TicketFact) -> None:
            raise AssertionError

    clinic = open_with(listener=Listener())
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert facts.delivery_counts(clinic) == {}


def test_left_over_facts_are_delivered_after_a_restart(open_with):
    """What was committed before a crash is told after it."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert receiver.seen == []
    with delivering(clinic):
        until(lambda: len(receiver.once) == 1)


def test_a_fact_of_a_dead_worker_is_taken_over(open_with):
    """A claimed row comes back after its lease."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert len(claim(clinic, "listener")) == 1
    assert claim(clinic, "listener") == []
    clinic.clock.advance(outbox.LEASE)
    with delivering(clinic):
        until(lambda: len(receiver.once) == 1)


def test_two_workers_share_the_rows_and_keep_the_order(open_with, monkeypatch):
    """Two processes' worth of workers, a receiver that fails 30 %: each once, in order per key."""
    monkeypatch.setattr(outbox, "BACKOFF_S", (0,) * 200)
    monkeypatch.setattr(outbox, "MAX_ATTEMPTS", 200)
    dice = random.Random(4)
    lock = threading.Lock()

    def fails(fact: Fact) -> bool:
        with lock:
            return dice.random() < 0.3

    receiver = Receiver(fails)
    clinic = open_with(listener=listener(receiver))
    with delivering(clinic), delivering(clinic):
        issued = [tickets.issue_ticket(clinic, REQUEST, KIOSK) for _ in range(60)]
        for ticket in issued:
            tickets.cancel_ticket(clinic, ticket.id, "uji", STAFF)
        until(lambda: len(receiver.once) == 120)
    by_number = defaultdict(list)
    for _, kind, number in receiver.once:
        by_number[number].append(kind)
    assert set(by_number) == {ticket.number for ticket in issued}
    assert set(map(tuple, by_number.values())) == {("ticket_issued", "ticket_cancelled")}
    until(lambda: facts.delivery_counts(clinic) == {})


def test_a_failing_receiver_is_tried_again_with_pauses(open_with):
    """First after a second; the facts behind it wait for it."""
    receiver = Receiver(lambda fact: fact.attempt < 2)
    clinic = open_with(PassingClock(MORNING), listener=listener(receiver))

    def tries() -> list[int]:
        return [row.attempts for row in rows_of(clinic, deliveries) if row.state == "open"]

    with delivering(clinic) as worker:
        ticket = tickets.issue_ticket(clinic, REQUEST, KIOSK)
        tickets.cancel_ticket(clinic, ticket.id, "uji", STAFF)
        for told in range(2):
            until(lambda told=told: tries() == [1, 0][: 2 - told])
            worker.wake()
            time.sleep(0.3)
            assert len(receiver.seen) == told
            clinic.clock.advance(timedelta(seconds=1.1))
            worker.wake()
        until(lambda: len(receiver.once) == 2)
    assert [kind for _, kind, _ in receiver.seen] == ["ticket_issued", "ticket_cancelled"]


def test_facts_behind_a_failed_one_are_not_looked_for(open_with):
    """Nothing is due before it is: a worker that looked each second would claim nothing."""
    receiver = Receiver(lambda fact: fact.attempt < 2)
    clinic = open_with(PassingClock(MORNING), listener=listener(receiver))
    ticket = tickets.issue_ticket(clinic, REQUEST, KIOSK)
    tickets.cancel_ticket(clinic, ticket.id, "uji", STAFF)
    (outcome,) = OutboxWorker(clinic, "listener").deliver_due()
    assert outcome is not None
    assert not outcome.is_good
    assert clinic.db.read(lambda tx: rows.due(tx, "listener", outbox.BATCH)) == []
    clinic.clock.advance(timedelta(seconds=1))
    assert len(clinic.db.read(lambda tx: rows.due(tx, "listener", outbox.BATCH))) == 1


def test_calls_go_ahead_of_what_keeps(open_with):
    """In a backlog: a call is worth something for 90 s, the rest for a day."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    worker = OutboxWorker(clinic, "listener")
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    worker.deliver_due()
    for _ in range(outbox.BATCH + 5):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    counters.open_counter(clinic, 1, "s" * 64, STAFF)
    calling.call_next(clinic, 1, STAFF)
    worker.deliver_due()
    assert receiver.seen[1][1:] == ("ticket_called", "A-001")
    assert {kind for _, kind, _ in receiver.seen[2:]} == {"ticket_issued"}


def test_a_spoken_call_is_never_replayed(open_with):
    """Nor a recall. Older than 90 s: expired, and the receiver does not hear of it."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    ticket = tickets.issue_ticket(clinic, REQUEST, KIOSK)
    counters.open_counter(clinic, 1, "s" * 64, STAFF)
    calling.call_next(clinic, 1, STAFF)
    clinic.clock.advance(timedelta(seconds=21))
    calling.recall(clinic, ticket.id, STAFF)
    clinic.clock.advance(timedelta(seconds=91))
    with delivering(clinic):
        until(lambda: facts.delivery_counts(clinic) == {("listener", "expired"): 2})
    assert [kind for _, kind, _ in receiver.seen] == ["ticket_issued"]
    found = letters.dead_letters(clinic)
    assert [(letter.kind, letter.state) for letter in found] == [
        ("ticket_recalled", "expired"),
        ("ticket_called", "expired"),
    ]


@pytest.mark.parametrize(("age_s", "heard"), [(590, ["emergency_announced"]), (600, [])])
def test_an_emergency_is_told_for_ten_minutes(open_with, age_s, heard):
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    tickets.issue_emergency(clinic, KIOSK)
    clinic.clock.advance(timedelta(seconds=age_s))
    OutboxWorker(clinic, "listener").deliver_due()
    assert [kind for _, kind, _ in receiver.seen] == heard


def test_dead_letters_are_listed_and_delivered_by_hand(open_with, monkeypatch):
    """Given up after the last try; an administrator sends it again."""
    monkeypatch.setattr(outbox, "BACKOFF_S", (0, 0, 0))
    monkeypatch.setattr(outbox, "MAX_ATTEMPTS", 3)
    is_broken = True
    receiver = Receiver(lambda fact: is_broken)
    clinic = open_with(listener=listener(receiver))
    with delivering(clinic):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        until(lambda: facts.delivery_counts(clinic) == {("listener", "dead"): 1})
        letter = letters.dead_letters(clinic)[0]
        assert (letter.plugin, letter.attempts) == ("listener", 3)
        assert letter.last_error.startswith("RuntimeError: not now (test_outbox.py:")
        is_broken = False
        letters.redeliver(clinic, letter.id, STAFF)
        until(lambda: len(receiver.once) == 1)
        with pytest.raises(NotFound):
            letters.redeliver(clinic, letter.id, STAFF)


def test_a_lease_that_was_lost_changes_nothing(open_with):
    """Whoever comes back after another worker took the row over does not speak for it any more."""
    clinic = open_with(listener=listener(Receiver()))
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    (late,) = claim(clinic, "listener")
    clinic.clock.advance(outbox.LEASE)
    (now,) = claim(clinic, "listener")

    def try_all(tx):
        return [
            rows.settle(tx, [late], "done"),
            rows.put_off(tx, late, tx.now, "not now"),
            rows.give_back(tx, [late]),
        ]

    assert clinic.db.write(try_all) == [0, 0, 0]
    (row,) = rows_of(clinic, deliveries)
    assert (row.state, row.attempts, row.next_at) == ("open", 0, now.leased_until)
    assert clinic.db.write(lambda tx: rows.settle(tx, [now], "done")) == 1
    assert clinic.db.write(lambda tx: rows.settle(tx, [now], "dead")) == 0
    assert rows_of(clinic, deliveries)[0].state == "done"


@pytest.mark.postgres
def test_two_processes_tell_no_fact_twice(postgres_url, clock, tmp_path, monkeypatch):
    """A batch takes longer than the lease: what is left of it was given back before."""
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=6))
    monkeypatch.setattr(outbox, "BATCH_S", 0.3)
    slow, quick = Receiver(lambda fact: time.sleep(0.4)), Receiver(lambda fact: time.sleep(0.01))
    plugins = [("slow", listener(slow)), ("quick", listener(quick))]
    config = make_config(postgres_url, tmp_path)
    first = make_clinic(config, clock, plugins=plugins)
    second = open_clinic(config, clock, plugins)
    try:
        issued = [tickets.issue_ticket(first, REQUEST, KIOSK) for _ in range(10)]
        for ticket in issued:
            tickets.cancel_ticket(first, ticket.id, "uji", STAFF)
        with delivering(first), delivering(second):
            until(lambda: len(slow.once) == len(quick.once) == 20)
            until(lambda: facts.delivery_counts(first) == {})
    finally:
        first.close()
        second.close()
    for receiver in (slow, quick):
        assert receiver.seen == receiver.once
        assert set(receiver.attempts.values()) == {1}
        for ticket in issued:
            kinds = [kind for _, kind, number in receiver.seen if number == ticket.number]
            assert kinds == ["ticket_issued", "ticket_cancelled"]


def test_a_call_passes_a_slow_batch(open_with):
    """It is told next, though twenty older facts were claimed before it was made."""

    def call_in_between(fact: Fact) -> bool:
        if len(receiver.attempts) == 3:
            calling.call_next(clinic, 1, STAFF)
        if len(receiver.attempts) > 1:
            time.sleep(0.15)
        return False

    receiver = Receiver(call_in_between)
    clinic = open_with(listener=listener(receiver))
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    OutboxWorker(clinic, "listener").deliver_due()
    for _ in range(10):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    counters.open_counter(clinic, 1, "s" * 64, STAFF)
    with delivering(clinic):
        until(lambda: len(receiver.seen) == 12)
    assert [kind for _, kind, _ in receiver.seen].index("ticket_called") == 3
    assert receiver.seen == receiver.once


def test_a_plugin_whose_facts_fail_is_left_alone(open_with, monkeypatch):
    """After five in a row one at a time, ever more rarely; then all at once when it is well."""
    monkeypatch.setattr(breaker, "RESTS_S", (0.4, 0.8))
    times = []

    def fails(fact: Fact) -> bool:
        times.append(time.monotonic())
        return len(times) <= 7

    receiver = Receiver(fails)
    clinic = open_with(listener=listener(receiver))
    for _ in range(30):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    with delivering(clinic) as worker:
        while len(times) < 7:
            worker.wake()
            time.sleep(0.02)
        clinic.clock.advance(timedelta(seconds=2))
        until(lambda: len(receiver.once) == 30)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert (gaps[4] >= 0.4, gaps[5] >= 0.8, gaps[6] >= 0.8) == (True, True, True)
    assert len(times) == 37
    assert facts.delivery_counts(clinic) == {}


def test_a_call_is_what_is_tried_first(open_with, monkeypatch):
    """While a plugin is left alone: a new call goes ahead, one that came too late is not told."""
    monkeypatch.setattr(breaker, "RESTS_S", (600,))
    is_down = False
    receiver = Receiver(lambda fact: is_down)
    clinic = open_with(listener=listener(receiver))
    counters.open_counter(clinic, 1, "s" * 64, STAFF)
    counters.open_counter(clinic, 2, "t" * 64, STAFF)
    with delivering(clinic) as worker:
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        until(lambda: len(receiver.once) == 2)
        is_down = True
        for _ in range(10):
            tickets.issue_ticket(clinic, REQUEST, KIOSK)
        until(lambda: worker._workers["listener"]._breaker.rest_s() > 0)
        assert len(receiver.attempts) == 7
        calling.call_next(clinic, 1, STAFF)
        clinic.clock.advance(timedelta(seconds=91))
        calling.call_next(clinic, 2, STAFF)
        is_down = False
        # Not before now does it go on, so that nothing else is on its way already.
        worker._workers["listener"].wake(is_by_hand=True)
        until(lambda: len(receiver.once) > 2)
        assert receiver.once[2][1:] == ("ticket_called", "A-002")
        worker.wake()
        until(lambda: facts.delivery_counts(clinic) == {("listener", "expired"): 1})
    assert [number for _, kind, number in receiver.once if kind == "ticket_called"] == ["A-002"]


def test_another_try_by_hand_is_made_at_once(open_with, monkeypatch):
    """An administrator has mended what was wrong, and does not wait for the next trial."""
    monkeypatch.setattr(breaker, "RESTS_S", (60,))
    monkeypatch.setattr(outbox, "MAX_ATTEMPTS", 1)
    is_down = True
    receiver = Receiver(lambda fact: is_down)
    clinic = open_with(listener=listener(receiver))
    with delivering(clinic):
        for _ in range(5):
            tickets.issue_ticket(clinic, REQUEST, KIOSK)
        until(lambda: facts.delivery_counts(clinic) == {("listener", "dead"): 5})
        is_down = False
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        time.sleep(0.5)
        assert receiver.seen == []
        letters.redeliver(clinic, letters.dead_letters(clinic)[0].id, STAFF)
        until(lambda: len(receiver.once) == 2)


def test_what_is_quick_is_told_before_the_end(open_with):
    """The server stops: all that is due is told, not the batch that was begun only."""
    receiver = Receiver(lambda fact: time.sleep(0.01))
    clinic = open_with(listener=listener(receiver))
    waiting = 3 * outbox.BATCH
    for _ in range(waiting):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    worker = Outbox(clinic)
    worker.start("listener")
    worker.stop(60)
    assert len(receiver.seen) == waiting
    assert facts.delivery_counts(clinic) == {}


def test_what_hangs_delays_the_end_once(open_with):
    """Four plugins hang: the time is over for all of them together, and nothing is lost."""
    release = threading.Event()

    class Hanging:
        @hookimpl
        def ticket_issued(self, fact: Fact, ticket: TicketFact) -> None:
            release.wait(30)

    clinic = open_with(**{f"hanging_{number}": Hanging() for number in range(4)})
    worker = Outbox(clinic)
    try:
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        for name in clinic.plugins.listeners():
            worker.start(name)
        started = time.monotonic()
        worker.stop(3)
        assert 2.9 < time.monotonic() - started < 3 * 3
        assert sum(facts.delivery_counts(clinic).values()) == 4
    finally:
        release.set()
        worker.stop(5)


def test_a_slow_plugin_starves_nobody(open_with):
    """One that hangs keeps neither the line nor another plugin waiting."""
    release, hanging = threading.Event(), []

    class Slow:
        @hookimpl
        def ticket_issued(self, fact: Fact, ticket: TicketFact) -> None:
            hanging.append(fact.id)
            release.wait()

    receiver = Receiver()
    clinic = open_with(slow_one=Slow(), listener=listener(receiver))
    clinic.hooks._fact_deadline_s = 600
    with delivering(clinic):
        try:
            for _ in range(20):
                tickets.issue_ticket(clinic, REQUEST, KIOSK)
                until(lambda: bool(hanging))
            until(lambda: len(receiver.once) == 20)
            assert len(hanging) == 1
        finally:
            release.set()


def test_a_plugin_whose_facts_never_end_is_left_alone(open_with):
    """At most three threads are lost to it."""
    release = threading.Event()

    class Stuck:
        @hookimpl
        def ticket_issued(self, fact: Fact, ticket: TicketFact) -> None:
            while not release.is_set():
                # Holds out against what ends a Python loop.
                try:
                    release.wait(0.05)
                except BaseException:
                    continue

    clinic = open_with(stuck=Stuck())
    clinic.hooks._fact_deadline_s = 0.1
    tickets.issue_ticket(clinic, REQUEST, KIOSK)
    (delivery,) = claim(clinic, "stuck")
    try:
        outcomes = [facts.deliver(clinic, "stuck", delivery) for _ in range(5)]
        assert [outcome.is_good for outcome in outcomes] == [False] * 5
        assert outcomes[-1].detail == "3 earlier facts never ended"
    finally:
        release.set()


def test_an_async_listener_is_awaited(open_with):
    """A fact may be heard by a coroutine."""
    heard = []

    class Listener:
        @hookimpl
        async def ticket_issued(self, ticket: TicketFact) -> None:
            heard.append(ticket.number)

    clinic = open_with(listener=Listener())
    with delivering(clinic):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
        until(lambda: heard == ["A-001"])


def test_a_day_is_closed_once(open_with):
    """At midnight, with its figures; the next look says nothing."""
    receiver = Receiver()
    clinic = open_with(listener=listener(receiver))
    for _ in range(3):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert day.close_days(clinic) == 0
    clinic.clock.advance(timedelta(days=1))
    day.confirm_clock(clinic, STAFF)
    day.expire_old_days(clinic)
    assert day.close_days(clinic) == 1
    assert day.close_days(clinic) == 0
    with delivering(clinic):
        until(lambda: any(kind == "day_closed" for _, kind, _ in receiver.seen))


def test_hook_check_ticket_request(open_with):
    """The person at the kiosk reads why; a ticket that passes is given."""

    class OnlyGigi:
        @hookimpl
        def check_ticket_request(self, request: TicketRequest, ctx: Context) -> str | None:
            return None if request.unit == "gigi" else "Hari ini hanya Poli Gigi."

    clinic = open_with(only_gigi=OnlyGigi())
    with pytest.raises(TicketObjected) as refusal:
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert refusal.value.objection == "Hari ini hanya Poli Gigi."
    gigi = TicketRequest("gigi", Lane.GENERAL, PaymentType.UMUM)
    assert tickets.issue_ticket(clinic, gigi, KIOSK).number == "B-001"
    assert tickets.issue_emergency(clinic, KIOSK).number == "E-001"


def test_a_veto_knows_where_a_number_is_asked_for(open_with):
    """Staff may make an exception that a kiosk does not."""

    class NotHere:
        @hookimpl
        def check_ticket_request(self, source: Source) -> str | None:
            return "Silakan ke loket." if source is Source.KIOSK else None

    clinic = open_with(not_here=NotHere())
    with pytest.raises(TicketObjected):
        tickets.issue_ticket(clinic, REQUEST, KIOSK)
    assert tickets.issue_ticket(clinic, REQUEST, STAFF).source is Source.COUNTER


@pytest.mark.parametrize("answer", [7, "", "x" * 201, b"no", ["no"]])
def test_a_veto_that_is_nonsense_does_not_count(open_with, answer):
    """Tickets are given all the same, and the fault is counted."""

    class Odd:
        @hookimpl
        def check_ticket_request(self, request: TicketRequest) -> object:
            return answer

    clinic = open_with(odd_one=Odd())
    assert tickets.issue_ticket(clinic, REQUEST, KIOSK).number == "A-001"


def test_a_veto_that_raises_does_not_count(open_with):
    """No objection, and the ticket is given."""

    class Broken:
        @hookimpl
        def check_ticket_request(self, request: TicketRequest) -> str:
            raise RuntimeError("broken")

    clinic = open_with(broken=Broken())
    assert tickets.issue_ticket(clinic, REQUEST, KIOSK).number == "A-001"
