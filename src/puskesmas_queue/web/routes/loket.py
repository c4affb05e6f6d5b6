"""
The counter page: call, recall, skip, serve, hold, complete, and what else staff do with numbers.

Every button is a plain form. With htmx the answer is the part of the page that changed; without
it the whole page again. A refusal comes as the same page with the reason on top, never as an
error page: what was on the screen stays there.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from starlette.responses import Response

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor, Permission
from puskesmas_queue.domain.errors import (
    AccessDenied,
    InvalidRequest,
    NotFound,
    QueueError,
    QuotaFull,
    StorageUnavailable,
)
from puskesmas_queue.domain.printers import PrinterPlace
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    TicketRequest,
)
from puskesmas_queue.services import (
    calling,
    counters,
    printer_alerts,
    sessions,
    tickets,
    transfers,
)
from puskesmas_queue.services import day as day_service
from puskesmas_queue.web.errors import error_text, status_of
from puskesmas_queue.web.page import Page, whole_number
from puskesmas_queue.web.routes.loket_page import (
    MAX_ID_FIGURES,
    desk,
    fixed_counter,
    number_of,
    session_of,
    side,
    side_or_page,
    whole_page,
)
from puskesmas_queue.web.routing import route

T = TypeVar("T")
MAX_REASON = 200
COUNTER_FIGURES = 9


def show(page: Page) -> Response:
    """Show the counter where this session works, or ask which one it shall be."""
    return whole_page(page)


def current(page: Page) -> Response:
    """Show the ticket of this counter alone; asked for when it changed elsewhere."""
    return desk(page)


def side_alone(page: Page) -> Response:
    """Show the right column without a chosen ticket."""
    return side(page)


def chosen(page: Page) -> Response:
    """Show one ticket of the list with what can be changed about it."""
    if not page.is_htmx:
        return page.redirect("/loket", ticket=page.path["id"])
    return side(page, ticket_id=_ticket_id(page))


# --- the counter -----------------------------------------------------------------------------


def open_counter(page: Page) -> Response:
    """Open a counter for this session, or go on after a pause."""
    number = whole_number(page.form.get("counter", ""), COUNTER_FIGURES)
    mine = session_of(page)
    return _move(
        page,
        lambda: counters.open_counter(
            page.clinic,
            number,
            mine,
            page.actor,
            fixed=fixed_counter(page),
            hold=sessions.hold_session,
        ),
    )


def pause_counter(page: Page) -> Response:
    """Stop calling for a while; a called ticket goes back to the line."""
    return _move(page, lambda: counters.pause_counter(page.clinic, session_of(page), page.actor))


def close_counter(page: Page) -> Response:
    """Leave the counter; where to work next is asked then."""
    return _move(page, lambda: counters.close_counter(page.clinic, session_of(page), page.actor))


def confirm_clock(page: Page) -> Response:
    """Confirm that the server's clock is right."""
    return _act(page, lambda: day_service.confirm_clock(page.clinic, page.actor))


def dismiss_printer_alert(page: Page) -> Response:
    """Show an alert of a printer no more: somebody saw to it."""
    names = ("zone", "place", "place_name", "printer")
    at = PrinterPlace(*(page.form.get(name, "") for name in names))
    return _act(page, lambda: printer_alerts.dismiss(page.clinic, at, page.actor))


# --- tickets ---------------------------------------------------------------------------------


def call_next(page: Page) -> Response:
    """Call whoever is next."""
    counter = number_of(page)
    if counter is None:
        return page.redirect("/loket", full=True)
    try:
        ticket = calling.call_next(page.clinic, counter, page.actor)
    except (AccessDenied, StorageUnavailable):
        raise
    except QueueError as error:
        return _refused(page, error)
    if ticket is not None:
        return _done(page)
    notice = (
        page.gettext("Tidak ada antrean"),
        page.gettext("Belum ada nomor yang menunggu untuk loket ini."),
    )
    return desk(page, notice=notice) if page.is_htmx else whole_page(page, notice=notice)


def recall(page: Page) -> Response:
    """Call the same number again."""
    return _at_own(page, calling.recall)


def serve(page: Page) -> Response:
    """Begin with a patient who came, or go on with one who was held."""
    return _at_own(page, calling.serve)


def skip(page: Page) -> Response:
    """Skip a number that nobody answered."""
    return _at_own(page, calling.skip)


def hold(page: Page) -> Response:
    """Set a patient aside whose papers are missing."""
    return _at_own(page, calling.hold)


def complete(page: Page) -> Response:
    """Finish with a patient."""
    return _at_own(page, calling.complete)


def reinsert(page: Page) -> Response:
    """Put a skipped number back into the line."""
    return _act(page, lambda: calling.reinsert(page.clinic, _ticket_id(page), page.actor))


def arrive(page: Page) -> Response:
    """Close an emergency's alert: the patient is at the UGD."""
    return _act(page, lambda: calling.arrive_emergency(page.clinic, _ticket_id(page), page.actor))


def cancel(page: Page) -> Response:
    """Cancel a number, with a reason."""
    reason = _reason(page, "reason")
    return _act(
        page,
        lambda: tickets.cancel_ticket(page.clinic, _ticket_id(page), reason, page.actor),
    )


def transfer(page: Page) -> Response:
    """Move a number to another unit or lane, with a reason."""
    unit = page.form.get("unit") or None
    reason = _reason(page, "reason")

    def run() -> object:
        lane = _word(Lane, page.form.get("lane"))
        return transfers.transfer_ticket(
            page.clinic, _ticket_id(page), unit, lane, reason, page.actor
        )

    return _act(page, run)


def issue(page: Page) -> Response:
    """Take a number for somebody who stands at the counter."""
    key = page.form.get("f") or None
    try:
        ticket = tickets.issue_ticket(page.clinic, _request(page), page.actor, key)
    except (AccessDenied, StorageUnavailable):
        raise
    except QueueError as error:
        text = error_text(page, error)
        is_full = isinstance(error, QuotaFull) or bool(page.form.get("exceed_reason"))
        return side_or_page(
            page, status=_status(error), side_error=text, is_full=is_full, form=page.form
        )
    return side_or_page(page, issued=ticket)


# --- answers ---------------------------------------------------------------------------------


def _act(page: Page, step: Callable[[], object]) -> Response:
    """Do one step and answer with the counter as it stands then."""
    try:
        step()
    except (AccessDenied, StorageUnavailable):
        raise
    except QueueError as error:
        return _refused(page, error)
    return _done(page)


def _at_own(page: Page, step: Callable[[Clinic, int, Actor, int], object]) -> Response:
    """Do one step with a ticket of this counter: an old page must not move another one's."""
    counter = number_of(page)
    if counter is None:
        return page.redirect("/loket", full=True)
    return _act(page, lambda: step(page.clinic, _ticket_id(page), page.actor, counter))


def _move(page: Page, step: Callable[[], object]) -> Response:
    """Do a step that changes more than the counter's ticket: the whole page comes anew."""
    try:
        step()
    except (AccessDenied, StorageUnavailable):
        raise
    except QueueError as error:
        return _refused(page, error)
    return page.redirect("/loket", full=True)


def _done(page: Page) -> Response:
    return desk(page) if page.is_htmx else page.redirect("/loket")


def _refused(page: Page, error: QueueError) -> Response:
    text = error_text(page, error)
    answer = desk if page.is_htmx else whole_page
    return answer(page, error=text, status=_status(error))


def _status(error: QueueError) -> int:
    """Status of a refusal that is shown on the page: nothing of it is the server's fault."""
    status = status_of(error)
    return status if status < HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus.CONFLICT


# --- reading the request ---------------------------------------------------------------------


def _ticket_id(page: Page) -> int:
    text = page.path["id"]  # the route takes figures only
    if len(text) > MAX_ID_FIGURES:
        raise NotFound("no such ticket")
    return int(text)


def _reason(page: Page, field: str) -> str:
    return page.form.get(field, "").strip()[:MAX_REASON]


def _request(page: Page) -> TicketRequest:
    lane = _word(Lane, page.form.get("lane")) or Lane.GENERAL
    reason = _word(PriorityReason, page.form.get("reason")) if lane is Lane.PRIORITY else None
    return TicketRequest(
        unit=page.form.get("unit", ""),
        lane=lane,
        payment_type=_word(PaymentType, page.form.get("payment")),
        priority_reason=reason,
        exceed_reason=_reason(page, "exceed_reason") or None,
    )


def _word(kind: Callable[[str], T], text: str | None) -> T | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest(f"unknown word {text!r}") from None


_POST = ("POST",)
_TICKET = "/loket/tickets/{id:int}"
_STEPS: dict[str, Callable[[Page], Response]] = {
    "recall": recall,
    "serve": serve,
    "skip": skip,
    "hold": hold,
    "complete": complete,
    "reinsert": reinsert,
    "arrive": arrive,
    "cancel": cancel,
    "transfer": transfer,
}
routes = [
    route("/loket", show, permission=Permission.CALL),
    route("/loket/current", current, permission=Permission.CALL, extends=False),
    route("/loket/side", side_alone, permission=Permission.CALL),
    route("/loket/open", open_counter, methods=_POST, permission=Permission.CALL),
    route("/loket/pause", pause_counter, methods=_POST, permission=Permission.CALL),
    route("/loket/close", close_counter, methods=_POST, permission=Permission.CALL),
    route("/loket/call-next", call_next, methods=_POST, permission=Permission.CALL),
    route("/loket/clock/confirm", confirm_clock, methods=_POST, permission=Permission.CALL),
    route(
        "/loket/printers/dismiss",
        dismiss_printer_alert,
        methods=_POST,
        permission=Permission.CALL,
    ),
    route("/loket/tickets", issue, methods=_POST, permission=Permission.CALL),
    route(_TICKET, chosen, permission=Permission.CALL),
    *(
        route(f"{_TICKET}/{name}", step, methods=_POST, permission=Permission.CALL)
        for name, step in _STEPS.items()
    ),
]
