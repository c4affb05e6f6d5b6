"""Each fact: when plugins hear of it, and what it says."""

from datetime import timedelta

import pytest

from puskesmas_queue.domain.events import FACTS, DayFact, DayShare
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.services import calling, day
from puskesmas_queue.services.tickets import cancel_ticket, issue_emergency
from puskesmas_queue.workers.outbox import OutboxWorker
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, open_all, take


class Diary:
    """Hears every fact and keeps what it was told, by kind."""

    def __init__(self) -> None:
        self.told = {}
        for kind in FACTS:
            about = "day" if kind == "day_closed" else "ticket"
            setattr(self, kind, self._listener(about))

    def _listener(self, about):
        if about == "day":

            def hear(fact, day, ctx):
                self.told.setdefault(fact.kind, []).append((fact, day, ctx))
        else:

            def hear(fact, ticket, ctx):
                self.told.setdefault(fact.kind, []).append((fact, ticket, ctx))

        return hookimpl(hear)


class Hall:
    """A clinic whose only plugin is a diary."""

    def __init__(self, clinic, diary):
        self.clinic = clinic
        self._diary = diary

    def called(self):
        """Return a ticket that counter 1 has just called."""
        take(self.clinic, "A")
        ticket = calling.call_next(self.clinic, 1, STAFF)
        assert ticket is not None
        return ticket

    def deliver(self):
        """Tell the diary everything that is due."""
        worker = OutboxWorker(self.clinic, "diary")
        while outcomes := worker.deliver_due():
            assert all(outcome.is_good for outcome in outcomes), outcomes

    def heard(self, kind):
        """Deliver, and return the only fact of that kind with what it is about."""
        self.deliver()
        ((fact, about, ctx),) = self._diary.told[kind]
        assert (fact.kind, fact.attempt) == (kind, 1)
        assert fact.id.startswith(f"{self.clinic.id}-")
        assert abs(fact.at - self.clinic.clock.now()) < timedelta(minutes=1)
        assert ctx.clinic_name == self.clinic.name
        return fact, about


@pytest.fixture
def hall(database_url, clock, tmp_path):
    diary = Diary()
    clinic = make_clinic(make_config(database_url, tmp_path), clock, plugins=[("diary", diary)])
    open_all(clinic, 1)
    yield Hall(clinic, diary)
    clinic.close()


def test_hook_ticket_issued(hall):
    (ticket,) = take(hall.clinic, "P")
    fact, told = hall.heard("ticket_issued")
    assert (told.id, told.number, told.unit, told.state) == (
        ticket.id, "P-001", "umum", TicketState.WAITING,
    )  # fmt: skip
    assert (fact.zone, fact.counter, fact.reason) == ("main", None, None)
    # Why somebody goes first is nobody's business.
    assert not hasattr(told, "priority_reason")


def test_hook_ticket_called(hall):
    ticket = hall.called()
    fact, told = hall.heard("ticket_called")
    assert (told.id, told.state, told.calls) == (ticket.id, TicketState.CALLED, 1)
    assert (fact.zone, fact.counter) == ("main", 1)


def test_hook_ticket_recalled(hall):
    ticket = hall.called()
    hall.clinic.clock.advance(timedelta(seconds=21))
    calling.recall(hall.clinic, ticket.id, STAFF)
    fact, told = hall.heard("ticket_recalled")
    assert (told.id, told.state, told.calls) == (ticket.id, TicketState.CALLED, 2)
    assert fact.counter == 1


def test_hook_ticket_serving(hall):
    ticket = hall.called()
    calling.serve(hall.clinic, ticket.id, STAFF, 1)
    fact, told = hall.heard("ticket_serving")
    assert (told.id, told.state, fact.counter) == (ticket.id, TicketState.SERVING, 1)


def test_hook_ticket_skipped(hall):
    ticket = hall.called()
    for _ in range(2):
        hall.clinic.clock.advance(timedelta(seconds=21))
        calling.recall(hall.clinic, ticket.id, STAFF)
    calling.skip(hall.clinic, ticket.id, STAFF)
    _, told = hall.heard("ticket_skipped")
    assert (told.id, told.state) == (ticket.id, TicketState.SKIPPED)


def test_hook_ticket_held(hall):
    ticket = hall.called()
    calling.serve(hall.clinic, ticket.id, STAFF, 1)
    calling.hold(hall.clinic, ticket.id, STAFF)
    _, told = hall.heard("ticket_held")
    assert (told.id, told.state) == (ticket.id, TicketState.HELD)


def test_hook_ticket_completed(hall):
    ticket = hall.called()
    calling.serve(hall.clinic, ticket.id, STAFF, 1)
    calling.complete(hall.clinic, ticket.id, STAFF)
    fact, told = hall.heard("ticket_completed")
    assert (told.id, told.state, fact.counter) == (ticket.id, TicketState.COMPLETED, 1)


def test_hook_ticket_cancelled(hall):
    (ticket,) = take(hall.clinic, "A")
    cancel_ticket(hall.clinic, ticket.id, "pulang", STAFF)
    fact, told = hall.heard("ticket_cancelled")
    assert (told.id, told.state) == (ticket.id, TicketState.CANCELLED)
    assert fact.reason == "pulang"


def test_hook_emergency_announced(hall):
    ticket = issue_emergency(hall.clinic, KIOSK)
    fact, told = hall.heard("emergency_announced")
    assert (told.id, told.number, fact.zone) == (ticket.id, "E-001", "main")


def test_hook_day_closed(hall):
    ticket = hall.called()
    calling.serve(hall.clinic, ticket.id, STAFF, 1)
    calling.complete(hall.clinic, ticket.id, STAFF)
    (other,) = take(hall.clinic, "A")
    cancel_ticket(hall.clinic, other.id, "pulang", STAFF)
    take(hall.clinic, "P")
    hall.deliver()
    today = ticket.service_date
    hall.clinic.clock.advance(timedelta(days=1))
    day.confirm_clock(hall.clinic, STAFF)
    day.expire_old_days(hall.clinic)
    assert day.close_days(hall.clinic) == 1
    _, told = hall.heard("day_closed")
    assert told == DayFact(
        today,
        issued=3,
        completed=1,
        cancelled=1,
        expired=1,
        lanes=(DayShare("general", "", 2, 1), DayShare("priority", "", 1, 0)),
        units=(DayShare("umum", "Poli Umum", 3, 1),),
    )
