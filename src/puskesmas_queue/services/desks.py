"""
Counters that a program works at: one login may hold several, so it says which one is meant.

A user who works at a counter in a browser as well takes it over here, and the other way round.
"""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import CounterClosed, CounterTaken, NotFound, TokenRefused
from puskesmas_queue.domain.tickets import AT_COUNTER, Ticket
from puskesmas_queue.services import calling, counters
from puskesmas_queue.services.tokens import hold_family
from puskesmas_queue.storage import counters as rows
from puskesmas_queue.storage import line, tickets
from puskesmas_queue.storage.counters import Counter
from puskesmas_queue.storage.transaction import Reading, Tx

DeskCounter = Counter
"""A counter with who works there, for whoever may not look into storage."""


def open_counter(clinic: Clinic, number: int, family: int, actor: Actor) -> Counter:
    """
    Open a counter for a program, or go on after a pause.

    Raises:
        NotFound, CounterTaken: See there.
    """
    holder = counters.family_holder(family, number)
    return counters.open_counter(
        clinic, number, holder, actor, hold=lambda tx, _: hold_family(tx, family)
    )


def pause_counter(clinic: Clinic, number: int, family: int, actor: Actor) -> Counter:
    """
    Pause a counter: its called ticket goes back to the line, a served one is held.

    Raises:
        NotFound, CounterTaken: See there.
        CounterClosed: Nobody works there.
    """

    def run(tx: Tx) -> Counter:
        counter = _mine(clinic, tx, number, family, actor)
        if counter.state == "closed":
            raise CounterClosed(f"counter {number} is closed")
        counters.leave_in(clinic, tx, number, "paused", actor)
        return counters.locked_counter(tx, number)

    return clinic.db.write(run)


def close_counter(clinic: Clinic, number: int, family: int, actor: Actor) -> Counter:
    """
    Close a counter; its called ticket goes back, a served one is held.

    Raises:
        NotFound, CounterTaken: See there.
    """

    def run(tx: Tx) -> Counter:
        counter = _mine(clinic, tx, number, family, actor)
        if counter.state != "closed":
            counters.leave_in(clinic, tx, number, "closed", actor)
        return counters.locked_counter(tx, number)

    return clinic.db.write(run)


def call_next(clinic: Clinic, number: int, family: int, actor: Actor) -> Ticket | None:
    """
    Call the next ticket at a counter, which is opened for the program if nobody holds it.

    Returns:
        The called ticket, None where nobody waits.

    Raises:
        NotFound, CounterTaken, CounterBusy: See there.
        CounterClosed: The program paused it.
        TokenRefused: The program was logged out meanwhile.
    """
    ratio = clinic.settings.get("queue.priority_ratio")
    holder = counters.family_holder(family, number)

    def run(tx: Tx) -> Ticket | None:
        seen = rows.by_number(tx, number)
        is_new = seen is not None and seen.session_id != holder
        # The login before the line, as everywhere; one that holds the counter is not over.
        if is_new and not hold_family(tx, family):
            raise TokenRefused("this login is over")
        counter = _mine(clinic, tx, number, family, actor)
        if counter.state == "closed" or counter.session_id != holder:
            counters.open_in(tx, counter, holder, actor)
        return calling.call_in(clinic, tx, number, ratio, actor)

    return clinic.db.write(run)


def ticket_at(clinic: Clinic, ticket_id: int, family: int, actor: Actor) -> Ticket:
    """
    Read a ticket that a program means to move.

    Raises:
        NotFound: There is none with this id.
        CounterTaken: It is at a counter where somebody else works.
    """

    def read(tx: Reading) -> tuple[Ticket | None, Counter | None]:
        ticket = tickets.by_id(tx, ticket_id)
        if ticket is None or ticket.state not in AT_COUNTER or ticket.counter is None:
            return ticket, None
        return ticket, rows.by_number(tx, ticket.counter)

    ticket, counter = clinic.db.read(read)
    if ticket is None:
        raise NotFound(f"no ticket {ticket_id}")
    if counter is not None:
        _refuse_foreign(counter, family, actor)
    return ticket


def counters_of(clinic: Clinic, family: int) -> tuple[int, ...]:
    """Return the numbers of the counters that a program holds."""
    prefix = counters.family_holder(family, 0)[:-1]
    return tuple(one.number for one in clinic.db.read(lambda tx: rows.by_holder(tx, prefix)))


def _mine(clinic: Clinic, tx: Tx, number: int, family: int, actor: Actor) -> Counter:
    """Lock a counter's line, then the counter, and refuse it where somebody else works."""
    found = rows.by_number(tx, number)
    if found is None:
        raise NotFound(f"no counter {number}")
    line.lock_line(tx, found.zone, service_date(tx.now, clinic.timezone))
    counter = counters.locked_counter(tx, number)
    _refuse_foreign(counter, family, actor)
    return counter


def _refuse_foreign(counter: Counter, family: int, actor: Actor) -> None:
    holder = counters.family_holder(family, counter.number)
    is_own = counter.user_id is not None and counter.user_id == actor.id
    if counter.session_id not in (None, holder) and not is_own:
        raise CounterTaken(counter.number, counter.user_name or "")
