"""A ticket's own page on its owner's phone: open to whoever knows the code."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import Conflict, NotFound, TooOften
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services.line import seen_line, ticket_view
from puskesmas_queue.services.tickets import cancel_own
from puskesmas_queue.web.addresses import group_of
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routes.display import clock_context
from puskesmas_queue.web.routing import route

MAX_CODE = 20


def find(page: Page) -> Response:
    """Go to the page of a code that was typed, in whatever way people type codes."""
    typed = page.query.get("code", "")
    code = "".join(letter for letter in typed.upper() if letter.isalnum())[:MAX_CODE]
    if not code:
        return page.render("phone/unknown.html", code="")
    return page.redirect(f"/t/{code}")


def status(page: Page) -> Response:
    """Show a ticket; an unknown code is told kindly."""
    return _show(page)


def cancel(page: Page) -> Response:
    """Cancel a ticket that was not called yet; otherwise its page says why that is too late."""
    code = page.path["code"].upper()
    try:
        with as_owner(page, code):
            cancel_own(page.clinic, code, page.actor)
    except NotFound:
        return _unknown(page)
    except Conflict:
        _ = page.gettext
        return _show(
            page,
            refused=_(
                "Nomor Anda sudah dipanggil atau selesai. Hanya petugas yang dapat mengubahnya."
            ),
            answer=409,
        )
    return page.redirect(f"/t/{code}")


@contextmanager
def as_owner(page: Page, code: str) -> Iterator[None]:
    """
    Look something up by a ticket's code, which only its owner should know.

    Raises:
        TooOften: From this address came too many codes that nobody has.
    """
    codes, address = page.limits.codes, group_of(page.facts.address)
    # The phones' own port sets no cookie: browsers of one address are one there.
    owner = address if page.facts.is_public_port else page.device
    wait_s = codes.wait_s(address, owner, code)
    if wait_s:
        raise TooOften(wait_s)
    try:
        yield
    except NotFound:
        codes.was_wrong(address)
        raise
    codes.was_right(owner, code)


def _show(page: Page, refused: str | None = None, answer: int = 200) -> Response:
    code = page.path["code"].upper()
    try:
        with as_owner(page, code):
            view = ticket_view(page.clinic, code)
    except NotFound:
        return _unknown(page)
    ticket, clinic = view.ticket, page.clinic
    called = []
    if ticket.state in (TicketState.WAITING, TicketState.CONFIRMED):
        called = [
            (counter.ticket.number, counter.number, counter.ticket.state)
            for counter in seen_line(clinic, ticket.zone).counters
            if counter.ticket is not None
        ]
    return page.render(
        "phone/ticket.html",
        status=answer,
        view=view,
        zone=ticket.zone,
        called=called,
        hold_minutes=clinic.settings.get("queue.hold_minutes"),
        refused=refused,
        **clock_context(page),
    )


def _unknown(page: Page) -> Response:
    return page.render("phone/unknown.html", status=404, code=page.path["code"][:MAX_CODE].upper())


routes = [
    route("/t", find, permission=Permission.PUBLIC, is_for_phones=True),
    route("/t/{code}", status, permission=Permission.PUBLIC, is_for_phones=True),
    route(
        "/t/{code}/cancel",
        cancel,
        methods=("POST",),
        permission=Permission.PUBLIC,
        is_for_phones=True,
    ),
]
