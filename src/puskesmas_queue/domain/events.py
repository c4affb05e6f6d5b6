"""
Facts: what happened, as plugins hear of it after it was committed.

Source: architecture, section 4; domain rules, section 8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from puskesmas_queue.domain.tickets import Lane, PaymentType, Source, TicketState

SPOKEN_LIFETIME = timedelta(seconds=90)
"""A call that is older is never replayed."""
LIFETIME = timedelta(hours=24)

TICKET_FACTS = (
    "ticket_issued",
    "ticket_called",
    "ticket_recalled",
    "ticket_serving",
    "ticket_skipped",
    "ticket_held",
    "ticket_completed",
    "ticket_cancelled",
    "emergency_announced",
)
"""Facts about one ticket."""
FACTS = (*TICKET_FACTS, "day_closed")
"""Every fact that plugins may listen to, by the name of its event and hook."""

LIFETIMES: Mapping[str, timedelta] = {
    "ticket_called": SPOKEN_LIFETIME,
    "ticket_recalled": SPOKEN_LIFETIME,
    "emergency_announced": timedelta(minutes=10),
}


def lifetime(kind: str) -> timedelta:
    """Return how long a fact is worth delivering."""
    return LIFETIMES.get(kind, LIFETIME)


def order_key(kind: str, ticket_id: int | None) -> str:
    """Name what a fact is about: facts of one key are delivered in order."""
    return f"ticket:{ticket_id}" if ticket_id is not None else kind


@dataclass(frozen=True, slots=True)
class Fact:
    """
    Something that happened.

    Args:
        id: The same for every delivery of this fact: an implementation that saw it before
            does nothing.
        kind: The hook's name.
        at: When it happened, aware, in UTC.
        zone: The hall, if any.
        counter: The counter's number, if any.
        reason: Why, where staff said so.
        attempt: 1 for the first delivery.
        schema_version: Grows when the meaning of a field changes.
    """

    id: str
    kind: str
    at: datetime
    zone: str | None
    counter: int | None
    reason: str | None
    attempt: int
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class TicketFact:
    """
    The ticket that a fact is about, as it stands at delivery.

    The reason of priority is health data and is not here.

    Args:
        id: The same for all its facts.
        service_date: The clinic's local day that it is for.
        number: What patients see, `A-007` say.
        prefix: The letter that the clinic gave its unit; `P` in the priority lane.
        sequence: Counts the tickets of its prefix on that day, from 1.
        unit: Its unit's code, `umum` say.
        unit_name: Its unit's name, `Poli Umum` say.
        unit_sequence: Counts the tickets of its unit on that day, from 1.
        zone: The hall in which it waits, `main` say.
        lane: The line in which it waits.
        payment_type: How the visit is paid; None where nobody asked.
        source: Where it was taken.
        state: The state that the fact led to; on a page or slip the present one.
        code: Names its status page: whoever knows it may follow the ticket.
        calls: How often it was called.
        issued_at: When it was taken, in UTC.
    """

    id: int
    service_date: date
    number: str
    prefix: str
    sequence: int
    unit: str
    unit_name: str
    unit_sequence: int
    zone: str
    lane: Lane
    payment_type: PaymentType | None
    source: Source
    state: TicketState
    code: str
    calls: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class DayShare:
    """
    What a lane or a unit had of a day.

    Args:
        code: Of the unit, or the lane's.
        name: What the unit was called on that day; empty for a lane.
        issued: How many of its tickets were given.
        completed: How many of them were served.
    """

    code: str
    name: str
    issued: int
    completed: int


@dataclass(frozen=True, slots=True)
class DayFact:
    """
    A service day that ended.

    Args:
        service_date: The clinic's local day.
        issued: How many tickets were given.
        completed: How many of them were served.
        cancelled: How many of them were cancelled.
        expired: How many of them were still open at midnight.
        lanes: Each lane that had tickets.
        units: Each unit that had tickets, by the unit in which they ended, in the order of screens.
    """

    service_date: date
    issued: int
    completed: int
    cancelled: int
    expired: int
    lanes: tuple[DayShare, ...] = ()
    units: tuple[DayShare, ...] = ()
