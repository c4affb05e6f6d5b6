"""Whether each engine speaks, for `doctor` and the page of the plugin: it is tried."""

import io
import time
import wave
from functools import partial

from puskesmas_queue.api import Context, Health, HealthCheck
from puskesmas_queue_tts.engine import Engine, EngineFailed
from puskesmas_queue_tts.piper import Piper
from puskesmas_queue_tts.running import Warm, make_engines
from puskesmas_queue_tts.settings import ENGINES, Settings
from puskesmas_queue_tts.voices import LANGUAGES

ANNOUNCER = "tts"
TRIAL_S = 4.0
WORDS = {"id": "Nomor antrean, A, nol nol satu.", "en": "Ticket number, A, zero zero one."}


def health_checks() -> list[HealthCheck]:
    """Make one check for each engine there could be, and one whether the clinic lets it speak."""
    engines = [HealthCheck(name, partial(_look, name)) for name in ENGINES]
    return [HealthCheck("announcer", _look_chosen), *engines]


def _look_chosen(ctx: Context) -> Health:
    order = ctx.settings.get("display.announcers")
    if ANNOUNCER in order:
        return Health("ok", "display.announcers has it")
    chosen = ", ".join((ANNOUNCER, *order))
    return Health("note", f'the hall does not use it: settings set display.announcers "{chosen}"')


def _look(name: str, ctx: Context) -> Health:
    if name not in Settings.of(ctx).order:
        return Health("note", "not in the setting engines: it is not asked")
    assert ctx.folder is not None
    # Engines of its own: doctor may run beside the server, and must not stand in its way.
    (engine,) = make_engines(ctx.folder, [name])
    try:
        if isinstance(engine, Piper) and engine.is_spoilt():
            return Health(
                "wrong", next(problem for problem in map(engine.problem, LANGUAGES) if problem)
            )
        return _try(engine)
    finally:
        if isinstance(engine, Warm):
            engine.stop()


def _try(engine: Engine) -> Health:
    """Speak a sentence in each language that the engine has."""
    problems = {language: engine.problem(language) for language in LANGUAGES}
    end = time.monotonic() + TRIAL_S
    told = []
    for language, problem in problems.items():
        if problem is not None:
            continue
        began = time.monotonic()
        try:
            sound = engine.synthesise(WORDS[language], language, 1.0, end - began)
        except EngineFailed as error:
            return Health("wrong", f"{language}: {error}")
        with wave.open(io.BytesIO(sound)) as file:
            spoken_s = file.getnframes() / file.getframerate()
        told.append(f"{language}: {spoken_s:.1f} s in {time.monotonic() - began:.1f} s")
    if not told:
        is_spoilt = isinstance(engine, Piper) and engine.is_spoilt()
        return Health("wrong" if is_spoilt else "note", next(filter(None, problems.values())))
    return Health("ok", "speaks " + ", ".join(told))
