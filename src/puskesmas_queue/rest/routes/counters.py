"""Counters: opening, pausing, closing, and calling the next ticket."""

from collections.abc import Callable

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain import tickets as domain
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import (
    CounterBusy,
    CounterClosed,
    CounterTaken,
    KeyTaken,
    NotFound,
    QueueError,
)
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.schemas import Counter, In, Out, Ticket
from puskesmas_queue.rest.tickets import document_of
from puskesmas_queue.services import desks
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.services.desks import DeskCounter

SUBJECT = "counters"


class Nothing(In):
    """Nothing needs to be sent."""


def open_counter(call: Call) -> Reply:
    """Open a counter for this program, or go on after a pause."""
    return _once(
        call,
        lambda clinic: desks.open_counter(clinic, call.path["number"], call.family, call.actor),
    )


def pause_counter(call: Call) -> Reply:
    """Pause a counter: its called ticket goes back to the line, a served one is held."""
    return _once(
        call,
        lambda clinic: desks.pause_counter(clinic, call.path["number"], call.family, call.actor),
    )


def close_counter(call: Call) -> Reply:
    """Close a counter; its called ticket goes back to the line, a served one is held."""
    return _once(
        call,
        lambda clinic: desks.close_counter(clinic, call.path["number"], call.family, call.actor),
    )


def call_next(call: Call) -> Reply:
    """Complete what the counter serves and call the next ticket there."""

    def kept(ticket: domain.Ticket | None) -> Reply:
        if ticket is None:
            return reply(204)
        return reply(200, document_of(call.clinic, ticket, is_staff=call.is_staff))

    return call.once(
        lambda clinic: desks.call_next(clinic, call.path["number"], call.family, call.actor), kept
    )


def _once(call: Call, act: Callable[[Clinic], DeskCounter]) -> Reply:
    return call.once(act, lambda counter: reply(200, _document(counter)))


def _document(counter: DeskCounter) -> Counter:
    return Counter(
        number=counter.number,
        zone=counter.zone,
        state=counter.state,  # type: ignore[arg-type]  # checked by the model
        user_name=counter.user_name,
        units=list(counter.units),
    )


def _endpoint(
    action: str,
    handler: Callable[[Call], Reply],
    answers: dict[int, type[Out] | None],
    *refusals: type[QueueError],
    more: str = "",
) -> Endpoint:
    return Endpoint(
        "POST",
        f"/counters/{{number}}/{action}",
        handler,
        Permission.CALL,
        SUBJECT,
        summary=str(handler.__doc__).rstrip("."),
        answers=answers,
        refusals=(NotFound, CounterTaken, KeyTaken, *refusals),
        body=Nothing,
        is_body_needed=False,
        takes_key="answer",
        more=more,
    )


endpoints = (
    _endpoint("open", open_counter, {200: Counter}),
    _endpoint("pause", pause_counter, {200: Counter}, CounterClosed),
    _endpoint("close", close_counter, {200: Counter}),
    _endpoint(
        "call-next",
        call_next,
        {200: Ticket, 204: None},
        CounterBusy,
        CounterClosed,
        more="204 where nobody waits, 409 while a called ticket was not answered. The counter is "
        "opened for the program if nobody holds it; a program may hold several.",
    ),
)
