"""What the administrator hears and sets, below `/x/tts/`: the voice itself and each hall."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from puskesmas_queue.api import (
    Answer,
    Call,
    Context,
    PluginRequest,
    RedirectAnswer,
    TemplateAnswer,
    TextAnswer,
    Utterance,
    word_call,
)
from puskesmas_queue_tts import clips_check, wav, zones
from puskesmas_queue_tts.clinic_voice import ClinicVoice, voice_of
from puskesmas_queue_tts.engine import Engine, EngineFailed, Problem, TextRefused
from puskesmas_queue_tts.pronunciation import LANGUAGES
from puskesmas_queue_tts.refusal import LONGEST, Reason, Unspeakable, plain
from puskesmas_queue_tts.settings import ENGINES, Settings
from puskesmas_queue_tts.words import sentences
from puskesmas_queue_tts.zones import CHIMES, REPEATS, SPEEDS, ZoneVoice

HOME = "/x/tts/"
LISTEN_S = 6.0
"""Whoever tries the voice out waits longer than the hall."""
FIRST_ZONE = "main"
"""The hall of a clinic's preset, until another one is heard of."""
SAMPLE = Call("P-003", "P", 3, 1, "id")
WAV = "audio/wav"


@dataclass(frozen=True, slots=True)
class EngineView:
    """
    How an engine stands.

    Args:
        name: Its name.
        place: In the order in which they are asked, from 1; None: not asked.
        problems: Why it cannot speak a language, by language; None where it can.
        is_resting: Whether it failed lately and is left alone for a while.
    """

    name: str
    place: int | None
    problems: Mapping[str, Problem | None]
    is_resting: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """
    A text that somebody wants to hear.

    Args:
        text: As it was typed.
        language: `id` or `en`.
        engine: Whose voice; empty: the first that speaks.
        spoken: The same in words, as people read it; empty where there is nothing to hear.
        problem: Why it is not spoken.
    """

    text: str
    language: str
    engine: str
    spoken: str = ""
    problem: Reason | None = None

    @property
    def address(self) -> str:
        """Where its sound is."""
        values = urlencode({"text": self.text, "engine": self.engine})
        return f"{HOME}sounds/{self.language}?{values}"


def show(request: PluginRequest, ctx: Context) -> Answer:
    """Show the voices, let somebody hear a text, and list the halls."""
    voice = voice_of(ctx)
    voice.tables.refresh(ctx)
    trial = _trial(request.query, voice)
    kept = voice.sounds.state()
    values = {
        "engines": _engines(voice, ctx),
        "trial": trial,
        "longest": LONGEST["page"],
        "halls": _halls(ctx),
        "kept_count": kept.count,
        "kept_mb": kept.size / 1_000_000,
        "limit_mb": Settings.of(ctx).cache_mb,
        "waiting": voice.background.waiting,
        "clips_folder": str(voice.clips.folder),
        "clips": _clips(voice),
        "done": request.query.get("done", ""),
    }
    return TemplateAnswer("voice.html", values, 422 if trial.problem else 200)


def play(request: PluginRequest, ctx: Context) -> Answer:
    """Speak a text, as a WAV file."""
    if request.values["language"] not in LANGUAGES:
        return TextAnswer("no such language\n", status=404)
    voice = voice_of(ctx)
    voice.tables.refresh(ctx)
    trial = _trial({"text": "", **request.query, **request.values}, voice)
    if not trial.spoken:
        return TextAnswer("this text is not spoken\n", status=422)
    parts = sentences(plain(trial.text, "page"), voice.tables.words.entries(trial.language, ""))
    try:
        said = voice.say(parts, trial.language, ctx, LISTEN_S, trial.engine)
        return TextAnswer(wav.chained(said.sounds), WAV)
    except (EngineFailed, wav.NotWave) as error:
        return TextAnswer(f"{error}\n", status=503)


def empty(request: PluginRequest, ctx: Context) -> Answer:
    """Delete what is kept."""
    voice = voice_of(ctx)
    voice.sounds.clear()
    voice.changed()
    return RedirectAnswer(f"{HOME}?done=emptied#kept-title")


# Halls


def show_hall(request: PluginRequest, ctx: Context) -> Answer:
    """Show how a hall is spoken to, with its announcement to listen to."""
    hall = _hall(ctx, request.values["zone"])
    if hall is None:
        return RedirectAnswer(HOME)
    return _hall_page(ctx, hall, request.query)


def save_hall(request: PluginRequest, ctx: Context) -> Answer:
    """Store how a hall is spoken to."""
    hall = _hall(ctx, request.values["zone"])
    if hall is None:
        return RedirectAnswer(HOME)
    wanted = ZoneVoice(
        hall.zone,
        _number(request.form.get("speed", "")),
        request.form.get("chime", ""),
        _number(request.form.get("repeats", "")),
        hall.heard_at,
    )
    if not zones.save(ctx, wanted):
        return _hall_page(ctx, hall, {}, is_wrong=True)
    voice_of(ctx).changed()
    return RedirectAnswer(f"{HOME}zones/{quote(hall.zone, safe='')}?done=saved")


def play_hall(request: PluginRequest, ctx: Context) -> Answer:
    """Speak a call as the TV of a hall would, as one WAV file."""
    hall = _hall(ctx, request.values["zone"])
    if hall is None:
        return TextAnswer("no such hall\n", status=404)
    voice, language = voice_of(ctx), _language(ctx)
    number, counter = _sample(request.query)
    try:
        speech = voice.rehearse(_utterance(number, counter, language, hall.zone), ctx, LISTEN_S)
        return TextAnswer(wav.chained(speech.sound), WAV)
    except (EngineFailed, wav.NotWave) as error:
        return TextAnswer(f"{error}\n", status=503)


def _hall_page(
    ctx: Context, hall: ZoneVoice, query: Mapping[str, str], *, is_wrong: bool = False
) -> Answer:
    voice, language = voice_of(ctx), _language(ctx)
    number, counter = _sample(query)
    utterance = _utterance(number, counter, language, hall.zone)
    sample = urlencode({"number": number, "counter": counter})
    values = {
        "hall": hall,
        "speeds": SPEEDS,
        "chimes": CHIMES,
        "repeats": REPEATS,
        "has_own_chime": voice.clips.chime(language) is not None,
        "number": number,
        "counter": counter,
        "text": " ".join(utterance.parts),
        "sound": f"{HOME}zones/{quote(hall.zone, safe='')}/sound.wav?{sample}",
        "is_on": ctx.settings.get("display.voice"),
        "is_first": ctx.settings.get("display.announcers")[0] == "tts",
        "is_wrong": is_wrong,
        "done": query.get("done", ""),
    }
    return TemplateAnswer("hall.html", values, 422 if is_wrong else 200)


def _halls(ctx: Context) -> list[ZoneVoice]:
    return zones.load(ctx) or [ZoneVoice(FIRST_ZONE)]


def _hall(ctx: Context, zone: str) -> ZoneVoice | None:
    return next((one for one in _halls(ctx) if one.zone == zone), None)


def _utterance(number: str, counter: int, language: str, zone: str) -> Utterance:
    prefix, _, sequence = number.rpartition("-")
    digits = int(sequence) if sequence.isdecimal() else 1
    words = word_call(Call(number, prefix[:1] or "A", digits, counter, language))
    return Utterance((words.number_text, words.direction_text), language, zone, "call")


def _sample(query: Mapping[str, str]) -> tuple[str, int]:
    """Return the number and the counter that somebody wants to hear."""
    number = query.get("number", "").strip().upper()
    is_number = 1 <= len(number) <= 12 and number.isascii() and number.replace("-", "").isalnum()
    counter = _number(query.get("counter", ""))
    return number if is_number else SAMPLE.number, counter if 1 <= counter <= 99 else SAMPLE.counter


# Pieces


def _engines(voice: ClinicVoice, ctx: Context) -> list[EngineView]:
    speaker, order = voice.speaker(ctx), Settings.of(ctx).order
    asked: dict[str, Engine] = {one.name: one for one in speaker.voice.engines}
    return [
        EngineView(
            name,
            order.index(name) + 1 if name in order else None,
            {language: asked[name].problem(language) for language in LANGUAGES}
            if name in asked
            else {},
            name in asked and speaker.voice.is_resting(asked[name]),
        )
        for name in sorted(ENGINES, key=lambda one: order.index(one) if one in order else 9)
    ]


def _trial(query: Mapping[str, str], voice: ClinicVoice) -> Trial:
    language = query.get("language", LANGUAGES[0])
    engine = query.get("engine", "")
    trial = Trial(
        query.get("text", ""),
        language if language in LANGUAGES else LANGUAGES[0],
        engine if engine in ENGINES else "",
    )
    if "text" not in query:
        return trial
    try:
        entries = voice.tables.words.entries(trial.language, "")
        found = sentences(plain(trial.text, "page"), entries)
        spoken = " ".join(voice.tables.worded("", one, trial.language) for one in found)
    except (Unspeakable, TextRefused) as error:
        cause = error if isinstance(error, Unspeakable) else error.__cause__
        reason: Reason = cause.reason if isinstance(cause, Unspeakable) else "silent"
        return Trial(trial.text, trial.language, trial.engine, problem=reason)
    return Trial(trial.text, trial.language, trial.engine, spoken)


def _clips(voice: ClinicVoice) -> list[tuple[str, int]]:
    """Return the languages that were recorded, each with how many recordings are missing."""
    folder = voice.clips.folder
    return [(one, len(clips_check.missing(folder, one))) for one in clips_check.languages(folder)]


def _language(ctx: Context) -> str:
    language: str = ctx.settings.get("display.language")
    return language


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
