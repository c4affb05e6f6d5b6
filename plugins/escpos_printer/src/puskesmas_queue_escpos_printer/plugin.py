"""What the server calls."""

import logging
from datetime import datetime, time, timedelta
from pathlib import Path

from pydantic import BaseModel

from puskesmas_queue.api import (
    Context,
    DayFact,
    HealthCheck,
    NavItem,
    Panel,
    Permission,
    PluginDataUnavailable,
    PluginRoute,
    Printed,
    Printer,
    RunningSimulator,
    Simulator,
    Slip,
    hookimpl,
)
from puskesmas_queue_escpos_printer import (
    day_pages,
    documents,
    encoding,
    health,
    jobs,
    pages,
    printing,
    setup_pages,
    slip_pages,
    turns,
)
from puskesmas_queue_escpos_printer.reasons import WORDS, Reason
from puskesmas_queue_escpos_printer.settings import Settings
from puskesmas_queue_escpos_printer.watch import Watch

log = logging.getLogger(__name__)
SHUTDOWN_S = 2.0
"""Each of the two waits at the end, of which the server has 5 s."""

WATCHES: dict[str, Watch] = {}
"""One for each clinic that this process serves, from its start to its end."""


@hookimpl
def register_settings() -> type[BaseModel]:
    """Bring how long the list of jobs is kept."""
    return Settings


def print_slip(slip: Slip, ctx: Context) -> Printed:
    """Print a ticket; a repeated request is told how the first one fared."""
    try:
        outcome = documents.print_ticket(ctx, slip)
    except PluginDataUnavailable as error:
        log.warning("a slip is not printed: %s", error)
        return Printed("failed", WORDS[Reason.NO_TABLES])
    return Printed(outcome.state, outcome.words)


@hookimpl
def register_routes() -> list[PluginRoute]:
    """Bring the pages of printers and jobs, of slips and of days."""
    viewing, setting = Permission.DAY_VIEW, Permission.MANAGE_SETTINGS
    both = ("GET", "POST")
    return [
        PluginRoute("/", pages.show, viewing),
        PluginRoute("/look", pages.look, viewing, ("POST",)),
        PluginRoute("/jobs/again", pages.print_again, Permission.CALL, ("POST",)),
        PluginRoute("/jobs/settled", pages.settle, Permission.CALL, ("POST",)),
        PluginRoute("/printers", setup_pages.show, setting),
        PluginRoute("/printers/new", setup_pages.add, setting, both),
        PluginRoute("/printers/{printer_id}", setup_pages.change, setting, both),
        PluginRoute("/printers/{printer_id}/remove", setup_pages.remove, setting, both),
        PluginRoute("/printers/{printer_id}/test", setup_pages.test, setting, ("POST",)),
        PluginRoute("/places", setup_pages.set_place, setting, ("POST",)),
        *slip_pages.ROUTES,
        *day_pages.ROUTES,
    ]


@hookimpl
def register_nav() -> list[NavItem]:
    """Link to the printers."""
    return [NavItem("Printer tiket", "/", Permission.DAY_VIEW)]


@hookimpl
def register_panels() -> list[Panel]:
    """Say on the page of the day which printer wants somebody, before a patient meets it."""
    return [Panel("dashboard", "printers", "Printer tiket", pages.panel)]


@hookimpl
def register_health_checks() -> list[HealthCheck]:
    """Bring the look at each printer, and at jobs that nobody saw to."""
    return health.CHECKS


@hookimpl
def register_printers() -> list[Printer]:
    """Bring the printer `escpos`."""
    return [Printer("escpos", print_slip)]


def start_simulator(folder: Path, port: int) -> RunningSimulator:
    """Start a printer to try things with."""
    from puskesmas_queue_escpos_printer.simulator import PrinterSimulator  # noqa: PLC0415  # rare

    return PrinterSimulator(folder, port)


@hookimpl
def register_simulators() -> list[Simulator]:
    """Bring `puskesmas-queue simulate printer`."""
    return [Simulator("printer", start_simulator)]


@hookimpl
def startup(ctx: Context) -> None:
    """End what a server that died left behind, and begin to look after the printers."""
    jobs.release_lost(ctx, is_starting=True)
    turns.release_all(ctx)
    WATCHES[ctx.clinic_id] = Watch(ctx)
    WATCHES[ctx.clinic_id].start()
    encoding.warm_up()


@hookimpl
def shutdown(ctx: Context) -> None:
    """Let what is being printed come to its end."""
    watch = WATCHES.pop(ctx.clinic_id, None)
    if watch is not None:
        watch.stop(SHUTDOWN_S)
    printing.join_all(ctx.clinic_id, SHUTDOWN_S)


@hookimpl
def day_closed(day: DayFact, ctx: Context) -> None:
    """Keep its totals, and print them where the clinic wants that; let go of old jobs."""
    day_pages.close(ctx, day, prints=Settings.of(ctx).prints_day)
    first = day.service_date - timedelta(days=Settings.of(ctx).keep_days - 1)
    jobs.forget(ctx, datetime.combine(first, time.min, ctx.zone))
