"""The page on which the slip of a day is printed, and the printing of it when a day is closed."""

import logging
import secrets
from datetime import date, datetime, time

from puskesmas_queue.api import (
    Answer,
    Context,
    DayFact,
    Permission,
    PluginRequest,
    PluginRoute,
    TemplateAnswer,
)
from puskesmas_queue_escpos_printer import days, documents, encoding, printers, template_store
from puskesmas_queue_escpos_printer.printers import Printer
from puskesmas_queue_escpos_printer.printing import Outcome
from puskesmas_queue_escpos_printer.values import head_of

log = logging.getLogger(__name__)
KIND = "day"


def show(request: PluginRequest, ctx: Context) -> Answer:
    """List the days that were closed, or print the slip of one."""
    if request.method != "POST":
        return _page(ctx)
    found = _day(request, ctx)
    chosen = [one for one in _active(ctx) if one.printer_id == request.form.get("printer")]
    if found is None or not chosen:
        return _page(ctx, is_gone=True)
    job = request.form.get("job", "")[:64] or secrets.token_urlsafe(16)
    outcome = print_day(ctx, found, job, chosen, request.language)
    return _page(ctx, found, outcome)


def print_day(
    ctx: Context, day: DayFact, job: str, choice: list[Printer], language: str = "id"
) -> Outcome:
    """
    Print the slip of a day.

    Args:
        ctx: Of the plugin.
        day: Its totals.
        job: The same for a second click.
        choice: By which printers, first choice first.
        language: Of the slip.

    Raises:
        PluginDataUnavailable: Nothing was printed.
    """
    template = template_store.template_of(ctx, KIND)
    head = head_of(ctx, language)
    return documents.print_document(
        ctx,
        KIND,
        job,
        choice,
        lambda one: encoding.encode_day_slip(day, head, template, one.profile),
    )


def close(ctx: Context, day: DayFact, *, prints: bool) -> None:
    """
    Keep a day that ended, and print its slip where the clinic wants that, once.

    Raises:
        PluginDataUnavailable: It was not kept.
    """
    is_new = days.keep(ctx, day)
    if not prints or not is_new:
        return
    outcome = print_day(ctx, day, f"day-{day.service_date}-closed", _active(ctx))
    if outcome.state != "printed":
        why = outcome.reason.words if outcome.reason else outcome.detail
        log.warning("slip of %s: %s: %s", day.service_date, outcome.state, why)


def _page(
    ctx: Context,
    day: DayFact | None = None,
    outcome: Outcome | None = None,
    *,
    is_gone: bool = False,
) -> Answer:
    noon = time(12)
    values = {
        # The templates' dates are moments: noon is on the day in every clinic's zone.
        "days": [
            (one, datetime.combine(one.service_date, noon, ctx.zone)) for one in days.latest(ctx)
        ],
        "printers": _active(ctx),
        "printed": day,
        "printed_noon": datetime.combine(day.service_date, noon, ctx.zone) if day else None,
        "outcome": outcome,
        "is_gone": is_gone,
        # Sent twice by an impatient hand, it is one slip.
        "job": secrets.token_urlsafe(16),
    }
    return TemplateAnswer("days.html", values, 422 if is_gone else 200)


def _active(ctx: Context) -> list[Printer]:
    return printers.order_for(ctx, "counter", "")


def _day(request: PluginRequest, ctx: Context) -> DayFact | None:
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        return None
    return days.find(ctx, day)


ROUTES = [PluginRoute("/days", show, Permission.DAY_VIEW, ("GET", "POST"))]
"""Below `/x/escpos_printer`."""
