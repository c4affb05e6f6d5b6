"""What the server calls."""

import click
import httpx
from pydantic import BaseModel

from puskesmas_queue.api import (
    Context,
    Fact,
    Health,
    HealthCheck,
    NavItem,
    Panel,
    Permission,
    PluginDataUnavailable,
    PluginRequest,
    PluginRoute,
    Simulator,
    TemplateAnswer,
    TicketFact,
    hookimpl,
)
from puskesmas_queue_family_units import calls, webhook
from puskesmas_queue_family_units.settings import Settings, read_letters
from puskesmas_queue_family_units.simulator import Webhook

CLIENTS: dict[str, httpx.Client] = {}
"""One for each clinic that this process serves, from its start to its end."""


def settings_of(ctx: Context) -> Settings:
    """Return the plugin's settings; the defaults where what is stored cannot be used."""
    return ctx.config if isinstance(ctx.config, Settings) else Settings()


@hookimpl
def register_settings() -> type[BaseModel]:
    """Bring the table of letters and the webhook's address."""
    return Settings


@hookimpl
def format_ticket_number(prefix: str, sequence: int, ctx: Context) -> str | None:
    """Begin a number with the letters of its family unit."""
    letters = read_letters(settings_of(ctx).letters).get(prefix)
    return None if letters is None else f"{letters}-{sequence:03d}"


@hookimpl
def ticket_called(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Report a call; one that was reported before is not reported again."""
    settings = settings_of(ctx)
    if settings.address is None or calls.is_known(ctx, fact.id):
        return
    client = CLIENTS.get(ctx.clinic_id)
    if client is None:
        with _client() as once:
            webhook.post(once, settings, fact.id, webhook.body_of(fact, ticket))
    else:
        webhook.post(client, settings, fact.id, webhook.body_of(fact, ticket))
    calls.remember(ctx, fact, ticket)


@hookimpl
def startup(ctx: Context) -> None:
    """Open the connections that calls are reported by."""
    CLIENTS[ctx.clinic_id] = _client()


@hookimpl
def shutdown(ctx: Context) -> None:
    """Close them."""
    client = CLIENTS.pop(ctx.clinic_id, None)
    if client is not None:
        client.close()


def _client() -> httpx.Client:
    return httpx.Client(timeout=webhook.TIMEOUT_S, follow_redirects=False, trust_env=False)


# Screens


def show_calls(request: PluginRequest, ctx: Context) -> TemplateAnswer:
    """List the latest calls that were reported."""
    reported = calls.latest(ctx)
    is_set = settings_of(ctx).address is not None
    return TemplateAnswer("calls.html", {"reported": reported, "is_set": is_set})


def show_ticket(request: PluginRequest, ctx: Context) -> TemplateAnswer:
    """Say below a ticket whether its call was reported."""
    assert request.ticket is not None
    reported = calls.latest(ctx, request.ticket.id, 1)
    is_set = settings_of(ctx).address is not None
    values = {"ticket": request.ticket, "reported": reported, "is_set": is_set}
    return TemplateAnswer("panel.html", values)


@hookimpl
def register_routes() -> list[PluginRoute]:
    """Bring the page of calls, for whoever sees the day."""
    return [PluginRoute("/", show_calls, Permission.DAY_VIEW)]


@hookimpl
def register_nav() -> list[NavItem]:
    """Link to it."""
    return [NavItem("Laporan panggilan", "/", Permission.DAY_VIEW)]


@hookimpl
def register_panels() -> list[Panel]:
    """Show below the ticket at a counter whether its call was reported."""
    return [Panel("counter.ticket", "webhook", "Laporan panggilan", show_ticket)]


# Command, check, simulator


@click.group()
def commands() -> None:
    """Calls that were reported to the webhook."""


@commands.command("calls")
@click.pass_obj
def list_calls(ctx: Context) -> None:
    """List the latest calls that were reported."""
    for one in calls.latest(ctx):
        click.echo(f"{one.called_at:%Y-%m-%d %H:%M:%S}  {one.number}  counter {one.counter}")


@hookimpl
def register_commands() -> click.Command:
    """Bring `puskesmas-queue family_units calls`."""
    return commands


def look(ctx: Context) -> Health:
    """Say whether calls are reported."""
    if settings_of(ctx).address is None:
        return Health("note", "no address: calls are not reported")
    try:
        count = len(calls.latest(ctx, limit=50))
    except PluginDataUnavailable as error:
        return Health("wrong", str(error))
    return Health("ok", f"{count} of the latest 50 calls reported" if count else "no call yet")


@hookimpl
def register_health_checks() -> list[HealthCheck]:
    """Bring the check above."""
    return [HealthCheck("webhook", look)]


@hookimpl
def register_simulators() -> list[Simulator]:
    """Bring `puskesmas-queue simulate webhook`."""
    return [Simulator("webhook", Webhook)]
