"""Counters: who works where, and what becomes of a ticket when its counter stops."""

import pytest

from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.errors import (
    CounterClosed,
    CounterFixed,
    CounterTaken,
    NotFound,
    UnknownName,
)
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.services.counters import (
    all_counters,
    close_counter,
    counter_of,
    open_counter,
    pause_counter,
    restrict_counter,
)
from puskesmas_queue.services.tickets import find_ticket
from puskesmas_queue.storage import tables
from support.desk import KIOSK, STAFF, at_once, rows_of, take

ANI = type(STAFF)("user", 8, "Ani")


def states(clinic):
    return [(one.number, one.state, one.user_name) for one in all_counters(clinic)]


def kinds(clinic):
    return [row.kind for row in rows_of(clinic, tables.events) if row.counter is not None]


def test_opening_and_closing(clinic):
    """Who works there stands beside it, from opening to closing."""
    assert states(clinic) == [(1, "closed", None), (2, "closed", None)]

    opened = open_counter(clinic, 1, "budi", STAFF)
    assert (opened.state, opened.session_id, opened.user_name) == ("open", "budi", "Budi")
    assert counter_of(clinic, "budi") == opened

    close_counter(clinic, "budi", STAFF)
    assert states(clinic)[0] == (1, "closed", None)
    assert counter_of(clinic, "budi") is None
    assert kinds(clinic) == ["counter_opened", "counter_closed"]
    changes = [(r.action, r.old_values, r.new_values) for r in rows_of(clinic, tables.audit)]
    assert changes == [
        ("counter_opened", {"state": "closed"}, {"state": "open"}),
        ("counter_closed", {"state": "open"}, {"state": "closed"}),
    ]


def test_opening_twice_changes_nothing(clinic):
    """A double click."""
    opened = open_counter(clinic, 1, "budi", STAFF)

    assert open_counter(clinic, 1, "budi", STAFF) == opened
    assert kinds(clinic) == ["counter_opened"]


def test_pausing_and_going_on(clinic):
    """The counter stays the session's own; pausing twice is one pause."""
    open_counter(clinic, 1, "budi", STAFF)

    paused = pause_counter(clinic, "budi", STAFF)
    assert (paused.state, paused.session_id) == ("paused", "budi")
    assert pause_counter(clinic, "budi", STAFF) == paused
    with pytest.raises(CounterTaken):
        open_counter(clinic, 1, "ani", ANI)

    assert open_counter(clinic, 1, "budi", STAFF).state == "open"
    assert kinds(clinic) == ["counter_opened", "counter_paused", "counter_opened"]


def test_counter_of_somebody_else(clinic):
    """Refused with a name to ask; closing frees it."""
    open_counter(clinic, 1, "budi", STAFF)

    with pytest.raises(CounterTaken) as refusal:
        open_counter(clinic, 1, "ani", ANI)
    assert (refusal.value.counter, refusal.value.user_name) == (1, "Budi")

    close_counter(clinic, "budi", STAFF)
    assert open_counter(clinic, 1, "ani", ANI).user_name == "Ani"


def test_own_counter_after_a_new_login(clinic):
    """Who logged in anew goes on with the ticket that was there; the old session has none."""
    take(clinic, "A")
    open_counter(clinic, 1, "budi", STAFF)
    called = call_next(clinic, 1, STAFF)

    assert open_counter(clinic, 1, "budi again", STAFF).session_id == "budi again"

    assert counter_of(clinic, "budi") is None
    assert find_ticket(clinic, called.id) == called


def test_a_computer_of_one_counter_opens_no_other(clinic):
    with pytest.raises(CounterFixed) as refused:
        open_counter(clinic, 1, "budi", STAFF, fixed=2)

    assert (refused.value.counter, refused.value.fixed) == (1, 2)
    assert states(clinic) == [(1, "closed", None), (2, "closed", None)]
    assert open_counter(clinic, 2, "budi", STAFF, fixed=2).state == "open"


def test_one_free_counter_wanted_by_two(clinic):
    """One gets it, the other is told who did."""
    answers = at_once(
        [
            lambda: open_counter(clinic, 1, "budi", STAFF),
            lambda: open_counter(clinic, 1, "ani", ANI),
        ]
    )

    (refused,) = [answer for answer in answers if isinstance(answer, CounterTaken)]
    (opened,) = [answer for answer in answers if not isinstance(answer, Exception)]
    assert states(clinic)[0] == (1, "open", opened.user_name)
    assert refused.user_name == opened.user_name


def test_session_has_one_counter(clinic):
    """Opening another one closes the first, with all that follows."""
    take(clinic, "A")
    open_counter(clinic, 1, "budi", STAFF)
    called = call_next(clinic, 1, STAFF)

    open_counter(clinic, 2, "budi", STAFF)

    assert states(clinic) == [(1, "closed", None), (2, "open", "Budi")]
    assert find_ticket(clinic, called.id).state is TicketState.WAITING


def test_move_to_a_taken_counter_leaves_all_as_it_was(clinic):
    """The refusal comes after the first counter was left: nothing of that is kept."""
    take(clinic, "A")
    open_counter(clinic, 1, "budi", STAFF)
    open_counter(clinic, 2, "ani", ANI)
    called = call_next(clinic, 1, STAFF)

    with pytest.raises(CounterTaken):
        open_counter(clinic, 2, "budi", STAFF)

    assert states(clinic) == [(1, "open", "Budi"), (2, "open", "Ani")]
    assert find_ticket(clinic, called.id) == called


@pytest.mark.parametrize("leave", [close_counter, pause_counter])
def test_called_ticket_goes_back_to_its_place(clinic, leave):
    """It keeps its place and is the next one called."""
    take(clinic, "AAA")
    open_counter(clinic, 1, "budi", STAFF)
    open_counter(clinic, 2, "ani", ANI)
    called = call_next(clinic, 1, STAFF)

    leave(clinic, "budi", STAFF)

    back = find_ticket(clinic, called.id)
    assert (back.state, back.counter, back.calls) == (TicketState.WAITING, None, 0)
    assert (back.order_key, back.order_tie) == (called.order_key, called.order_tie)
    assert call_next(clinic, 2, ANI).id == called.id


@pytest.mark.parametrize("leave", [close_counter, pause_counter])
def test_served_ticket_is_held(clinic, leave):
    """Its patient is still here and not registered: it waits among the held ones."""
    take(clinic, "A")
    open_counter(clinic, 1, "budi", STAFF)
    served = serve(clinic, call_next(clinic, 1, STAFF).id, STAFF, 1)

    leave(clinic, "budi", STAFF)

    held = find_ticket(clinic, served.id)
    assert (held.state, held.counter) == (TicketState.HELD, None)
    assert held.held_at is not None


def test_losing_the_session_closes_the_counter(clinic):
    """Logging out gives the called ticket back."""
    accounts.add_user(clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, password="tikus7&abuabu")
    login = sessions.login(clinic, "budi", "tikus7&abuabu", KIOSK)
    take(clinic, "A")
    open_counter(clinic, 1, login.principal.session_hash, STAFF)
    called = call_next(clinic, 1, STAFF)

    sessions.logout(clinic, login.principal, STAFF)

    assert states(clinic)[0] == (1, "closed", None)
    assert find_ticket(clinic, called.id).state is TicketState.WAITING


def test_session_without_a_counter(sqlite_clinic):
    """Pausing is refused, closing is done already."""
    with pytest.raises(CounterClosed):
        pause_counter(sqlite_clinic, "nobody", STAFF)
    close_counter(sqlite_clinic, "nobody", STAFF)
    assert rows_of(sqlite_clinic, tables.events) == []


def test_no_such_counter(sqlite_clinic):
    """Neither to open nor to restrict."""
    with pytest.raises(NotFound):
        open_counter(sqlite_clinic, 9, "budi", STAFF)
    with pytest.raises(NotFound):
        restrict_counter(sqlite_clinic, 9, ("umum",), STAFF)


def test_restriction_is_kept_and_lifted(clinic):
    """Audited with what it was before; an unknown unit changes nothing."""
    restrict_counter(clinic, 1, ("umum", "gigi"), STAFF)
    with pytest.raises(UnknownName):
        restrict_counter(clinic, 1, ("umum", "bedah"), STAFF)
    assert [one.units for one in all_counters(clinic)] == [("gigi", "umum"), ()]

    restrict_counter(clinic, 1, (), STAFF)

    assert [one.units for one in all_counters(clinic)] == [(), ()]
    audit = rows_of(clinic, tables.audit)[-1]
    assert (audit.old_values, audit.new_values) == ({"units": ["gigi", "umum"]}, {"units": []})
