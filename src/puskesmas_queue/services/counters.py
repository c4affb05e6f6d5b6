"""Counters: opening, pausing and closing them."""

from collections.abc import Callable

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import (
    CounterClosed,
    CounterFixed,
    CounterTaken,
    NotFound,
    UnknownName,
)
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services.calling import give_back_in, hold_in
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import counters as rows
from puskesmas_queue.storage import line, units
from puskesmas_queue.storage.counters import Counter
from puskesmas_queue.storage.transaction import Tx


def all_counters(clinic: Clinic) -> list[Counter]:
    """Return every counter with who works there."""
    return clinic.db.read(rows.load)


def counter_of(clinic: Clinic, session_hash: str, fixed: int | None = None) -> Counter | None:
    """
    Return the counter that a session works at, if any.

    Args:
        clinic: The clinic.
        session_hash: Who works there.
        fixed: The counter of the computer that asks, if it is one's own: a session that works
            at another one, say since before the computer was paired, works at none here.
    """
    counter = clinic.db.read(lambda tx: rows.by_session(tx, session_hash))
    return None if counter is None or fixed not in (None, counter.number) else counter


def open_counter(
    clinic: Clinic,
    number: int,
    session_hash: str,
    actor: Actor,
    *,
    fixed: int | None = None,
    hold: Callable[[Tx, str], bool] = lambda tx, session_hash: True,
) -> Counter:
    """
    Open a counter for a session, or go on after a pause.

    A session has one counter: another one that it had is closed. A user who logged in anew, say
    after the browser was closed, takes the own counter over with the ticket that is there.

    Args:
        clinic: The clinic.
        number: Of the counter.
        session_hash: Who works there.
        actor: Who asks.
        fixed: The counter of the computer that asks, if it is one's own.
        hold: Keeps the session from ending meanwhile and says whether it is still there. A
            counter of a session that is over would never be free again.

    Raises:
        NotFound: No such counter, or the session is over.
        CounterFixed: The computer is another counter's.
        CounterTaken: Somebody else works there.
    """
    if fixed is not None and number != fixed:
        raise CounterFixed(number, fixed)

    def run(tx: Tx) -> Counter:
        if not hold(tx, session_hash):
            raise NotFound("this session is over")
        mine = rows.by_session(tx, session_hash)
        if mine is not None and mine.number != number:
            leave_in(clinic, tx, mine.number, "closed", actor)
        counter = locked_counter(tx, number)
        is_own = actor.id is not None and counter.user_id == actor.id
        if counter.session_id not in (None, session_hash) and not is_own:
            raise CounterTaken(number, counter.user_name or "")
        if counter.session_id == session_hash and counter.state == "open":
            return counter
        return open_in(tx, counter, session_hash, actor)

    return clinic.db.write(run)


def open_in(tx: Tx, counter: Counter, holder: str, actor: Actor) -> Counter:
    """Open a locked counter inside a transaction, for a session or a program."""
    rows.change(
        tx,
        counter.number,
        state="open",
        session_id=holder,
        user_id=actor.id,
        user_name=actor.name,
    )
    _record(tx, "counter_opened", counter, "open", actor)
    return locked_counter(tx, counter.number)


def pause_counter(clinic: Clinic, session_hash: str, actor: Actor) -> Counter:
    """
    Pause the session's counter: its called ticket goes back to the line, a served one is held.

    Raises:
        CounterClosed: The session has no counter.
    """

    def run(tx: Tx) -> Counter:
        mine = rows.by_session(tx, session_hash)
        if mine is None:
            raise CounterClosed("this session has no counter")
        leave_in(clinic, tx, mine.number, "paused", actor)
        return locked_counter(tx, mine.number)

    return clinic.db.write(run)


def close_counter(clinic: Clinic, session_hash: str, actor: Actor) -> None:
    """Close the session's counter; its called ticket goes back, a served one is held."""
    clinic.db.write(lambda tx: release_session(clinic, tx, session_hash, actor))


def release_session(clinic: Clinic, tx: Tx, session_hash: str, actor: Actor) -> None:
    """Close the counter of a session that ends, inside that transaction."""
    mine = rows.by_session(tx, session_hash)
    if mine is not None:
        leave_in(clinic, tx, mine.number, "closed", actor)


def family_holder(family_id: int, number: int) -> str:
    """Name who holds a counter for a program: one login may hold several."""
    return f"{_family(family_id)}{number}"


def release_family(clinic: Clinic, tx: Tx, family_id: int, actor: Actor) -> None:
    """Close the counters of a program's login that ends, inside that transaction."""
    for counter in rows.by_holder(tx, _family(family_id)):
        leave_in(clinic, tx, counter.number, "closed", actor)


def restrict_counter(clinic: Clinic, number: int, codes: tuple[str, ...], actor: Actor) -> None:
    """
    Let a counter take these units only; none lifts the restriction.

    Raises:
        NotFound: No such counter.
        UnknownName: No such unit.
    """

    def run(tx: Tx) -> None:
        counter = locked_counter(tx, number)
        known = {unit.code for unit in units.load(tx)}
        for code in codes:
            if code not in known:
                raise UnknownName("unit", code)
        units.restrict_counter(tx, number, codes)
        tx.audit(
            "restrict_counter",
            actor=actor,
            table="counters",
            record=number,
            old={"units": list(counter.units)},
            new={"units": list(codes)},
        )
        tx.touch(line_topic(counter.zone), SETTINGS_TOPIC)

    clinic.db.write(run)


def _family(family_id: int) -> str:
    return f"family:{family_id}:"


def leave_in(clinic: Clinic, tx: Tx, number: int, state: str, actor: Actor) -> None:
    """Pause or close a counter inside a transaction: its called ticket goes back to the line."""
    found = rows.by_number(tx, number)
    if found is None:
        raise NotFound(f"no counter {number}")
    # Locks in the one order: line, counter, ticket.
    line.lock_line(tx, found.zone, service_date(tx.now, clinic.timezone))
    counter = locked_counter(tx, number)
    ticket = line.at_counter(tx, number, lock=True)
    if ticket is not None and ticket.state is TicketState.CALLED:
        give_back_in(tx, ticket, actor)
    elif ticket is not None:
        hold_in(tx, ticket, actor)
    if counter.state != state:
        gone = {"session_id": None, "user_id": None, "user_name": None}
        rows.change(tx, number, state=state, **(gone if state == "closed" else {}))
        _record(tx, f"counter_{state}", counter, state, actor)


def locked_counter(tx: Tx, number: int) -> Counter:
    """
    Read a counter that nobody else changes until this transaction ends.

    Raises:
        NotFound: There is none of this number.
    """
    counter = rows.by_number(tx, number, lock=True)
    if counter is None:
        raise NotFound(f"no counter {number}")
    return counter


def _record(tx: Tx, kind: str, counter: Counter, state: str, actor: Actor) -> None:
    tx.event(kind, actor=actor, zone=counter.zone, counter=counter.number)
    tx.audit(
        kind,
        actor=actor,
        table="counters",
        record=counter.number,
        old={"state": counter.state},
        new={"state": state},
    )
    tx.touch(line_topic(counter.zone))
