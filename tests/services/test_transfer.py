"""Changing a ticket's unit or lane: its number and its time stay."""

import pytest

from puskesmas_queue.domain.errors import (
    EdgeNotAllowed,
    InvalidRequest,
    NotFound,
    ReasonRequired,
    UnknownName,
)
from puskesmas_queue.domain.tickets import Lane, TicketState
from puskesmas_queue.services.calling import call_next, complete, hold, serve
from puskesmas_queue.services.counters import restrict_counter
from puskesmas_queue.services.tickets import find_ticket, issue_emergency
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import tables
from support.desk import KIOSK, STAFF, at_once, open_all, places, rows_of, take

S = TicketState


def test_change_of_unit(clinic):
    """The printed number and the time stay, the running number is the new unit's."""
    take(clinic, "A", "gigi")
    (ticket,) = take(clinic, "A", "umum")

    moved = transfer_ticket(clinic, ticket.id, "gigi", None, " sakit   gigi", STAFF)

    assert (moved.number, moved.unit, moved.unit_sequence) == ("A-001", "gigi", 2)
    assert (moved.order_key, moved.order_tie) == (ticket.order_key, ticket.order_tie)
    assert find_ticket(clinic, ticket.id) == moved
    assert places(clinic) == {"umum": 0, "gigi": 2}
    event = rows_of(clinic, tables.events)[-1]
    assert (event.kind, event.reason) == ("ticket_transferred", "sakit gigi")
    assert event.data == {
        "from": {"unit": "umum", "lane": "general"},
        "to": {"unit": "gigi", "lane": "general"},
    }
    audit = rows_of(clinic, tables.audit)[-1]
    assert (audit.old_values, audit.new_values) == (event.data["from"], event.data["to"])


def test_false_priority_goes_to_general_with_its_own_time(clinic):
    """Not to the end; and why it was priority is forgotten."""
    open_all(clinic, 1)
    issued = take(clinic, "APA")

    moved = transfer_ticket(clinic, issued[1].id, None, Lane.GENERAL, "usia 40", STAFF)

    assert (moved.number, moved.lane, moved.priority_reason) == ("P-001", Lane.GENERAL, None)
    assert places(clinic) == {"umum": 3}
    order = []
    while (called := call_next(clinic, 1, STAFF)) is not None:
        order.append(serve(clinic, called.id, STAFF, 1).number)
    assert order == ["A-001", "P-001", "A-002"]


def test_no_change_is_nothing(clinic):
    """The same unit and lane again: no event, no new running number."""
    (ticket,) = take(clinic, "A")
    before = rows_of(clinic, tables.events)

    assert transfer_ticket(clinic, ticket.id, "umum", Lane.GENERAL, "salah", STAFF) == ticket
    assert rows_of(clinic, tables.events) == before


@pytest.mark.parametrize("state", [S.CALLED, S.SERVING])
def test_counter_that_takes_the_new_unit_keeps_the_ticket(clinic, state):
    """The state stays where the counter serves that unit."""
    open_all(clinic, 1)
    restrict_counter(clinic, 1, ("umum", "gigi"), STAFF)
    take(clinic, "A")
    ticket = at_counter(clinic, state)

    moved = transfer_ticket(clinic, ticket.id, "gigi", None, "sakit gigi", STAFF)

    assert (moved.state, moved.counter, moved.unit) == (state, 1, "gigi")


@pytest.mark.parametrize("state", [S.CALLED, S.SERVING])
def test_counter_that_does_not_take_it_gives_it_back(clinic, state):
    """To the line with its own place; the counter is free."""
    open_all(clinic, 1, 2)
    restrict_counter(clinic, 1, ("umum",), STAFF)
    take(clinic, "A")
    ticket = at_counter(clinic, state)

    moved = transfer_ticket(clinic, ticket.id, "gigi", None, "sakit gigi", STAFF)

    assert (moved.state, moved.counter) == (S.WAITING, None)
    assert (moved.order_key, moved.order_tie) == (ticket.order_key, ticket.order_tie)
    assert call_next(clinic, 1, STAFF) is None
    assert call_next(clinic, 2, STAFF).id == ticket.id


def at_counter(clinic, state):
    called = call_next(clinic, 1, STAFF)
    return called if state is S.CALLED else serve(clinic, called.id, STAFF, 1)


def test_what_is_not_in_the_line_is_not_transferred(sqlite_clinic):
    """Held, completed and emergency tickets stay where they are."""
    open_all(sqlite_clinic, 1)
    take(sqlite_clinic, "AA")
    held = hold(sqlite_clinic, at_counter(sqlite_clinic, S.SERVING).id, STAFF)
    done = complete(sqlite_clinic, at_counter(sqlite_clinic, S.SERVING).id, STAFF)

    for ticket in (held, done):
        with pytest.raises(EdgeNotAllowed):
            transfer_ticket(sqlite_clinic, ticket.id, "gigi", None, "salah", STAFF)
    emergency = issue_emergency(sqlite_clinic, KIOSK)
    with pytest.raises(EdgeNotAllowed):
        transfer_ticket(sqlite_clinic, emergency.id, "gigi", Lane.GENERAL, "salah", STAFF)
    assert places(sqlite_clinic) == {"umum": 2, "ugd": 1}


def test_words_of_a_transfer(sqlite_clinic):
    """A reason, a known unit, not UGD, a ticket that exists."""
    (ticket,) = take(sqlite_clinic, "A")

    with pytest.raises(ReasonRequired):
        transfer_ticket(sqlite_clinic, ticket.id, "gigi", None, "  ", STAFF)
    with pytest.raises(UnknownName):
        transfer_ticket(sqlite_clinic, ticket.id, "bedah", None, "salah", STAFF)
    with pytest.raises(InvalidRequest):
        transfer_ticket(sqlite_clinic, ticket.id, "ugd", None, "sesak", STAFF)
    with pytest.raises(InvalidRequest):
        transfer_ticket(sqlite_clinic, ticket.id, None, Lane.EMERGENCY, "sesak", STAFF)
    with pytest.raises(NotFound):
        transfer_ticket(sqlite_clinic, 99, "gigi", None, "salah", STAFF)
    assert find_ticket(sqlite_clinic, ticket.id) == ticket


def test_one_ticket_transferred_twice_at_once(clinic):
    """One after the other: one place in the end, wherever it is."""
    (ticket,) = take(clinic, "A")

    at_once(
        [
            lambda: transfer_ticket(clinic, ticket.id, "gigi", None, "satu", STAFF),
            lambda: transfer_ticket(clinic, ticket.id, "kia", None, "dua", STAFF),
        ]
    )

    unit = find_ticket(clinic, ticket.id).unit
    assert {code: taken for code, taken in places(clinic).items() if taken} == {unit: 1}
