"""What every screen shows of one zone's line: one reading, shared by all."""

from collections import Counter as Counted
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.days import ClockFault, next_opening, service_date
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.domain.line import (
    Head,
    call_order,
    rounded_minutes,
)
from puskesmas_queue.domain.tickets import Lane, PaymentType, PriorityReason, Ticket, TicketState
from puskesmas_queue.services.estimates import estimate, service_sample
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import counters, tickets, units
from puskesmas_queue.storage import line as rows
from puskesmas_queue.storage.counters import Counter
from puskesmas_queue.storage.transaction import Reading
from puskesmas_queue.storage.units import Unit, Zone


@dataclass(frozen=True, slots=True)
class LineTicket:
    """
    A ticket as staff see it in the list.

    `people_ahead` and `estimate_min` (minutes rounded to 5, None with no counter open) are set
    for tickets that stand in the line. Public screens use `number`, `lane` and `unit_name` only.
    """

    id: int
    number: str
    code: str
    lane: Lane
    state: TicketState
    unit: str
    unit_name: str
    priority_reason: PriorityReason | None
    payment_type: PaymentType | None
    issued_at: datetime
    waited_min: int
    calls: int
    counter: int | None
    called_at: datetime | None
    people_ahead: int | None = None
    estimate_min: int | None = None


@dataclass(frozen=True, slots=True)
class CounterLine:
    """
    One counter: `state` is open, paused or closed; `ticket` is called or serving there.

    `units` are the codes it is restricted to, empty for all. `user_name` is for staff only.
    """

    number: int
    state: str
    user_name: str | None
    units: tuple[str, ...]
    ticket: LineTicket | None


@dataclass(frozen=True, slots=True)
class UnitLine:
    """
    One unit today: `remaining` is None where unlimited, never below 0.

    `last_called` is the latest number called for the unit, priority or not.
    """

    code: str
    name: str
    name_en: str
    icon: str
    prefix: str
    room: str
    is_emergency: bool
    is_active: bool
    remaining: int | None
    waiting: int
    last_called: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the day: `done` left a counter served, `priority` are tickets of that lane."""

    issued: int
    done: int
    waiting: int
    priority: int
    skipped: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class LineView:
    """
    One zone's line at one moment.

    Lanes are in lane order, `order` lists the numbers as they would be called with nobody new.
    `opens_at` is None while the kiosk is open. `counter_opens` is shown while no counter is open.
    """

    zone: str
    service_date: date
    now: datetime
    version: int
    counters: tuple[CounterLine, ...]
    priority: tuple[LineTicket, ...]
    general: tuple[LineTicket, ...]
    held: tuple[LineTicket, ...]
    skipped: tuple[LineTicket, ...]
    emergency: tuple[LineTicket, ...]
    order: tuple[str, ...]
    units: tuple[UnitLine, ...]
    totals: Totals
    open_counters: int
    service_s: float
    opens_at: datetime | None
    clock_fault: ClockFault | None


@dataclass(frozen=True, slots=True)
class TicketView:
    """
    A ticket as its owner sees it: on the kiosk, on the slip and on the phone.

    `estimate_min` is minutes rounded to 5, None with no counter open; `counter_opens` is then
    the local time at which counters open, None where that has passed.
    """

    ticket: Ticket
    unit_name: str
    room: str
    people_ahead: int | None
    estimate_min: int | None
    counter_opens: str | None
    status_url: str | None
    unit_name_en: str = ""


def today(clinic: Clinic) -> date:
    """Return the clinic's service date."""
    return service_date(clinic.clock.now(), clinic.timezone)


def all_units(clinic: Clinic) -> list[Unit]:
    """Return the units in the order of the screens."""
    return clinic.remembered("units", SETTINGS_TOPIC, 0.0, lambda: clinic.db.read(units.load))


def all_zones(clinic: Clinic) -> list[Zone]:
    """Return the zones; the first is the default."""
    return clinic.remembered("zones", SETTINGS_TOPIC, 0.0, lambda: clinic.db.read(units.load_zones))


def default_zone(clinic: Clinic) -> str:
    """Return the code of the first zone."""
    return all_zones(clinic)[0].code


def known_zone(clinic: Clinic, code: str | None) -> str:
    """
    Return the zone that was named, the default one where none was.

    Raises:
        NotFound: There is no such zone.
    """
    if not code:
        return default_zone(clinic)
    if all(zone.code != code for zone in all_zones(clinic)):
        raise NotFound(f"no zone {code}")
    return code


def opens_at(clinic: Clinic) -> datetime | None:
    """Return when the kiosk opens next, None while it is open."""
    get = clinic.settings.get
    return next_opening(
        clinic.clock.now(), clinic.timezone, get("queue.reset_time"), get("queue.operating_end")
    )


@dataclass(frozen=True, slots=True)
class UnitToday:
    """
    A unit with its places of today.

    Args:
        remaining: Places left, None without a limit.
        is_open: Whether a patient may take a number for it now.
    """

    unit: Unit
    remaining: int | None
    is_open: bool


def units_today(clinic: Clinic) -> list[UnitToday]:
    """Return all units in the order of the screens, with their places of today."""
    counts = clinic.db.read(lambda tx: tickets.day_values(tx, today(clinic), ("place",)))
    is_open = opens_at(clinic) is None and clinic.guard.fault() is None
    return [
        UnitToday(
            unit=unit,
            remaining=remaining_places(unit, counts.get(("place", unit.code), 0)),
            is_open=unit.is_active and (is_open or unit.is_emergency),
        )
        for unit in all_units(clinic)
    ]


def line_view(clinic: Clinic, zone: str) -> LineView:
    """Read a zone's line as all screens show it."""
    return clinic.db.read(lambda tx: _line_view(clinic, tx, zone))


def ticket_view(clinic: Clinic, code: str) -> TicketView:
    """
    Read a ticket as its owner sees it.

    Raises:
        NotFound: No ticket has this code.
    """
    ticket = clinic.db.read(lambda tx: tickets.by_code(tx, code))
    if ticket is None:
        raise NotFound(f"no ticket {code}")
    return view_of(clinic, ticket)


def view_of(clinic: Clinic, ticket: Ticket) -> TicketView:
    """Show a ticket to its owner."""
    unit = next(unit for unit in all_units(clinic) if unit.code == ticket.unit)
    ahead = minutes = None
    if ticket.state in (TicketState.WAITING, TicketState.CONFIRMED) and (
        ticket.lane is not Lane.EMERGENCY
    ):
        mine = places_in_line(clinic, ticket.zone).get(ticket.id)
        if mine is not None:
            ahead, minutes = mine.people_ahead, mine.estimate_min
    public_url = clinic.config.server.public_url.rstrip("/")
    return TicketView(
        ticket=ticket,
        unit_name=unit.name,
        room=unit.room,
        people_ahead=ahead,
        estimate_min=minutes,
        counter_opens=_counter_opens(clinic),
        status_url=f"{public_url}/t/{ticket.code}" if public_url else None,
        unit_name_en=unit.name_en,
    )


def places_in_line(clinic: Clinic, zone: str) -> dict[int, LineTicket]:
    """Return who stands in a zone's line by id, each with its place and estimate."""
    line = seen_line(clinic, zone)
    return {ticket.id: ticket for ticket in (*line.priority, *line.general)}


def seen_line(clinic: Clinic, zone: str) -> LineView:
    """Return a zone's line as it is, from one reading that all share until it changes."""
    view = clinic.remembered(f"view:{zone}", line_topic(zone), 0.0, lambda: line_view(clinic, zone))
    # No commit tells of a clock that was moved, and a kiosk has to say so at once.
    return view if view.clock_fault == clinic.guard.fault() else line_view(clinic, zone)


def _counter_opens(clinic: Clinic) -> str | None:
    opens = clinic.settings.get("queue.operating_start")
    is_later = clinic.clock.now().astimezone(clinic.timezone).time() < opens
    return f"{opens:%H:%M}" if is_later else None


def _line_view(clinic: Clinic, tx: Reading, zone: str) -> LineView:
    # Before the rows: a version that is too old only means one more reading.
    version = clinic.versions.get(line_topic(zone), 0)
    day = service_date(tx.now, clinic.timezone)
    known_units = {unit.code: unit for unit in units.load(tx)}
    known_counters = counters.load(tx, zone)
    standing = rows.standing(tx, zone, day)
    away = rows.away(tx, zone, day)
    service_s = service_sample(clinic, rows.service_times(tx, zone))
    open_counters = sum(counter.state == "open" for counter in known_counters)
    by_lane = {lane: [t for t in standing if t.lane is lane] for lane in Lane}
    priority, general = by_lane[Lane.PRIORITY], by_lane[Lane.GENERAL]
    order = call_order(
        [Head(t.order_key, t.order_tie) for t in priority],
        [Head(t.order_key, t.order_tie) for t in general],
        clinic.settings.get("queue.priority_ratio"),
        rows.ratio_state(tx, zone, day),
    )
    in_order = [by_lane[lane][index] for lane, index in order]
    ahead = {ticket.id: place for place, ticket in enumerate(in_order)}

    def show(ticket: Ticket) -> LineTicket:
        place = ahead.get(ticket.id)
        wait = None if place is None else estimate(clinic, place, service_s, open_counters)
        return LineTicket(
            id=ticket.id,
            number=ticket.number,
            code=ticket.code,
            lane=ticket.lane,
            state=ticket.state,
            unit=ticket.unit,
            unit_name=known_units[ticket.unit].name,
            priority_reason=ticket.priority_reason,
            payment_type=ticket.payment_type,
            issued_at=ticket.issued_at,
            waited_min=max(0, int((tx.now - ticket.issued_at).total_seconds() // 60)),
            calls=ticket.calls,
            counter=ticket.counter,
            called_at=ticket.last_called_at,
            people_ahead=place,
            estimate_min=None if wait is None else rounded_minutes(wait),
        )

    counts = tickets.day_values(tx, day, ("unit", "place"))
    states = tickets.states_of_day(tx, zone, day)
    at_counter = {t.counter: t for t in away if t.counter is not None}
    return LineView(
        zone=zone,
        service_date=day,
        now=tx.now,
        version=version,
        counters=tuple(_counter_line(c, at_counter.get(c.number), show) for c in known_counters),
        priority=tuple(show(t) for t in priority),
        general=tuple(show(t) for t in general),
        held=tuple(show(t) for t in away if t.state is TicketState.HELD),
        skipped=tuple(show(t) for t in away if t.state is TicketState.SKIPPED),
        emergency=tuple(show(t) for t in by_lane[Lane.EMERGENCY]),
        order=tuple(t.number for t in in_order),
        units=_unit_lines(tx, day, zone, known_units.values(), counts, standing),
        totals=Totals(
            issued=sum(states.values()),
            done=states.get("completed", 0),
            waiting=len(priority) + len(general),
            priority=rows.issued_in_lane(tx, zone, day, Lane.PRIORITY),
            skipped=states.get("skipped", 0),
            cancelled=states.get("cancelled", 0),
        ),
        open_counters=open_counters,
        service_s=median(service_s),
        opens_at=opens_at(clinic),
        clock_fault=clinic.guard.fault(),
    )


def _counter_line(
    counter: Counter, ticket: Ticket | None, show: Callable[[Ticket], LineTicket]
) -> CounterLine:
    return CounterLine(
        number=counter.number,
        state=counter.state,
        user_name=counter.user_name,
        units=counter.units,
        ticket=None if ticket is None else show(ticket),
    )


def _unit_lines(
    tx: Reading,
    day: date,
    zone: str,
    known: Iterable[Unit],
    counts: dict[tuple[str, str], int],
    standing: Sequence[Ticket],
) -> tuple[UnitLine, ...]:
    last_called = rows.last_called(tx, day)
    waiting = Counted(ticket.unit for ticket in standing)
    return tuple(
        UnitLine(
            code=unit.code,
            name=unit.name,
            name_en=unit.name_en,
            icon=unit.icon,
            prefix=unit.queue_prefix,
            room=unit.room,
            is_emergency=unit.is_emergency,
            is_active=unit.is_active,
            remaining=remaining_places(unit, counts.get(("place", unit.code), 0)),
            waiting=waiting[unit.code],
            last_called=last_called.get(unit.code),
        )
        for unit in known
        if unit.zone == zone
    )


def remaining_places(unit: Unit, taken: int) -> int | None:
    """Return how many places a unit has left today, None where unlimited, never below 0."""
    return None if unit.quota_per_day is None else max(0, unit.quota_per_day - taken)
