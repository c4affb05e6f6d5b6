"""The demo's own page: where everything is, and what moves its clock and its hall."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from starlette.responses import JSONResponse, Response

from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.domain.access import Actor, Permission, Role
from puskesmas_queue.domain.errors import InvalidRequest
from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.services import day, demo_lists, sessions, tickets, tokens
from puskesmas_queue.services.line import all_units
from puskesmas_queue.simulators.arrivals import dice, draw_request
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route

MAX_ARRIVALS = 500
MAX_ADVANCE_S = 366 * 24 * 3600
SHOWN = 20
VISITOR = Actor("device", name="demo", device="demo-visitor")


@dataclass(slots=True)
class DemoState:
    """What the demo knows beside its clinic; logins are dicts of username, password, role."""

    clock: ShiftedClock
    logins: Sequence[Mapping[str, str]]
    pages: Mapping[str, str]
    simulators: Mapping[str, str] = field(default_factory=dict)
    rng: random.Random = field(default_factory=lambda: dice(7))


def show(page: Page) -> Response:
    """Show the demo's page."""
    state = _state(page)
    return page.render(
        "demo.html",
        logins=state.logins,
        pages=state.pages,
        simulators=state.simulators,
        now=page.clinic.clock.now(),
        printed=demo_lists.printed(page.clinic, SHOWN),
        announced=demo_lists.announced(page.clinic, SHOWN),
    )


def move_clock(page: Page) -> Response:
    """Move the clinic's clock to a time or on by seconds; the clock guard takes it for right."""
    state = _state(page)
    at, advance_s = page.form.get("at"), page.form.get("advance_s")
    if (at is None) == (advance_s is None):
        raise InvalidRequest("give at or advance_s")
    before = page.clinic.clock.now()
    if at is not None:
        state.clock.move_to(_instant(page, at))
    else:
        step = timedelta(seconds=_number(advance_s or "", MAX_ADVANCE_S))
        _check_year(before + step)
        state.clock.advance(step)
    # Moving the clock is no idle time: nobody is logged out by it.
    moved = page.clinic.clock.now() - before
    sessions.shift_sessions(page.clinic, moved)
    tokens.shift_programs(page.clinic, moved)
    if page.form.get("rebase", "true") != "false":
        day.confirm_clock(page.clinic, page.actor)
    return _answer(page, {"now": page.clinic.clock.now().isoformat()})


def arrivals(page: Page) -> Response:
    """Let people take numbers."""
    count = int(_number(page.form.get("count", "1"), MAX_ARRIVALS))
    lane_text, unit = page.form.get("lane") or None, page.form.get("unit") or None
    try:
        lane = None if lane_text is None else Lane(lane_text)
    except ValueError:
        raise InvalidRequest("no such lane") from None
    if count < 1 or lane is Lane.EMERGENCY:
        raise InvalidRequest("people arrive in the priority or the general lane")
    rng, units = _state(page).rng, all_units(page.clinic)
    codes = [one.code for one in units if one.is_active and not one.is_emergency]
    numbers = [
        tickets.issue_ticket(page.clinic, draw_request(rng, codes, lane, unit), VISITOR).number
        for _ in range(count)
    ]
    return _answer(page, {"numbers": numbers})


def printed(page: Page) -> Response:
    """List the slips that the kiosk printed, newest first."""
    return JSONResponse({"printed": demo_lists.printed(page.clinic, SHOWN * 5)})


def announced(page: Page) -> Response:
    """List what was announced, newest first."""
    return JSONResponse({"announced": demo_lists.announced(page.clinic, SHOWN * 5)})


def hall(page: Page) -> Response:
    """Say what there is for those who play a morning: time, units, counters and their logins."""
    logins = [one for one in _state(page).logins if one["role"] == Role.PETUGAS_LOKET.value]
    return JSONResponse({**demo_lists.hall(page.clinic), "logins": logins})


def day_tickets(page: Page) -> Response:
    """List a day's tickets."""
    return JSONResponse({"tickets": demo_lists.tickets_of(page.clinic, _day(page))})


def day_events(page: Page) -> Response:
    """List what happened to a day's tickets and at its counters."""
    return JSONResponse({"events": demo_lists.events_of(page.clinic, _day(page))})


def _day(page: Page) -> date:
    try:
        return date.fromisoformat(page.query.get("date", ""))
    except ValueError:
        raise InvalidRequest("date is not an ISO date") from None


def _state(page: Page) -> DemoState:
    state: DemoState = page.request.app.state.demo
    return state


def _answer(page: Page, value: dict[str, object]) -> Response:
    if "text/html" in page.request.headers.get("accept", ""):
        return page.redirect("/demo")
    return JSONResponse(value)


def _instant(page: Page, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("at is not an ISO time") from None
    _check_year(at)
    return at if at.tzinfo is not None else at.replace(tzinfo=page.clinic.timezone)


def _check_year(at: datetime) -> None:
    if not 2020 <= at.year <= 2100:
        raise InvalidRequest("that is too far away")


def _number(text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidRequest(f"not a number: {text[:20]}") from None
    if not -most <= value <= most:
        raise InvalidRequest(f"at most {most:.0f}")
    return value


routes = [
    route("/demo", show, permission=Permission.DEMO),
    route("/demo/clock", move_clock, methods=("POST",), permission=Permission.DEMO),
    route("/demo/arrivals", arrivals, methods=("POST",), permission=Permission.DEMO),
    route("/demo/printed", printed, permission=Permission.DEMO),
    route("/demo/announced", announced, permission=Permission.DEMO),
    route("/demo/hall", hall, permission=Permission.DEMO),
    route("/demo/tickets", day_tickets, permission=Permission.DEMO),
    route("/demo/events", day_events, permission=Permission.DEMO),
]
