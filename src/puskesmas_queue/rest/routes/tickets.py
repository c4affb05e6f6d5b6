"""Tickets: giving a number, reading, and every step of one."""

import secrets
from collections.abc import Callable

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain import tickets as domain
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import (
    ClockUnconfirmed,
    Conflict,
    CounterBusy,
    CounterClosed,
    CounterTaken,
    EdgeNotAllowed,
    InvalidRequest,
    KeyTaken,
    KioskClosed,
    NotFound,
    QuotaFull,
    ReasonRequired,
    TicketObjected,
    TooEarly,
    TooOften,
    UnitClosed,
    UnknownName,
)
from puskesmas_queue.domain.tickets import Lane, TicketRequest
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.paging import read_cursor, write_cursor
from puskesmas_queue.rest.schemas import (
    Move,
    NewTicket,
    Service,
    Ticket,
    TicketPage,
    TicketQuery,
    Transfer,
)
from puskesmas_queue.rest.tickets import document_of, document_of_new, documents_of
from puskesmas_queue.services import calling, desks, tickets, transfers
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.services.line import today
from puskesmas_queue.web.limits import Limits

SUBJECT = "tickets"
Step = Callable[[Clinic], domain.Ticket]


def issue_ticket(call: Call) -> Reply:
    """Give a number."""
    asked = call.body(NewTicket)
    if asked.lane is Lane.EMERGENCY:
        return _announce_emergency(call, asked)
    request = TicketRequest(
        unit=asked.unit,
        lane=asked.lane,
        payment_type=asked.payment_type,
        priority_reason=asked.priority_reason,
        exceed_reason=asked.exceed_reason,
    )
    given = _limited(call, lambda: tickets.give_ticket(call.clinic, request, call.actor, call.key))
    if given.people_ahead is None:
        return _told(call, given.ticket, status=201)
    document = document_of_new(
        call.clinic, given.ticket, given.people_ahead, is_staff=call.is_staff
    )
    return reply(201, document, _place(given.ticket))


def list_tickets(call: Call) -> Reply:
    """Read the tickets of a day, a page at a time."""
    wanted = call.query(TicketQuery)
    found, has_more = tickets.list_tickets(
        call.clinic,
        wanted.service_date or today(call.clinic),
        after=0 if wanted.cursor is None else read_cursor(wanted.cursor),
        limit=wanted.limit,
        state=wanted.status,
        unit=wanted.unit,
    )
    items = documents_of(call.clinic, found, is_staff=call.is_staff)
    cursor = write_cursor(found[-1].id) if has_more else None
    return reply(200, TicketPage(items=items, next_cursor=cursor))


def read_ticket(call: Call) -> Reply:
    """Read one ticket."""
    return _told(call, tickets.find_ticket(call.clinic, call.path["id"]))


def recall_ticket(call: Call) -> Reply:
    """Call a ticket once more."""
    reason = call.body(Move).reason
    return _at_counter(
        call,
        lambda clinic, ticket: calling.recall(
            clinic, ticket.id, call.actor, ticket.counter, reason
        ),
    )


def serve_ticket(call: Call) -> Reply:
    """Begin to serve the called ticket, or a held one whose patient is back."""
    asked = call.body(Service)

    def act(clinic: Clinic, ticket: domain.Ticket) -> domain.Ticket:
        counter = ticket.counter or _own_counter(call, asked.counter)
        return calling.serve(clinic, ticket.id, call.actor, counter, asked.reason)

    return _at_counter(call, act)


def skip_ticket(call: Call) -> Reply:
    """Skip a ticket that nobody answered to; the third skip cancels it."""
    reason = call.body(Move).reason
    return _at_counter(
        call,
        lambda clinic, ticket: calling.skip(clinic, ticket.id, call.actor, ticket.counter, reason),
    )


def hold_ticket(call: Call) -> Reply:
    """Put a served ticket aside; its counter is free."""
    reason = call.body(Move).reason
    return _at_counter(
        call,
        lambda clinic, ticket: calling.hold(clinic, ticket.id, call.actor, ticket.counter, reason),
    )


def complete_ticket(call: Call) -> Reply:
    """Finish serving a ticket; an emergency's patient is in UGD."""
    reason = call.body(Move).reason

    def act(clinic: Clinic, ticket: domain.Ticket) -> domain.Ticket:
        if ticket.lane is Lane.EMERGENCY:
            return calling.arrive_emergency(clinic, ticket.id, call.actor)
        return calling.complete(clinic, ticket.id, call.actor, ticket.counter, reason)

    return _at_counter(call, act)


def reinsert_ticket(call: Call) -> Reply:
    """Let a skipped ticket stand in the line again."""
    reason = call.body(Move).reason
    return _moved(
        call, lambda clinic: calling.reinsert(clinic, call.path["id"], call.actor, reason)
    )


def cancel_ticket(call: Call) -> Reply:
    """Cancel a ticket and give its place back."""
    reason = call.body(Move).reason or ""
    return _moved(
        call, lambda clinic: tickets.cancel_ticket(clinic, call.path["id"], reason, call.actor)
    )


def transfer_ticket(call: Call) -> Reply:
    """Move a ticket to another unit or lane; its number stays."""
    asked = call.body(Transfer)
    return _at_counter(
        call,
        lambda clinic, ticket: transfers.transfer_ticket(
            clinic, ticket.id, asked.unit, asked.lane, asked.reason, call.actor
        ),
    )


def _limited(call: Call, give: Callable[[], tickets.Given]) -> tickets.Given:
    """Give a number; to a kiosk no more of them than on its own page."""
    limits = _limits(call)
    if limits is None:
        return give()
    # Without a key of its own every request is another one.
    return limits.give(str(call.actor.device), call.key or secrets.token_hex(8), give)


def _limits(call: Call) -> Limits | None:
    """Return what a kiosk is bound by; None for staff, in a demo and on the server's machine."""
    limits: Limits = call.request.app.state.limits
    return None if call.is_staff or call.facts.is_local or limits.is_demo else limits


def _announce_emergency(call: Call, asked: NewTicket) -> Reply:
    """Send somebody to UGD; the unit must be the one that takes emergencies."""
    unit = tickets.known_unit(call.clinic, asked.unit)
    if not unit.is_emergency or asked.priority_reason is not None:
        raise InvalidRequest("an emergency goes to the emergency unit, without a reason")
    limits = _limits(call)
    if limits is not None:
        wait_s = limits.emergencies.take(str(call.actor.device), call.key or "")
        if wait_s:
            raise TooOften(wait_s)
    return _told(call, tickets.issue_emergency(call.clinic, call.actor, call.key), status=201)


def _own_counter(call: Call, wanted: int | None) -> int:
    """Name the counter that serves a held ticket: the one that was named, or the only one."""
    held = desks.counters_of(call.clinic, call.family)
    if wanted is None and len(held) != 1:
        raise InvalidRequest("which counter serves this held ticket?")
    if wanted is not None and wanted not in held:
        raise CounterClosed(f"counter {wanted} is not open for this program")
    return held[0] if wanted is None else wanted


def _at_counter(call: Call, act: Callable[[Clinic, domain.Ticket], domain.Ticket]) -> Reply:
    """Move a ticket, unless somebody else works at the counter where it is."""
    # Inside: whoever sends the same key again is answered though all has moved on.
    return _moved(
        call,
        lambda clinic: act(
            clinic, desks.ticket_at(clinic, call.path["id"], call.family, call.actor)
        ),
    )


def _moved(call: Call, act: Step) -> Reply:
    def kept(ticket: domain.Ticket) -> Reply:
        return reply(200, document_of(call.clinic, ticket, is_staff=call.is_staff))

    return call.once(act, kept, lambda ticket: _told(call, ticket))


def _told(call: Call, ticket: domain.Ticket, *, status: int = 200) -> Reply:
    """Write a ticket with its place in the line."""
    document = documents_of(call.clinic, [ticket], is_staff=call.is_staff)[0]
    return reply(status, document, _place(ticket) if status == 201 else "")


def _place(ticket: domain.Ticket) -> str:
    """Say where a ticket can be read."""
    return f"/tickets/{ticket.id}"


def _step(
    action: str, handler: Callable[[Call], Reply], *more: type[Conflict], body: type = Move
) -> Endpoint:
    return Endpoint(
        "POST",
        f"/tickets/{{id}}/{action}",
        handler,
        Permission.CALL,
        SUBJECT,
        summary=str(handler.__doc__).rstrip("."),
        answers={200: Ticket},
        refusals=(NotFound, EdgeNotAllowed, Conflict, KeyTaken, *more),
        body=body,
        is_body_needed=False,
        takes_key="answer",
    )


endpoints = (
    Endpoint(
        "POST",
        "/tickets",
        issue_ticket,
        Permission.ISSUE,
        SUBJECT,
        summary="Give a number",
        answers={201: Ticket},
        refusals=(
            UnknownName,
            InvalidRequest,
            KeyTaken,
            QuotaFull,
            UnitClosed,
            KioskClosed,
            TicketObjected,
            ClockUnconfirmed,
            TooOften,
        ),
        body=NewTicket,
        takes_key="ticket",
        more="A kiosk is bound by its opening hours, staff are not. The same key gives the same "
        "ticket for 24 hours.",
        example={"unit": "umum", "lane": "general", "payment_type": "bpjs"},
    ),
    Endpoint(
        "GET",
        "/tickets",
        list_tickets,
        Permission.DAY_VIEW,
        SUBJECT,
        summary="Read a day's tickets, a page at a time",
        answers={200: TicketPage},
        refusals=(InvalidRequest,),
        query=TicketQuery,
    ),
    Endpoint(
        "GET",
        "/tickets/{id}",
        read_ticket,
        Permission.DAY_VIEW,
        SUBJECT,
        summary="Read one ticket",
        answers={200: Ticket},
        refusals=(NotFound,),
    ),
    _step("recall", recall_ticket, CounterTaken, TooEarly),
    _step("serve", serve_ticket, CounterTaken, CounterBusy, CounterClosed, body=Service),
    _step("skip", skip_ticket, CounterTaken, TooEarly),
    _step("hold", hold_ticket, CounterTaken),
    _step("complete", complete_ticket, CounterTaken),
    _step("reinsert", reinsert_ticket),
    Endpoint(
        "POST",
        "/tickets/{id}/cancel",
        cancel_ticket,
        Permission.CALL,
        SUBJECT,
        summary="Cancel a ticket and give its place back",
        answers={200: Ticket},
        refusals=(NotFound, EdgeNotAllowed, ReasonRequired, KeyTaken),
        body=Move,
        is_body_needed=False,
        takes_key="answer",
        more="A reason is needed.",
        example={"reason": "went home"},
    ),
    Endpoint(
        "POST",
        "/tickets/{id}/transfer",
        transfer_ticket,
        Permission.CALL,
        SUBJECT,
        summary="Move a ticket to another unit or lane",
        answers={200: Ticket},
        refusals=(
            NotFound,
            EdgeNotAllowed,
            CounterTaken,
            UnknownName,
            InvalidRequest,
            ReasonRequired,
            QuotaFull,
            UnitClosed,
            KeyTaken,
        ),
        body=Transfer,
        takes_key="answer",
        more="Its number and its time stay.",
        example={"unit": "gigi", "reason": "wrong unit"},
    ),
)
