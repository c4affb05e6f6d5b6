"""Calling: picking the next ticket and moving it along at a counter."""

from datetime import date, timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import (
    Conflict,
    CounterBusy,
    CounterClosed,
    EdgeNotAllowed,
    NotFound,
    TooEarly,
)
from puskesmas_queue.domain.line import TIE_STEP, Head, LineHeads, Ratio, reinsert_place
from puskesmas_queue.domain.tickets import (
    AT_COUNTER,
    STANDING,
    Action,
    Lane,
    Ticket,
    TicketState,
    next_state,
)
from puskesmas_queue.services.speech import announce
from puskesmas_queue.services.tickets import cancel_in, locked, record_change
from puskesmas_queue.storage import counters, speech, tickets
from puskesmas_queue.storage import line as rows
from puskesmas_queue.storage.counters import Counter
from puskesmas_queue.storage.desk import Desk, look
from puskesmas_queue.storage.transaction import Tx

MOST_RETURNS = 2
"""A skipped ticket comes back so often; the skip after that cancels it."""


def call_next(clinic: Clinic, counter: int, actor: Actor) -> Ticket | None:
    """
    Complete what the counter serves and call the next ticket there.

    Returns:
        The called ticket, None where nobody waits.

    Raises:
        NotFound: No such counter.
        CounterClosed: It is not open.
        CounterBusy: It still calls a ticket; nothing was picked.
    """
    # Settings are read before: a transaction must not wait for another connection.
    ratio = clinic.settings.get("queue.priority_ratio")
    return clinic.db.write(lambda tx: call_in(clinic, tx, counter, ratio, actor))


def call_in(clinic: Clinic, tx: Tx, counter: int, ratio: Ratio, actor: Actor) -> Ticket | None:
    """Do what `call_next` does inside a transaction; `ratio` was read before it."""
    day = service_date(tx.now, clinic.timezone)
    desk = _desk(tx, counter, day)
    current = desk.current
    if current is not None and current.state is TicketState.CALLED:
        raise CounterBusy(counter, current.number)
    if current is not None:
        complete_in(tx, current, actor)
    while any(desk.heads.values()):
        heads = {
            lane: None if ticket is None else Head(ticket.order_key, ticket.order_tie)
            for lane, ticket in desk.heads.items()
        }
        choice = clinic.hooks.choose_lane(
            LineHeads(heads[Lane.PRIORITY], heads[Lane.GENERAL], ratio, desk.state), tx.now
        )
        ticket = desk.heads[choice.lane]
        assert ticket is not None
        # Somebody may have cancelled or moved the head while this transaction waited for it.
        if _may_take(desk.counter, ticket) and ticket.lane is choice.lane:
            if choice.state != desk.state:
                rows.keep_ratio_state(tx, desk.counter.zone, day, choice.state)
            return _call(clinic, tx, ticket, desk, actor)
        desk = _desk(tx, counter, day)
    return None


def recall(
    clinic: Clinic,
    ticket_id: int,
    actor: Actor,
    counter: int | None = None,
    reason: str | None = None,
) -> Ticket:
    """
    Call a ticket again, up to the most calls and not before the interval has passed.

    Args:
        clinic: The clinic.
        ticket_id: The ticket.
        actor: Who asks.
        counter: Where they work; None takes it from whichever counter it is at.
        reason: Why, if that was said.

    Raises:
        NotFound, EdgeNotAllowed: See there.
        Conflict: It is at another counter.
        TooEarly: Seconds are still to wait, or it was called often enough (0 s).
    """
    most = clinic.settings.get("queue.max_calls")
    interval = timedelta(seconds=clinic.settings.get("queue.recall_interval_s"))

    def run(tx: Tx) -> Ticket:
        ticket = _at(locked(tx, ticket_id), counter)
        if ticket.state is not TicketState.CALLED:
            raise EdgeNotAllowed(ticket.number, ticket.state, "recall")
        if ticket.calls >= most:
            raise TooEarly("recall", 0)
        assert ticket.last_called_at is not None
        passed = tx.now - ticket.last_called_at
        # A clock that was set back must not keep anybody from being called.
        if timedelta() <= passed < interval:
            raise TooEarly("recall", int((interval - passed).total_seconds()) + 1)
        again = tickets.change(tx, ticket, calls=ticket.calls + 1, last_called_at=tx.now)
        record_change(tx, "ticket_recalled", ticket, again, actor, reason)
        announce(clinic, tx, again, speech.heard(tx, again.zone))
        return again

    return clinic.db.write(run)


def serve(
    clinic: Clinic, ticket_id: int, actor: Actor, counter: int, reason: str | None = None
) -> Ticket:
    """
    Begin to serve the called ticket, or a held one whose patient is back.

    Raises:
        NotFound, EdgeNotAllowed: See there.
        CounterClosed, CounterBusy: A held ticket needs an open counter without another ticket.
    """

    def run(tx: Tx) -> Ticket:
        ticket = tickets.lock_unless_held(tx, ticket_id) or _held(tx, ticket_id, counter)
        if ticket.counter is not None and ticket.counter != counter:
            raise Conflict(f"{ticket.number} is at counter {ticket.counter}")
        state = next_state(ticket.number, ticket.state, Action.SERVE, ticket.lane)
        if state is ticket.state:
            return ticket
        served = tickets.change(tx, ticket, state=state, counter=counter, serving_at=tx.now)
        record_change(tx, "ticket_serving", ticket, served, actor, reason)
        return served

    return clinic.db.write(run)


def skip(
    clinic: Clinic,
    ticket_id: int,
    actor: Actor,
    counter: int | None = None,
    reason: str | None = None,
) -> Ticket:
    """
    Skip a ticket that nobody answered to; the third skip cancels it. `counter` as in `recall`.

    Raises:
        NotFound, EdgeNotAllowed, Conflict: See there.
        TooEarly: It was not called often enough.
    """
    fewest = clinic.settings.get("queue.max_calls")

    def run(tx: Tx) -> Ticket:
        ticket = _at(locked(tx, ticket_id), counter)
        if ticket.state is TicketState.CALLED and ticket.calls < fewest:
            raise TooEarly("skip", 0)
        return skip_in(tx, ticket, actor, reason)

    return clinic.db.write(run)


def hold(
    clinic: Clinic,
    ticket_id: int,
    actor: Actor,
    counter: int | None = None,
    reason: str | None = None,
) -> Ticket:
    """
    Put a served ticket aside, say for a missing paper; its counter is free.

    `counter` as in `recall`.

    Raises:
        NotFound, EdgeNotAllowed, Conflict: See there.
    """
    return clinic.db.write(
        lambda tx: hold_in(tx, _at(locked(tx, ticket_id), counter), actor, reason)
    )


def complete(
    clinic: Clinic,
    ticket_id: int,
    actor: Actor,
    counter: int | None = None,
    reason: str | None = None,
) -> Ticket:
    """
    Finish serving a ticket. `counter` as in `recall`.

    Raises:
        NotFound, EdgeNotAllowed, Conflict: See there.
    """
    return clinic.db.write(
        lambda tx: complete_in(tx, _at(locked(tx, ticket_id), counter), actor, reason)
    )


def reinsert(clinic: Clinic, ticket_id: int, actor: Actor, reason: str | None = None) -> Ticket:
    """
    Let a skipped ticket stand in the line again.

    The first time behind the next tickets of its lane (setting `queue.reinsert_after`), the
    second time at the lane's end.

    Raises:
        NotFound, EdgeNotAllowed: See there.
    """
    after = clinic.settings.get("queue.reinsert_after")

    def run(tx: Tx) -> Ticket:
        found = tickets.by_id(tx, ticket_id)
        if found is None:
            raise NotFound(f"no ticket {ticket_id}")
        # The line first, as everywhere: nobody picks while the place is looked for.
        rows.lock_line(tx, found.zone, found.service_date)
        ticket = locked(tx, ticket_id)
        state = next_state(ticket.number, ticket.state, Action.REINSERT, ticket.lane)
        if state is ticket.state:
            return ticket
        if ticket.skips > MOST_RETURNS:
            raise EdgeNotAllowed(ticket.number, ticket.state, Action.REINSERT)
        if ticket.skips == 1:
            # More than it goes behind: others may have come back to the same place before.
            most = after + TIE_STEP
            lane = rows.places(tx, ticket.zone, ticket.service_date, ticket.lane, most)
            place = reinsert_place(lane, after)
        else:
            end = rows.last_place(tx, ticket.zone, ticket.service_date, ticket.lane)
            place = None if end is None else (end[0], end[1] + 1)
        key, tie = place or (ticket.order_key, ticket.order_tie)
        back = tickets.change(
            tx, ticket, state=state, order_key=key, order_tie=tie, counter=None, calls=0
        )
        record_change(tx, "ticket_reinserted", ticket, back, actor, reason)
        return back

    return clinic.db.write(run)


def arrive_emergency(clinic: Clinic, ticket_id: int, actor: Actor) -> Ticket:
    """
    Close an E ticket whose patient is in UGD.

    Raises:
        NotFound, EdgeNotAllowed: See there.
    """

    def run(tx: Tx) -> Ticket:
        ticket = locked(tx, ticket_id)
        state = next_state(ticket.number, ticket.state, Action.ARRIVE_EMERGENCY, ticket.lane)
        if state is ticket.state:
            return ticket
        done = tickets.change(tx, ticket, state=state, completed_at=tx.now)
        record_change(tx, "ticket_completed", ticket, done, actor)
        return done

    return clinic.db.write(run)


def skip_in(tx: Tx, ticket: Ticket, actor: Actor, reason: str | None = None) -> Ticket:
    """Skip a locked ticket inside a transaction."""
    state = next_state(ticket.number, ticket.state, Action.SKIP, ticket.lane)
    if state is ticket.state:
        return ticket
    if ticket.skips >= MOST_RETURNS:
        return cancel_in(tx, ticket, reason or "tidak hadir", actor)
    skipped = tickets.change(tx, ticket, state=state, counter=None, skips=ticket.skips + 1)
    record_change(tx, "ticket_skipped", ticket, skipped, actor, reason)
    return skipped


def hold_in(tx: Tx, ticket: Ticket, actor: Actor, reason: str | None = None) -> Ticket:
    """Hold a locked ticket inside a transaction."""
    state = next_state(ticket.number, ticket.state, Action.HOLD, ticket.lane)
    if state is ticket.state:
        return ticket
    held = tickets.change(tx, ticket, state=state, counter=None, held_at=tx.now)
    record_change(tx, "ticket_held", ticket, held, actor, reason)
    return held


def complete_in(tx: Tx, ticket: Ticket, actor: Actor, reason: str | None = None) -> Ticket:
    """Complete a locked ticket inside a transaction."""
    state = next_state(ticket.number, ticket.state, Action.COMPLETE, ticket.lane)
    if state is ticket.state:
        return ticket
    done = tickets.change(tx, ticket, state=state, completed_at=tx.now)
    record_change(tx, "ticket_completed", ticket, done, actor, reason)
    return done


def give_back_in(tx: Tx, ticket: Ticket, actor: Actor) -> Ticket:
    """Return a called ticket to its place in the line, since its counter closed."""
    state = next_state(ticket.number, ticket.state, Action.GIVE_BACK, ticket.lane)
    back = tickets.change(tx, ticket, state=state, counter=None, calls=0)
    record_change(tx, "ticket_given_back", ticket, back, actor)
    return back


def _at(ticket: Ticket, counter: int | None) -> Ticket:
    """Refuse a ticket that is at another counter than the one where somebody works."""
    if counter is not None and ticket.state in AT_COUNTER and ticket.counter != counter:
        raise Conflict(f"{ticket.number} is at counter {ticket.counter}")
    return ticket


def _desk(tx: Tx, number: int, day: date) -> Desk:
    """Lock and read what an open counter sees."""
    desk = look(tx, number, day)
    if desk is None:
        raise NotFound(f"no counter {number}")
    if desk.counter.state != "open":
        raise CounterClosed(f"counter {number} is {desk.counter.state}")
    return desk


def _held(tx: Tx, ticket_id: int, counter: int) -> Ticket:
    """Lock a held ticket, behind the counter that it comes back to."""
    found = tickets.by_id(tx, ticket_id)
    if found is not None and found.state is TicketState.HELD:
        _open(tx, counter)
        current = rows.at_counter(tx, counter, lock=True)
        if current is not None and current.id != ticket_id:
            raise CounterBusy(counter, current.number)
    ticket = locked(tx, ticket_id)
    if ticket.state is TicketState.HELD and (found is None or found.state is not ticket.state):
        raise Conflict(f"{ticket.number} was held a moment ago")
    return ticket


def _open(tx: Tx, number: int) -> Counter:
    counter = counters.by_number(tx, number, lock=True)
    if counter is None:
        raise NotFound(f"no counter {number}")
    if counter.state != "open":
        raise CounterClosed(f"counter {number} is {counter.state}")
    return counter


def _may_take(counter: Counter, ticket: Ticket) -> bool:
    """Say whether a ticket stands where this counter picks."""
    return (
        ticket.state in STANDING
        and ticket.zone == counter.zone
        and (not counter.units or ticket.unit in counter.units)
    )


def _call(clinic: Clinic, tx: Tx, ticket: Ticket, desk: Desk, actor: Actor) -> Ticket:
    called = tickets.change(
        tx,
        ticket,
        state=next_state(ticket.number, ticket.state, Action.CALL, ticket.lane),
        counter=desk.counter.number,
        calls=1,
        called_at=tx.now,
        last_called_at=tx.now,
    )
    record_change(tx, "ticket_called", ticket, called, actor)
    announce(clinic, tx, called, desk.heard)
    return called
