"""Whether each engine speaks, for `doctor` and the page of the plugin: it is tried."""

import time
from functools import partial

from puskesmas_queue.api import Context, Health, HealthCheck
from puskesmas_queue_tts import wav
from puskesmas_queue_tts.clinic_voice import VOICES
from puskesmas_queue_tts.engine import Engine, EngineFailed, EngineStarting
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
        return Health("ok", "the hall uses it")
    chosen = ", ".join((ANNOUNCER, *order))
    how = f'puskesmas-queue settings set display.announcers "{chosen}"'
    return Health("note", "the hall does not use it: %(how)s", {"how": how})


def _look(name: str, ctx: Context) -> Health:
    order = Settings.of(ctx).order
    if name not in order:
        return Health("note", "not in the setting engines: it is not asked")
    known = VOICES.get(ctx.clinic_id)
    running = () if known is None else known.running.engines(order)
    for engine in running:
        if engine.name == name:
            return _try(engine)
    # The server is another process, or is off: one that lives as long as this check.
    assert ctx.folder is not None
    (engine,) = make_engines(ctx.folder, [name])
    try:
        return _try(engine)
    finally:
        if isinstance(engine, Warm):
            engine.stop()


def _try(engine: Engine) -> Health:
    """Speak a sentence in each language that the engine has."""
    spoilt = engine.spoilt() if isinstance(engine, Piper) else None
    if spoilt is not None:
        return Health("wrong", "the voice cannot be used: %(why)s", {"why": spoilt})
    problems = {language: engine.problem(language) for language in LANGUAGES}
    end = time.monotonic() + TRIAL_S
    told = []
    for language, problem in problems.items():
        if problem is not None:
            continue
        began = time.monotonic()
        try:
            sound = engine.synthesise(WORDS[language], language, 1.0, end - began)
            spoken_s = wav.read(sound).seconds
        except EngineStarting:
            # A small computer needs longer for it than a check may take: nobody has to do anything.
            return Health("note", "the voice is being loaded, look again in a minute")
        except (EngineFailed, wav.NotWave) as error:
            return Health("wrong", f"{language}: {error}")
        told.append(f"{language}: {spoken_s:.1f} s in {time.monotonic() - began:.1f} s")
    if not told:
        problem = next(one for one in problems.values() if one is not None)
        return Health("note", problem.text, dict(problem.values))
    return Health("ok", "speaks %(told)s", {"told": ", ".join(told)})
