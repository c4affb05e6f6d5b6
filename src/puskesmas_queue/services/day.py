"""The day's own work: expiry, held tickets, and the clock that somebody must confirm."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta

from puskesmas_queue.clinic import CLOCK_TOPIC, Clinic
from puskesmas_queue.domain.access import SYSTEM, Actor
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.tickets import Action, Ticket, TicketState, next_state
from puskesmas_queue.services.calling import skip_in
from puskesmas_queue.services.line import all_zones, today
from puskesmas_queue.services.tickets import locked, record_change
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage import topics, units
from puskesmas_queue.storage.transaction import Tx

KEY_LIFETIME = timedelta(hours=24)
EXPIRY_BATCH = 200
"""Tickets expired in one transaction, so that nobody waits long behind it."""


def confirm_clock(clinic: Clinic, actor: Actor) -> None:
    """Take the clock as it stands for right; audited, and the new base."""

    def run(tx: Tx) -> None:
        topics.reset_times(tx)
        local = tx.now.astimezone(clinic.timezone).isoformat(timespec="seconds")
        tx.event("clock_confirmed", actor=actor, data={"shown": local})
        tx.audit("confirm_clock", actor=actor, new={"shown": local})
        tx.touch(CLOCK_TOPIC, *(line_topic(zone.code) for zone in all_zones(clinic)))

    # The zones are read here: no transaction waits for another one.
    all_zones(clinic)
    clinic.db.write(run)


def expire_old_days(clinic: Clinic) -> int:
    """
    Expire what is still open of earlier service days; run at midnight and caught up at start.

    Returns:
        How many tickets expired.
    """
    if clinic.guard.fault() is not None:
        # A wrong clock must not end a day that goes on.
        return 0
    day = today(clinic)
    expired = 0
    while True:
        open_ones = clinic.db.read(lambda tx: rows.left_open(tx, day, EXPIRY_BATCH))
        if not open_ones:
            return expired

        def run(tx: Tx, found: list[Ticket] = open_ones) -> int:
            return sum(_expire(tx, ticket) for ticket in _all_locked(tx, found))

        expired += clinic.db.write(run)


def close_days(clinic: Clinic) -> int:
    """
    Close service days that ended since the last look: each once, and only those with tickets.

    Returns:
        How many were closed.
    """
    if clinic.guard.fault() is not None:
        return 0
    day = today(clinic)
    if not clinic.db.read(lambda tx: rows.unclosed(tx, day)):
        return 0
    return clinic.db.write(lambda tx: sum(_close(tx, one) for one in rows.unclosed(tx, day)))


def skip_long_held(clinic: Clinic) -> int:
    """Skip tickets that were held for longer than setting `queue.hold_minutes`."""
    limit = timedelta(minutes=clinic.settings.get("queue.hold_minutes"))
    day = today(clinic)
    found = clinic.db.read(lambda tx: rows.held_since(tx, day, tx.now - limit))
    if not found:
        return 0

    def run(tx: Tx) -> int:
        skipped = 0
        known = {old.id: old.held_at for old in found}
        for ticket in _all_locked(tx, found):
            if ticket.state is TicketState.HELD and ticket.held_at == known[ticket.id]:
                skip_in(tx, ticket, SYSTEM)
                skipped += 1
        return skipped

    return clinic.db.write(run)


def forget_old_keys(clinic: Clinic) -> None:
    """Forget idempotency keys after 24 hours."""
    clinic.db.write(lambda tx: rows.forget_keys(tx, tx.now - KEY_LIFETIME))


def is_today(clinic: Clinic, ticket: Ticket) -> bool:
    """Say whether a ticket is of the current service day."""
    return ticket.service_date == service_date(clinic.clock.now(), clinic.timezone)


def _all_locked(tx: Tx, found: list[Ticket]) -> list[Ticket]:
    """
    Lock tickets, all before the first place is given back, and sort them by place.

    Whoever cancels or transfers one of them locks the ticket first, then the places in order.
    """
    tickets = [locked(tx, ticket_id) for ticket_id in sorted(one.id for one in found)]
    return sorted(tickets, key=lambda ticket: (ticket.service_date, ticket.unit))


def _close(tx: Tx, day: date) -> int:
    if rows.count_up(tx, day, "closed", "day", 1) is None:
        return 0
    states: Counter[str] = Counter()
    lanes: dict[str, Counter[str]] = defaultdict(Counter)
    by_unit: dict[str, Counter[str]] = defaultdict(Counter)
    for lane, unit, state, times in rows.whole_day(tx, day):
        for counted in (states, lanes[lane], by_unit[unit]):
            counted[state] += times
    # Units in the order of the screens; one that is gone keeps its tickets.
    names = {one.code: one.name for one in units.load(tx)}
    names |= {code: code for code in sorted(by_unit.keys() - names.keys())}
    tx.event(
        "day_closed",
        actor=SYSTEM,
        data={
            "service_date": day.isoformat(),
            "issued": states.total(),
            "completed": states["completed"],
            "cancelled": states["cancelled"],
            "expired": states["expired"],
            "lanes": _shares(lanes, dict.fromkeys(sorted(lanes), "")),
            "units": _shares(by_unit, names),
        },
    )
    return 1


def _shares(
    counts: Mapping[str, Counter[str]], names: Mapping[str, str]
) -> list[tuple[str, str, int, int]]:
    """List code, name, tickets given and tickets served of what had any."""
    return [
        (code, name, counts[code].total(), counts[code]["completed"])
        for code, name in names.items()
        if code in counts
    ]


def _expire(tx: Tx, ticket: Ticket) -> int:
    state = next_state(ticket.number, ticket.state, Action.EXPIRE, ticket.lane)
    if state is ticket.state:
        return 0
    rows.give_place_back(tx, ticket.service_date, ticket.unit)
    expired = rows.change(tx, ticket, state=state, counter=None, completed_at=tx.now)
    record_change(tx, "ticket_expired", ticket, expired, SYSTEM)
    return 1
