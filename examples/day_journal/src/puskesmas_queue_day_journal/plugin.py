"""What the server calls."""

from datetime import timedelta

from pydantic import BaseModel

from puskesmas_queue.api import (
    Context,
    DayFact,
    Fact,
    Lane,
    NavItem,
    Permission,
    PluginRoute,
    TicketFact,
    TicketRequest,
    hookimpl,
)
from puskesmas_queue_day_journal import journal, pages
from puskesmas_queue_day_journal.settings import Settings
from puskesmas_queue_day_journal.waiting import Waiting

WAITING: dict[str, Waiting] = {}
"""One for each clinic that this process serves, from its start to its end."""


@hookimpl
def register_settings() -> type[BaseModel]:
    """Bring the limit, and how long the journal is kept."""
    return Settings


# The journal


@hookimpl
def ticket_issued(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down a number that was given."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_called(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down a call."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_recalled(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that somebody had to be called again."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_serving(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that somebody came."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_skipped(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that nobody came."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_held(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that somebody was asked to wait."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_completed(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that somebody was served."""
    _keep(fact, ticket, ctx)


@hookimpl
def ticket_cancelled(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down that somebody went; `fact.reason` is about a person and stays out."""
    _keep(fact, ticket, ctx)


@hookimpl
def emergency_announced(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Write down an emergency."""
    _keep(fact, ticket, ctx)


@hookimpl
def day_closed(fact: Fact, day: DayFact, ctx: Context) -> None:
    """Close the day, and let go of what is old."""
    journal.close(ctx, fact, day)
    journal.forget(ctx, day.service_date - timedelta(days=Settings.of(ctx).keep_days - 1))
    _look(ctx)


def _keep(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    journal.keep(ctx, fact, ticket)
    _look(ctx)


def _look(ctx: Context) -> None:
    if ctx.clinic_id in WAITING and Settings.of(ctx).most_waiting:
        WAITING[ctx.clinic_id].look()


# The limit


@hookimpl
def check_ticket_request(request: TicketRequest, ctx: Context) -> str | None:
    """Object to one more number where as many wait as the clinic can bear."""
    most = Settings.of(ctx).most_waiting
    known = WAITING.get(ctx.clinic_id)
    if not most or known is None or request.lane is not Lane.GENERAL:
        return None
    if known.count(request.unit) < most:
        return None
    return f"Sudah {most} orang menunggu di poli ini. Silakan kembali nanti atau tanya petugas."


@hookimpl
def startup(ctx: Context) -> None:
    """Begin to count."""
    WAITING[ctx.clinic_id] = Waiting(ctx)
    WAITING[ctx.clinic_id].start()


@hookimpl
def shutdown(ctx: Context) -> None:
    """End it."""
    known = WAITING.pop(ctx.clinic_id, None)
    if known is not None:
        known.stop()


# Screens


@hookimpl
def register_routes() -> list[PluginRoute]:
    """Bring the page of a day, and what its form is sent to."""
    return [
        PluginRoute("/", pages.show, Permission.DAY_VIEW),
        PluginRoute("/notes", pages.add_note, Permission.DAY_VIEW, ("POST",)),
    ]


@hookimpl
def register_nav() -> list[NavItem]:
    """Link to the page."""
    return [NavItem("Jurnal", "/", Permission.DAY_VIEW)]
