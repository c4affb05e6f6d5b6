"""Issuing and cancelling tickets."""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import date

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import (
    ClockUnconfirmed,
    Conflict,
    InvalidRequest,
    KioskClosed,
    NotFound,
    QuotaFull,
    ReasonRequired,
    Refused,
    StorageUnavailable,
    TicketObjected,
    UnitClosed,
    UnknownName,
)
from puskesmas_queue.domain.tickets import (
    AT_COUNTER,
    STANDING,
    Action,
    Lane,
    PaymentType,
    Source,
    Ticket,
    TicketRequest,
    TicketState,
    new_code,
    next_state,
    prefix_for,
)
from puskesmas_queue.plugin_host.outcomes import Fault
from puskesmas_queue.services.estimates import expect
from puskesmas_queue.services.line import (
    all_units,
    opens_at,
)
from puskesmas_queue.services.quota import alternatives, most_places
from puskesmas_queue.services.topics import line_topic, speech_topic
from puskesmas_queue.storage import issuing, speech
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage.issuing import DuplicateTicket, NewTicket
from puskesmas_queue.storage.transaction import Tx
from puskesmas_queue.storage.units import Unit

TRIES = 5
KEY_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Given:
    """
    A number that was given.

    `people_ahead` is set where it was given just now: calls before it, at most half a second old.
    """

    ticket: Ticket
    people_ahead: int | None = None


def issue_ticket(
    clinic: Clinic, request: TicketRequest, actor: Actor, key: str | None = None
) -> Ticket:
    """Give a number; see `give_ticket`."""
    return give_ticket(clinic, request, actor, key).ticket


def give_ticket(
    clinic: Clinic, request: TicketRequest, actor: Actor, key: str | None = None
) -> Given:
    """
    Give a number, and say how many are called before it.

    Args:
        clinic: The clinic.
        request: What is asked for.
        actor: Who asks: opening hours bind devices, staff may issue at any time.
        key: Idempotency key of this request: the same one gives the same ticket.

    Raises:
        UnknownName: No such unit.
        InvalidRequest: Lane, reason or unit do not go together.
        UnitClosed, KioskClosed, ClockUnconfirmed, QuotaFull: Not now; see there.
        TicketObjected: A plugin objects.
        KeyReused: The key came with another request.
    """
    unit = known_unit(clinic, request.unit)
    _check_words(request, unit)
    try:
        if not unit.is_active:
            raise UnitClosed(f"unit {unit.code} takes no patients")
        if actor.kind == "device":
            opening = opens_at(clinic)
            if opening is not None:
                raise KioskClosed(opening)
        objections = clinic.hooks.objections(request, _source(actor), clinic.clock.now())
        if objections:
            raise TicketObjected(objections[0])
        return _issue(clinic, request, unit, actor, key)
    except Refused:
        # Whoever lost the answer and asks again gets it, though nothing new is given now.
        given = _given_before(clinic, request, actor, key)
        if given is None:
            raise
        return Given(given)


def issue_emergency(clinic: Clinic, actor: Actor, key: str | None = None) -> Ticket:
    """
    Send somebody to UGD at once: an E ticket that waits in no lane and alerts every counter.

    Raises:
        UnitClosed: The clinic has no emergency unit.
        ClockUnconfirmed: No number can be given; the way to UGD is shown all the same.
        KeyReused: The key came with another request.
    """
    unit = next((u for u in all_units(clinic) if u.is_emergency and u.is_active), None)
    if unit is None:
        raise UnitClosed("this clinic has no emergency unit")
    request = TicketRequest(unit.code, Lane.EMERGENCY)
    try:
        return _issue(clinic, request, unit, actor, key).ticket
    except Refused:
        given = _given_before(clinic, request, actor, key)
        if given is None:
            raise
        return given


def cancel_ticket(clinic: Clinic, ticket_id: int, reason: str, actor: Actor) -> Ticket:
    """
    Cancel a ticket and give its place back.

    Raises:
        NotFound, EdgeNotAllowed, ReasonRequired: See there.
    """
    reason = given_reason(reason)

    def run(tx: Tx) -> Ticket:
        return cancel_in(tx, locked(tx, ticket_id), reason, actor)

    return clinic.db.write(run)


def cancel_own(clinic: Clinic, code: str, actor: Actor) -> Ticket:
    """
    Cancel a ticket from its own page, as long as it was not called.

    Raises:
        NotFound: No ticket has this code.
        Conflict: It is at a counter, or over.
    """

    def run(tx: Tx) -> Ticket:
        found = rows.by_code(tx, code)
        if found is None:
            raise NotFound(f"no ticket {code}")
        ticket = locked(tx, found.id)
        if ticket.state not in STANDING and ticket.state is not TicketState.CANCELLED:
            raise Conflict(f"{ticket.number} is {ticket.state}: only staff can cancel it")
        return cancel_in(tx, ticket, "dibatalkan pasien", actor)

    return clinic.db.write(run)


def find_ticket(clinic: Clinic, ticket_id: int) -> Ticket:
    """
    Read a ticket.

    Raises:
        NotFound: There is none with this id.
    """
    ticket = clinic.db.read(lambda tx: rows.by_id(tx, ticket_id))
    if ticket is None:
        raise NotFound(f"no ticket {ticket_id}")
    return ticket


def list_tickets(
    clinic: Clinic,
    service_date: date,
    *,
    after: int = 0,
    limit: int = 50,
    state: TicketState | None = None,
    unit: str | None = None,
) -> tuple[list[Ticket], bool]:
    """
    Read a page of a day's tickets in the order they were issued.

    Args:
        clinic: The clinic.
        service_date: The day.
        after: The last id of the page before.
        limit: Most tickets.
        state: Only those that stand so.
        unit: Only those of this unit.

    Returns:
        The tickets, and whether there are more.
    """
    found = clinic.db.read(
        lambda tx: rows.page_of_day(
            tx, service_date, after=after, limit=limit + 1, state=state, unit=unit
        )
    )
    return found[:limit], len(found) > limit


def locked(tx: Tx, ticket_id: int) -> Ticket:
    """
    Read a ticket that nobody else changes until this transaction ends.

    Raises:
        NotFound: There is none with this id.
    """
    ticket = rows.by_id(tx, ticket_id, lock=True)
    if ticket is None:
        raise NotFound(f"no ticket {ticket_id}")
    return ticket


def cancel_in(tx: Tx, ticket: Ticket, reason: str, actor: Actor) -> Ticket:
    """Cancel a locked ticket inside a transaction and give its place back."""
    state = next_state(ticket.number, ticket.state, Action.CANCEL, ticket.lane)
    if state is ticket.state:
        return ticket
    rows.give_place_back(tx, ticket.service_date, ticket.unit)
    changed = rows.change(tx, ticket, state=state, counter=None, completed_at=tx.now)
    record_change(tx, "ticket_cancelled", ticket, changed, actor, reason)
    return changed


def record_change(
    tx: Tx, kind: str, old: Ticket, new: Ticket, actor: Actor, reason: str | None = None
) -> None:
    """Store who moved a ticket along an edge, and let the screens know."""
    counter = new.counter if new.counter is not None else old.counter
    if old.state is TicketState.CALLED and new.state not in AT_COUNTER:
        # Who went or was sent back is not called any more.
        speech.drop_queued(tx, new.id)
        tx.touch(speech_topic(new.zone))
    tx.event(
        kind,
        actor=actor,
        zone=new.zone,
        ticket_id=new.id,
        counter=counter,
        reason=reason,
        data={"from": old.state.value, "to": new.state.value},
    )
    tx.audit(
        kind,
        actor=actor,
        table="tickets",
        record=new.id,
        old={"state": old.state.value},
        new={"state": new.state.value, "counter": counter},
        reason=reason,
    )
    tx.touch(line_topic(new.zone))


def _issue(
    clinic: Clinic, request: TicketRequest, unit: Unit, actor: Actor, key: str | None
) -> Given:
    key = key or secrets.token_urlsafe(16)
    if not 8 <= len(key) <= KEY_LENGTH:
        raise InvalidRequest(f"an idempotency key has 8 to {KEY_LENGTH} characters")
    fault = clinic.guard.fault()
    if fault is not None:
        raise ClockUnconfirmed(fault, clinic.clock.now().astimezone(clinic.timezone))
    expected = expect(clinic, unit.zone, request.lane)
    use_default = False
    for _ in range(TRIES):
        now = clinic.clock.now()
        new = NewTicket(
            holder=_holder(actor),
            key=key,
            request_hash=_hash(request),
            service_date=service_date(now, clinic.timezone),
            prefix=prefix_for(request.lane, unit.queue_prefix),
            unit=unit.code,
            zone=unit.zone,
            lane=request.lane,
            priority_reason=request.priority_reason,
            payment_type=request.payment_type,
            source=_source(actor),
            code=new_code(),
            order_key=int(now.timestamp() * 1_000_000),
            issued_at=now,
            estimated_time=None if expected.wait is None else now + expected.wait,
            most_places=most_places(unit, request.exceed_reason, actor),
            exceed_reason=request.exceed_reason,
            topic=line_topic(unit.zone),
        )
        is_plain = use_default or clinic.hooks.is_default("format_ticket_number")

        def format_number(prefix: str, sequence: int, new: NewTicket = new) -> str:
            return clinic.hooks.format_ticket_number(
                prefix, sequence, new.service_date, new.issued_at
            )

        try:
            done = issuing.issue(clinic.db, new, actor, None if is_plain else format_number)
        except QuotaFull:
            raise QuotaFull(unit.code, alternatives(clinic, unit)) from None
        except DuplicateTicket:
            if not is_plain:
                # A plugin that gives a number twice must not cost a ticket.
                hook = "format_ticket_number"
                plugin = clinic.hooks.first_plugin(hook)
                clinic.hooks.report(Fault(plugin, hook, "nonsense", "a number given twice"))
                use_default = True
            else:
                # Nor one that gave a number whose turn comes only now.
                clinic.db.write(lambda tx, new=new: issuing.pass_over(tx, new))  # type: ignore[misc]
        else:
            if done.is_repeat:
                return Given(done.ticket)
            if expected.known is not None:
                expected.known.waiting[request.lane] += 1
            return Given(done.ticket, expected.people_ahead)
    raise StorageUnavailable("no free number was found")


def _given_before(
    clinic: Clinic, request: TicketRequest, actor: Actor, key: str | None
) -> Ticket | None:
    if key is None:
        return None
    holder, words = _holder(actor), _hash(request)
    return clinic.db.read(lambda tx: issuing.find_repeat(tx, holder, key, words))


def known_unit(clinic: Clinic, code: str) -> Unit:
    """
    Find a unit by its code.

    Raises:
        UnknownName: There is none.
    """
    unit = next((unit for unit in all_units(clinic) if unit.code == code), None)
    if unit is None:
        raise UnknownName("unit", code)
    return unit


def _check_words(request: TicketRequest, unit: Unit) -> None:
    if request.lane is Lane.EMERGENCY or unit.is_emergency:
        raise InvalidRequest("emergency tickets are announced, not queued")
    if (request.lane is Lane.PRIORITY) != (request.priority_reason is not None):
        raise InvalidRequest("a priority ticket has a reason, any other has none")
    if request.payment_type is PaymentType.SKEMA_DAERAH:
        raise InvalidRequest("the regional scheme is chosen at the counter")


def _holder(actor: Actor) -> str:
    return f"user:{actor.id}" if actor.kind == "user" else f"device:{actor.device or '-'}"


def _source(actor: Actor) -> Source:
    return Source.COUNTER if actor.kind == "user" else Source.KIOSK


def _hash(request: TicketRequest) -> str:
    words = json.dumps(asdict(request), sort_keys=True, default=str)
    return hashlib.sha256(words.encode()).hexdigest()


def given_reason(text: str) -> str:
    """
    Tidy a reason that staff gave.

    Raises:
        ReasonRequired: There is none.
    """
    reason = " ".join(text.split())
    if not reason:
        raise ReasonRequired("this step needs a reason")
    return reason[:500]
