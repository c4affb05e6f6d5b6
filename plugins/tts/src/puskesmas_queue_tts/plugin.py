"""What the server calls."""

import logging

import click
from pydantic import BaseModel

from puskesmas_queue.api import (
    Announcer,
    Context,
    DayFact,
    Fact,
    HealthCheck,
    Lane,
    NavItem,
    Permission,
    PluginRoute,
    Speech,
    TicketFact,
    Utterance,
    hookimpl,
)
from puskesmas_queue_tts import pages, words_page
from puskesmas_queue_tts.clinic_voice import VOICES, ClinicVoice, voice_of
from puskesmas_queue_tts.engine import EngineFailed
from puskesmas_queue_tts.health import ANNOUNCER, health_checks
from puskesmas_queue_tts.settings import Settings

BUDGET_S = 0.85
"""Of the second that a call has; the rest is for what surrounds the engines."""
PAGE_BUDGET_S = 4.5
"""Of the five that a page of the kiosk has."""
MANAGE = Permission.MANAGE_SETTINGS
log = logging.getLogger(__name__)


@hookimpl
def register_settings() -> type[BaseModel]:
    """Bring the order of the engines, and what may be kept."""
    return Settings


@hookimpl
def startup(ctx: Context) -> None:
    """Begin the engines; they load in the background."""
    VOICES[ctx.clinic_id] = ClinicVoice(ctx)
    VOICES[ctx.clinic_id].start()


@hookimpl
def shutdown(ctx: Context) -> None:
    """End them."""
    known = VOICES.pop(ctx.clinic_id, None)
    if known is not None:
        known.stop()


@hookimpl
def ticket_issued(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Speak in advance what will be called; a fact that comes twice changes nothing."""
    known = VOICES.get(ctx.clinic_id)
    if known is not None and ticket.lane is not Lane.EMERGENCY:
        known.expect(ticket, ctx)


@hookimpl
def day_closed(fact: Fact, day: DayFact, ctx: Context) -> None:
    """Let go of what was expected of the day that ended."""
    known = VOICES.get(ctx.clinic_id)
    if known is not None:
        known.background.drop_wishes()


@hookimpl
def register_announcers() -> list[Announcer]:
    """Bring the announcer `tts`."""
    return [Announcer(ANNOUNCER, speak)]


@hookimpl
def register_health_checks(ctx: Context) -> list[HealthCheck]:
    """Let each engine say whether it speaks."""
    return health_checks()


@hookimpl
def register_commands() -> click.Command:
    """Bring `puskesmas-queue tts`."""
    # What fetches voices is loaded when somebody asks for it.
    from puskesmas_queue_tts.commands import tts  # noqa: PLC0415

    return tts


@hookimpl
def register_routes() -> list[PluginRoute]:
    """Bring the pages of the voice, for whoever sets the clinic up."""
    return [
        PluginRoute("/", pages.show, MANAGE),
        PluginRoute("/sounds/{language}", pages.play, MANAGE),
        PluginRoute("/empty", pages.empty, MANAGE, ("POST",)),
        PluginRoute("/zones/{zone}", pages.show_hall, MANAGE),
        PluginRoute("/zones/{zone}/save", pages.save_hall, MANAGE, ("POST",)),
        PluginRoute("/zones/{zone}/sound.wav", pages.play_hall, MANAGE),
        PluginRoute("/words", words_page.show, MANAGE),
        PluginRoute("/words/save", words_page.save, MANAGE, ("POST",)),
        PluginRoute("/words/forget", words_page.forget, MANAGE, ("POST",)),
    ]


@hookimpl
def register_nav() -> list[NavItem]:
    """Link to them."""
    return [NavItem("Suara", "/", MANAGE)]


def speak(utterance: Utterance, ctx: Context) -> Speech:
    """Speak by the first engine that does; where none does, the page's own browser speaks."""
    budget_s = BUDGET_S if utterance.kind == "call" else PAGE_BUDGET_S
    try:
        return voice_of(ctx).announce(utterance, ctx, budget_s)
    except EngineFailed as error:
        # No fault of the plugin: a clinic may have no voice yet.
        log.warning("voice: %s", error)
        return Speech()
