"""Facts that are given up: too late, of plugins that are gone, sent again, forgotten."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Actor, Role
from puskesmas_queue.domain.errors import Conflict, NotFound
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.services import facts, letters
from puskesmas_queue.settings import ClinicConfig
from puskesmas_queue.storage import outbox, tables
from puskesmas_queue.workers.outbox import LEASE, OutboxWorker
from puskesmas_queue.workers.timers import Timers
from support.clinics import make_clinic, make_config
from support.desk import rows_of, take
from support.office import leave

ADMIN = Actor("user", id=1, name="Siti", role=Role.ADMIN)
DAY = timedelta(days=1)


class Listener:
    """Hears of numbers that were given and called, in the order of its telling."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def ticket_issued(self, fact):
        self.heard.append(fact.id)

    @hookimpl
    def ticket_called(self, fact):
        self.heard.append(fact.id)


@pytest.fixture
def guest():
    return Listener()


@pytest.fixture
def clinic(database_url, tmp_path, clock, guest):
    """A clinic with a plugin that hears of two kinds of facts, and with a ticket."""
    config = make_config(database_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", guest)])
    take(clinic, "A")
    OutboxWorker(clinic, "guest").deliver_due()
    guest.heard.clear()
    yield clinic
    clinic.close()


def ticket_of(clinic):
    return rows_of(clinic, tables.tickets)[0].id


def run_timers(clinic, is_over):
    """Let the timers take their steps until something is as it should be."""
    timers = Timers(clinic)
    timers.start()
    try:
        ends = time.monotonic() + 60
        while not is_over():
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        timers.stop()


def states(clinic):
    return {row.id: row.state for row in rows_of(clinic, tables.deliveries) if row.state != "done"}


def test_facts_for_a_plugin_that_is_gone_expire(clinic):
    """A timer's step: it has no worker, and nobody else would ever look."""
    call, rest = leave(
        clinic,
        ticket_of(clinic),
        [("gone", "ticket_called", "open"), ("gone", "ticket_held", "open")],
    )
    clinic.clock.advance(timedelta(seconds=89))
    facts.expire_late(clinic)
    assert states(clinic) == {call: "open", rest: "open"}
    clinic.clock.advance(timedelta(seconds=1))
    run_timers(clinic, lambda: states(clinic) == {call: "expired", rest: "open"})
    clinic.clock.advance(DAY)
    facts.expire_late(clinic)
    assert states(clinic) == {call: "expired", rest: "expired"}
    assert [letter.attempts for letter in letters.dead_letters(clinic)] == [0, 0]


def test_what_is_being_told_does_not_expire(clinic):
    """Leased: whoever has it says how it went. Of each plugin the late ones only."""
    ids = leave(clinic, ticket_of(clinic), [("guest", "ticket_issued", "open")] * 2)
    clinic.clock.advance(DAY - timedelta(seconds=1))
    found = clinic.db.read(lambda tx: outbox.due(tx, "guest", 1))
    clinic.db.write(lambda tx: outbox.claim(tx, found, LEASE))
    clinic.clock.advance(timedelta(seconds=1))
    young = leave(clinic, ticket_of(clinic), [("other", "ticket_held", "open")])
    facts.expire_late(clinic)
    assert states(clinic) == {ids[0]: "open", ids[1]: "expired", young[0]: "open"}
    clinic.clock.advance(LEASE)
    facts.expire_late(clinic)
    assert states(clinic) == {ids[0]: "expired", ids[1]: "expired", young[0]: "open"}


def test_many_that_are_late_expire_in_portions(clinic, monkeypatch):
    """The hall need not wait for all of them."""
    monkeypatch.setattr(facts, "PORTION", 3)
    leave(clinic, ticket_of(clinic), [("gone", "ticket_held", "open")] * 7)
    leave(clinic, ticket_of(clinic), [("also gone", "ticket_held", "open")] * 2)
    clinic.clock.advance(DAY)
    left = []
    while not left or left[-1]:
        facts.expire_late(clinic)
        left.append(sum(state == "open" for state in states(clinic).values()))
    assert left == [4, 1, 0]


def test_who_does_not_listen_is_not_told_again(clinic):
    """It would count as delivered, or stay open for ever."""
    here, deaf, gone = leave(
        clinic,
        ticket_of(clinic),
        [(name, kind, "dead") for name, kind in (
            ("guest", "ticket_issued"), ("guest", "ticket_held"), ("gone", "ticket_issued"),
        )],
    )  # fmt: skip
    with pytest.raises(Conflict, match="plugin guest does not listen to ticket_held"):
        letters.redeliver(clinic, deaf, ADMIN)
    with pytest.raises(Conflict, match="plugin gone does not listen"):
        letters.redeliver(clinic, gone, ADMIN)
    with pytest.raises(Conflict, match="plugin gone does not listen"):
        letters.redeliver_all(clinic, "gone", ADMIN)
    with pytest.raises(NotFound):
        letters.redeliver(clinic, gone + 1, ADMIN)
    assert states(clinic) == {here: "dead", deaf: "dead", gone: "dead"}
    letters.redeliver(clinic, here, ADMIN)
    assert states(clinic) == {here: "open", deaf: "dead", gone: "dead"}


def test_all_are_sent_again_in_their_order(clinic, guest, monkeypatch):
    """In portions, and the oldest first: the plugin may be told before the last portion is."""
    monkeypatch.setattr(letters, "PORTION", 2)
    ids = leave(clinic, ticket_of(clinic), [("guest", "ticket_issued", "dead")] * 5, DAY)
    events = {row.id: row.event_id for row in rows_of(clinic, tables.deliveries)}

    assert letters.redeliver_all(clinic, "guest", ADMIN) == 5
    while OutboxWorker(clinic, "guest").deliver_due():
        pass

    assert guest.heard == [f"{clinic.id}-{events[one]}" for one in ids]
    assert states(clinic) == {}
    audits = [row for row in rows_of(clinic, tables.audit) if row.action == "redeliver_all"]
    assert [row.new_values["count"] for row in audits] == [2, 2, 1]


@pytest.mark.parametrize(
    "send",
    [letters.redeliver, lambda clinic, _, actor: letters.redeliver_all(clinic, "guest", actor)],
    ids=["one", "all"],
)
def test_a_call_that_is_sent_again_grows_no_younger(clinic, guest, send):
    """Told within 90 s of the call or never, also by hand; other facts have their day anew."""
    (issued,) = leave(clinic, ticket_of(clinic), [("guest", "ticket_issued", "dead")], DAY)
    letters.redeliver(clinic, issued, ADMIN)
    OutboxWorker(clinic, "guest").deliver_due()
    assert len(guest.heard) == 1
    (call,) = leave(
        clinic, ticket_of(clinic), [("guest", "ticket_called", "dead")], timedelta(seconds=80)
    )
    send(clinic, call, ADMIN)
    clinic.clock.advance(timedelta(seconds=10))

    assert OutboxWorker(clinic, "guest").deliver_due() == [None]

    assert len(guest.heard) == 1
    assert states(clinic) == {call: "expired"}


def test_old_letters_are_forgotten(clinic):
    """A timer's step. After 90 days; what was delivered after a week; what is open never."""
    ticket = ticket_of(clinic)
    kept = leave(clinic, ticket, [("guest", "ticket_held", "dead")], 89 * DAY)
    kept += leave(clinic, ticket, [("guest", "ticket_held", "expired")], 89 * DAY)
    kept += leave(clinic, ticket, [("guest", "ticket_held", "open")], 91 * DAY)
    kept += leave(clinic, ticket, [("guest", "ticket_held", "done")], 6 * DAY)
    leave(clinic, ticket, [("guest", "ticket_held", "dead")], 91 * DAY)
    leave(clinic, ticket, [("guest", "ticket_held", "expired")], 91 * DAY)
    leave(clinic, ticket, [("guest", "ticket_held", "done")], 8 * DAY)
    run_timers(clinic, lambda: len(rows_of(clinic, tables.deliveries)) <= len(kept) + 1)
    assert [row.id for row in rows_of(clinic, tables.deliveries)][1:] == kept


def test_letters_of_another_clinic_are_nobodys_business(clinic, database_url, tmp_path, clock):
    """Neither counted, expired, sent nor dismissed from here."""
    ids = leave(clinic, ticket_of(clinic), [("guest", "ticket_issued", "dead")])
    ids += leave(clinic, ticket_of(clinic), [("gone", "ticket_held", "open")])
    config = replace(make_config(database_url, tmp_path), clinic=ClinicConfig("lain", "Lain"))
    other = open_clinic(config, clock, [("guest", Listener())])
    try:
        clock.advance(2 * DAY)
        facts.expire_late(other)
        assert letters.redeliver_all(other, "guest", ADMIN) == 0
        assert letters.dismiss_all(other, "guest", ids[-1], ADMIN) == 0
        with pytest.raises(NotFound):
            letters.dismiss(other, ids[0], ADMIN)
        assert (letters.dead_letters(other), facts.delivery_counts(other)) == ([], {})
    finally:
        other.close()
    assert states(clinic) == {ids[0]: "dead", ids[1]: "open"}
