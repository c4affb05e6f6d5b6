"""What staff see: how the printers are, and what was printed."""

import secrets
from collections.abc import Mapping
from datetime import timedelta

from puskesmas_queue.api import (
    Answer,
    Context,
    PluginRequest,
    RedirectAnswer,
    Role,
    TemplateAnswer,
)
from puskesmas_queue_escpos_printer import documents, jobs, printers, watch
from puskesmas_queue_escpos_printer.jobs import Job
from puskesmas_queue_escpos_printer.reasons import WORDS
from puskesmas_queue_escpos_printer.tables import now_ms

HOME = "/x/escpos_printer/"
SHOWN = 40
TROUBLE_HOURS = 24
CALLERS = (Role.ADMIN, Role.PETUGAS_LOKET)
"""Who has `CALL`, which the buttons below the list ask for."""
TOLD = ("printed", "unsure", "failed", "settled", "gone")


def show(request: PluginRequest, ctx: Context) -> Answer:
    """Show the printers and the latest jobs."""
    jobs.release_lost(ctx)
    assert request.user is not None
    told = request.query.get("told", "")
    values = {
        **printer_values(ctx),
        "troubled": jobs.in_trouble(ctx, ctx.now - timedelta(hours=TROUBLE_HOURS)),
        "latest": jobs.latest(ctx, SHOWN),
        "may_print": request.user.role in CALLERS,
        "is_admin": request.user.role is Role.ADMIN,
        "told": told if told in TOLD else "",
        "token": lambda: f"again-{secrets.token_urlsafe(15)}",
    }
    return TemplateAnswer("queue.html", values)


def look(request: PluginRequest, ctx: Context) -> Answer:
    """Look at every printer now."""
    watch.look_at_all(ctx, [one for one in printers.all_printers(ctx) if one.is_active])
    return RedirectAnswer(HOME)


def print_again(request: PluginRequest, ctx: Context) -> Answer:
    """Print a ticket once more; a second click prints nothing."""
    job, new_job = _job(request.form, ctx), request.form.get("new_job", "")[:64]
    if job is None or not job.order.slip or not new_job:
        return RedirectAnswer(f"{HOME}?told=gone")
    try:
        outcome = documents.print_again(ctx, job, new_job)
    except ValueError:
        return RedirectAnswer(f"{HOME}?told=gone")
    return RedirectAnswer(f"{HOME}?told={outcome.state}")


def settle(request: PluginRequest, ctx: Context) -> Answer:
    """Take a job as printed: somebody has seen the paper."""
    job = _job(request.form, ctx)
    is_there = job is not None and jobs.settle(ctx, job.order, is_printed=True)
    return RedirectAnswer(f"{HOME}?told={'settled' if is_there else 'gone'}")


def panel(request: PluginRequest, ctx: Context) -> Answer:
    """Say on a page of the core whether a printer is in trouble."""
    values = {**printer_values(ctx), "ticket": request.ticket}
    return TemplateAnswer("printer_panel.html", values)


def printer_values(ctx: Context) -> Mapping[str, object]:
    """Return what the pieces of `_printers.html` need."""
    return {"printers": printers.all_printers(ctx), "now_ms": now_ms(), "words": WORDS}


def _job(form: Mapping[str, str], ctx: Context) -> Job | None:
    return jobs.find(ctx, form.get("subject", ""), form.get("job", ""))
