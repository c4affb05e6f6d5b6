"""
What the counter page is made of: its centre, its right column, and the whole of it.

The routes of `loket` answer with one of these; each reads the line once.
"""

import secrets

from starlette.responses import Response

from puskesmas_queue.domain.tickets import Ticket
from puskesmas_queue.services import counters
from puskesmas_queue.services.line import CounterLine, LineTicket, LineView, known_zone, seen_line
from puskesmas_queue.web.errors import Message
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routes.display import clock_context, live_topic

MAX_ID_FIGURES = 18


def desk(
    page: Page,
    *,
    error: Message | None = None,
    notice: Message | None = None,
    status: int = 200,
) -> Response:
    """Answer with the centre of the page."""
    line, counter = _seen(page)
    if counter is None:
        # Closed elsewhere, or the session's counter was given up: the page asks anew.
        return page.redirect("/loket", full=True)
    return page.fragment(
        "loket/current.html", status=status, line=line, counter=counter, error=error, notice=notice
    )


def side(
    page: Page,
    *,
    ticket_id: int | None = None,
    issued: Ticket | None = None,
    side_error: Message | None = None,
    is_full: bool = False,
    form: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Answer with the right column."""
    line, _ = _seen(page)
    return page.fragment(
        "loket/side.html",
        status=status,
        line=line,
        key=secrets.token_urlsafe(16),
        chosen=_find(line, ticket_id),
        issued=issued,
        side_error=side_error,
        is_full=is_full,
        form=form or {},
    )


def side_or_page(
    page: Page,
    *,
    issued: Ticket | None = None,
    side_error: Message | None = None,
    is_full: bool = False,
    form: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Answer with the right column, without htmx with the whole page."""
    answer = side if page.is_htmx else whole_page
    return answer(
        page, issued=issued, side_error=side_error, is_full=is_full, form=form, status=status
    )


def whole_page(
    page: Page,
    *,
    error: Message | None = None,
    notice: Message | None = None,
    issued: Ticket | None = None,
    side_error: Message | None = None,
    is_full: bool = False,
    form: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Answer with the whole page."""
    line, counter = _seen(page)
    if counter is None:
        return page.render(
            "loket/choose.html",
            status=status,
            line=line,
            error=error,
            fixed=fixed_counter(page),
            **clock_context(page),
        )
    wanted = page.query.get("ticket", "")
    is_id = wanted.isascii() and wanted.isdigit() and len(wanted) <= MAX_ID_FIGURES
    ticket_id = int(wanted) if is_id else None
    return page.render(
        "loket/index.html",
        status=status,
        line=line,
        topic=live_topic("counter", line.zone, page.lang),
        counter=counter,
        fixed=fixed_counter(page),
        key=secrets.token_urlsafe(16),
        chosen=_find(line, ticket_id),
        error=error,
        notice=notice,
        issued=issued,
        side_error=side_error,
        is_full=is_full,
        form=form or {},
        **clock_context(page),
    )


def session_of(page: Page) -> str:
    """Name the session that works here."""
    assert page.principal is not None  # the permission asks for a login
    return page.principal.session_hash


def number_of(page: Page) -> int | None:
    """Number of the counter that this session works at."""
    mine = counters.counter_of(page.clinic, session_of(page), fixed_counter(page))
    return None if mine is None else mine.number


def fixed_counter(page: Page) -> int | None:
    """Number of the counter that this computer is, None where it may be any."""
    return None if page.machine is None else page.machine.counter


def _seen(page: Page) -> tuple[LineView, CounterLine | None]:
    """Read the line with this session's counter in it: one reading, so that both agree."""
    mine = counters.counter_of(page.clinic, session_of(page), fixed_counter(page))
    zone = known_zone(page.clinic, page.zone) if mine is None else mine.zone
    line = seen_line(page.clinic, zone)
    if mine is None:
        return line, None
    return line, next((one for one in line.counters if one.number == mine.number), None)


def _find(line: LineView, ticket_id: int | None) -> LineTicket | None:
    at_counters = [counter.ticket for counter in line.counters if counter.ticket is not None]
    groups = (line.priority, line.general, line.held, line.skipped, at_counters)
    return next((one for group in groups for one in group if one.id == ticket_id), None)
