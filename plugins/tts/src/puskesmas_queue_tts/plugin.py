"""What the server calls."""

from pydantic import BaseModel

from puskesmas_queue.api import Announcer, Context, HealthCheck, Speech, Utterance, hookimpl
from puskesmas_queue_tts.engine import Voice
from puskesmas_queue_tts.health import health_checks
from puskesmas_queue_tts.running import Running
from puskesmas_queue_tts.settings import Settings

BUDGET_S = 0.85
"""Of the second that an announcer has; the rest is for what surrounds the engines."""
RUNNING: dict[str, Running] = {}
"""One for each clinic that this process serves, from its start to its end."""


@hookimpl
def register_settings() -> type[BaseModel]:
    """Bring the order of the engines."""
    return Settings


@hookimpl
def startup(ctx: Context) -> None:
    """Begin the engines; they load in the background."""
    assert ctx.folder is not None
    RUNNING[ctx.clinic_id] = Running(ctx.folder)
    RUNNING[ctx.clinic_id].engines(Settings.of(ctx).order)


@hookimpl
def shutdown(ctx: Context) -> None:
    """End them."""
    known = RUNNING.pop(ctx.clinic_id, None)
    if known is not None:
        known.stop()


@hookimpl
def register_announcers() -> list[Announcer]:
    """Bring the announcer `tts`."""
    return [Announcer("tts", speak)]


@hookimpl
def register_health_checks(ctx: Context) -> list[HealthCheck]:
    """Let each engine say whether it speaks."""
    return health_checks()


def speak(utterance: Utterance, ctx: Context) -> Speech:
    """Speak by the first engine that does."""
    known = RUNNING[ctx.clinic_id]
    voice = Voice(known.engines(Settings.of(ctx).order))
    spoken = voice.speak(utterance.parts, utterance.language, 1.0, BUDGET_S)
    return Speech(spoken.sounds)
