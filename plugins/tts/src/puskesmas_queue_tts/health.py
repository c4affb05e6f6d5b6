"""Whether each engine speaks, for `doctor` and the page of the plugin: it is tried."""

import io
import time
import wave
from functools import partial

from puskesmas_queue.api import Context, Health, HealthCheck
from puskesmas_queue_tts.engine import Engine, EngineFailed
from puskesmas_queue_tts.running import Warm, make_engines
from puskesmas_queue_tts.settings import ENGINES, Settings
from puskesmas_queue_tts.voices import LANGUAGES

TRIAL_S = 4.0
WORDS = {"id": "Nomor antrean, A, nol nol satu.", "en": "Ticket number, A, zero zero one."}


def health_checks() -> list[HealthCheck]:
    """Make one check for each engine there could be."""
    return [HealthCheck(name, partial(_look, name)) for name in ENGINES]


def _look(name: str, ctx: Context) -> Health:
    if name not in Settings.of(ctx).order:
        return Health("note", "not in the setting engines: it is not asked")
    assert ctx.folder is not None
    # Engines of its own: doctor may run beside the server, and must not stand in its way.
    for engine in make_engines(ctx.folder, [name]):
        try:
            return _try(engine)
        finally:
            if isinstance(engine, Warm):
                engine.stop()
    return Health("note", "it is not there")


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
        return Health("note", next(filter(None, problems.values())))
    return Health("ok", "speaks " + ", ".join(told))
