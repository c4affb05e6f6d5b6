"""
The kiosk: one question a page, then the number.

The answers so far travel in the address, so that every page works as a plain link or form. So
does the key `f`, drawn once per visit: a double tap, the back button or a retry after a lost
answer all carry the same key and give one ticket.

Source: screens, "Kiosk"; domain rules, section 3.
"""

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from starlette.responses import JSONResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import (
    ClockUnconfirmed,
    InvalidRequest,
    KeyReused,
    KioskClosed,
    QuotaFull,
    StorageUnavailable,
    TooOften,
    UnitClosed,
    UnknownName,
)
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Ticket,
    TicketRequest,
)
from puskesmas_queue.services import providers
from puskesmas_queue.services.line import UnitLine, all_units, known_zone, seen_line, ticket_view
from puskesmas_queue.services.tickets import find_ticket, issue_emergency, issue_ticket
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routes.ticket import as_owner
from puskesmas_queue.web.routing import route

KEY_BYTES = 15
KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
KIOSK_PAYMENTS = (PaymentType.BPJS, PaymentType.UMUM)
"""What can be chosen here; a regional scheme is found out at the counter."""


@dataclass(frozen=True, slots=True)
class Answers:
    """
    What a visitor has answered so far, as it came: each value may be missing or wrong.

    `asks_payment` is the clinic's choice and decides how many questions there are.
    """

    f: str
    lane: Lane | None
    reason: PriorityReason | None
    payment: PaymentType | None
    asks_payment: bool
    zone: str | None

    @classmethod
    def read(cls, page: Page) -> Self:
        """Take the answers of a request, form before address."""
        given = {**page.query, **page.form}
        lane = given.get("lane")
        reason = given.get("reason")
        payment = given.get("payment")
        return cls(
            f=given.get("f", ""),
            lane=Lane(lane) if lane in (Lane.PRIORITY, Lane.GENERAL) else None,
            reason=PriorityReason(reason) if reason in set(PriorityReason) else None,
            payment=PaymentType(payment) if payment in KIOSK_PAYMENTS else None,
            asks_payment=page.clinic.settings.get("kiosk.ask_payment"),
            zone=page.query.get("zone"),
        )

    @property
    def steps(self) -> int:
        """How many questions there are."""
        return 3 if self.asks_payment else 2

    def missing(self, *, payment: bool = False) -> str | None:
        """
        Return the page that asks for the first answer lacking, None where nothing is.

        Args:
            payment: Whether how the visit is paid has to be known already.
        """
        if KEY.fullmatch(self.f) is None:
            return "/kiosk/new"
        if self.lane is None:
            return "/kiosk/category"
        if self.lane is Lane.PRIORITY and self.reason is None:
            return "/kiosk/reason"
        if payment and self.asks_payment and self.payment is None:
            return "/kiosk/payment"
        return None

    def query(self, **more: str | None) -> dict[str, Any]:
        """Return what the next address carries."""
        values = {
            "f": self.f,
            "lane": self.lane,
            "reason": self.reason if self.lane is Lane.PRIORITY else None,
            "payment": self.payment if self.asks_payment else None,
            "zone": self.zone,
            **more,
        }
        return {name: str(value) for name, value in values.items() if value}


def start(page: Page) -> Response:
    """Show the first page; closed hours and a clock in doubt leave the emergency tile only."""
    zone = known_zone(page.clinic, page.zone)
    line = seen_line(page.clinic, zone)
    state = "open"
    if line.clock_fault is not None:
        state = "blocked"
    elif line.opens_at is not None:
        state = "closed"
    response = page.render(
        "kiosk/start.html",
        f=_new_key(),
        line=line,
        zone=zone,
        state=state,
        waiting=sum(unit.waiting for unit in line.units if not unit.is_emergency),
        emergency_units=[unit.code for unit in line.units if unit.is_emergency],
    )
    return page.keep_paired(response)


def new(page: Page) -> Response:
    """Begin a visit: draw its key."""
    return page.redirect("/kiosk/category", f=_new_key(), zone=page.query.get("zone"))


def category(page: Page) -> Response:
    """Ask for the lane."""
    answers = Answers.read(page)
    if KEY.fullmatch(answers.f) is None:
        return page.redirect("/kiosk/new", zone=answers.zone)
    return page.render("kiosk/category.html", **_common(page, answers))


def reason(page: Page) -> Response:
    """Ask a priority patient for the reason."""
    answers = Answers.read(page)
    if answers.lane is not Lane.PRIORITY or KEY.fullmatch(answers.f) is None:
        return page.redirect("/kiosk/category", **answers.query())
    return page.render("kiosk/reason.html", **_common(page, answers))


def payment(page: Page) -> Response:
    """Ask how the visit is paid."""
    answers = Answers.read(page)
    lacking = answers.missing()
    if lacking is not None:
        return page.redirect(lacking, **answers.query())
    if not answers.asks_payment:
        return page.redirect("/kiosk/unit", **answers.query())
    return page.render("kiosk/payment.html", **_common(page, answers))


def unit(page: Page) -> Response:
    """Ask for the unit; what was refused before is said on top."""
    answers = Answers.read(page)
    lacking = answers.missing(payment=True)
    if lacking is not None:
        return page.redirect(lacking, **answers.query())
    zone = known_zone(page.clinic, page.zone)
    line = seen_line(page.clinic, zone)
    refused = page.query.get("refused")
    error = page.query.get("error")
    return page.render(
        "kiosk/unit.html",
        units=_offered(line.units),
        step=answers.steps,
        error=error if error in ("full", "closed") else None,
        refused=next((one for one in line.units if one.code == refused), None),
        **_common(page, answers),
    )


def issue(page: Page) -> Response:
    """Give the number and go to its page; a refusal goes back to the question it is about."""
    answers = Answers.read(page)
    chosen = page.form.get("unit", "")
    lacking = answers.missing(payment=True)
    if lacking is not None or answers.lane is None:
        return page.redirect(lacking or "/kiosk/new", **answers.query())
    request = TicketRequest(
        unit=chosen,
        lane=answers.lane,
        payment_type=answers.payment if answers.asks_payment else None,
        priority_reason=answers.reason if answers.lane is Lane.PRIORITY else None,
    )
    try:
        ticket = _limited(page, request, answers.f)
    except KeyReused as error:
        code = find_ticket(page.clinic, error.ticket_id).code
        return page.redirect(f"/kiosk/ticket/{code}", already="1", zone=answers.zone)
    except (KioskClosed, ClockUnconfirmed):
        return page.redirect("/kiosk", zone=answers.zone)
    except QuotaFull:
        return page.redirect("/kiosk/unit", **answers.query(error="full", refused=chosen))
    except (UnitClosed, UnknownName, InvalidRequest):
        return page.redirect("/kiosk/unit", **answers.query(error="closed", refused=chosen))
    return page.redirect(f"/kiosk/ticket/{ticket.code}", print="1", zone=answers.zone)


def emergency(page: Page) -> Response:
    """Send to UGD. The way there is shown whatever happens to the number."""
    f = page.form.get("f", "")
    # Its own key: the same visitor may first have asked for an ordinary number.
    key = f"{f}-e" if KEY.fullmatch(f) else None
    # Too many give no number, but the way there as ever.
    if is_limited(page) and page.limits.emergencies.take(machine(page), key or ""):
        return _direction(page, number=None, code="")
    try:
        ticket = issue_emergency(page.clinic, page.actor, key)
    except KeyReused as error:
        ticket = find_ticket(page.clinic, error.ticket_id)
    except (ClockUnconfirmed, UnitClosed, StorageUnavailable):
        return _direction(page, number=None, code="")
    return page.redirect(f"/kiosk/ticket/{ticket.code}", zone=page.query.get("zone"))


def ticket(page: Page) -> Response:
    """Show a number: printed once, cleared after a while."""
    code = page.path["code"]
    with as_owner(page, code):
        view = ticket_view(page.clinic, code)
    if view.ticket.lane is Lane.EMERGENCY:
        return _direction(page, number=view.ticket.number, code=view.ticket.code)
    return page.render(
        "kiosk/ticket.html",
        view=view,
        zone=known_zone(page.clinic, page.zone),
        print_now=page.query.get("print") == "1",
        already=page.query.get("already") == "1",
        by_page=providers.is_printed_by_page(page.clinic),
    )


def print_slip(page: Page) -> Response:
    """Print a slip by the clinic's printers; the page may be told to do it itself."""
    if is_limited(page):
        wait_s = page.limits.slips.take(machine(page))
        if wait_s:
            raise TooOften(wait_s)
    code = page.path["code"]
    with as_owner(page, code):
        order = providers.PrintOrder(
            code,
            page.lang,
            place_name=_kiosk_name(page),
            zone=known_zone(page.clinic, page.zone),
            job=page.form.get("job", ""),
        )
        printed = providers.print_slip(page.clinic, order)
    return JSONResponse({"state": printed.state})


def help_page(page: Page) -> Response:
    """Say how it works."""
    return page.render("kiosk/help.html", zone=known_zone(page.clinic, page.zone))


def is_limited(page: Page) -> bool:
    """Whether what this device takes is counted: not in a demo, nor of the server's machine."""
    return not (page.facts.is_local or page.limits.is_demo)


def machine(page: Page) -> str:
    """Name what the limits count for: the paired kiosk, else the browser."""
    return page.device if page.machine is None else page.machine.mark


def _kiosk_name(page: Page) -> str:
    """Name the kiosk that asks: as it was paired, else by the hall that it stands in."""
    return known_zone(page.clinic, page.zone) if page.machine is None else page.machine.name


def _limited(page: Page, request: TicketRequest, f: str) -> Ticket:
    """Issue, unless this device had too many; a double tap and a refusal count for nothing."""
    if not is_limited(page):
        return issue_ticket(page.clinic, request, page.actor, f)
    return page.limits.give(
        machine(page), f, lambda: issue_ticket(page.clinic, request, page.actor, f)
    )


def _new_key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def _after_lane(answers: Answers) -> str:
    return "/kiosk/payment" if answers.asks_payment else "/kiosk/unit"


def _common(page: Page, answers: Answers) -> dict[str, Any]:
    """Return what every question shows."""
    return {
        "f": answers.f,
        "lane": answers.lane,
        "reason": answers.reason,
        "payment": answers.payment,
        "answers": answers,
        "steps": answers.steps,
        "after_lane": _after_lane(answers),
        "before_payment": "/kiosk/reason" if answers.lane is Lane.PRIORITY else "/kiosk/category",
        "zone": known_zone(page.clinic, page.zone),
    }


def _offered(units: tuple[UnitLine, ...]) -> list[UnitLine]:
    return [one for one in units if one.is_active and not one.is_emergency]


def _direction(page: Page, *, number: str | None, code: str) -> Response:
    ugd = None
    with suppress(StorageUnavailable):
        units = all_units(page.clinic)
        ugd = next((one for one in units if one.is_emergency and one.is_active), None)
    return page.render(
        "kiosk/emergency.html",
        number=number,
        code=code,
        place=(ugd.room or ugd.name) if ugd is not None else None,
        zone=known_zone(page.clinic, page.zone),
    )


routes = [
    route("/kiosk", start, permission=Permission.KIOSK),
    route("/kiosk/new", new, permission=Permission.KIOSK),
    route("/kiosk/category", category, permission=Permission.KIOSK),
    route("/kiosk/reason", reason, permission=Permission.KIOSK),
    route("/kiosk/payment", payment, permission=Permission.KIOSK),
    route("/kiosk/unit", unit, permission=Permission.KIOSK),
    route("/kiosk/tickets", issue, methods=("POST",), permission=Permission.KIOSK),
    route("/kiosk/ticket/{code}", ticket, permission=Permission.KIOSK),
    route(
        "/kiosk/ticket/{code}/print",
        print_slip,
        methods=("POST",),
        permission=Permission.KIOSK,
        asks_neighbour=True,
    ),
    route("/kiosk/emergency", emergency, methods=("POST",), permission=Permission.KIOSK),
    route("/kiosk/help", help_page, permission=Permission.KIOSK),
]
