"""All that speaks in a clinic, from its server's start to its end."""

import threading
import time
from collections.abc import Sequence

from puskesmas_queue.api import Context, Speech, TicketFact, Utterance
from puskesmas_queue_tts import zones
from puskesmas_queue_tts.background import Background, Wish
from puskesmas_queue_tts.clips import FOLDER as CLIPS
from puskesmas_queue_tts.clips import Clips
from puskesmas_queue_tts.engine import EngineFailed, Voice
from puskesmas_queue_tts.expected import likely_texts
from puskesmas_queue_tts.running import Running
from puskesmas_queue_tts.settings import Settings
from puskesmas_queue_tts.sounds import Sounds
from puskesmas_queue_tts.speaking import Said, Speaker
from puskesmas_queue_tts.wording import Tables
from puskesmas_queue_tts.zones import ZoneVoice

KEPT = "kept"
"""Of the plugin's folder: what was spoken before."""
IN_ADVANCE_S = 6.0
"""Nobody waits for what is spoken in advance."""
HEARD_EVERY_S = 30.0
MB = 1_000_000
VOICES: dict[str, "ClinicVoice"] = {}
"""One for each clinic that this process serves, from its start to its end."""


class ClinicVoice:
    """
    The voice of one clinic in this process.

    Args:
        ctx: Of the plugin's start; its tables and folder stay the same.
    """

    def __init__(self, ctx: Context) -> None:
        assert ctx.folder is not None
        self._ctx = ctx
        self.running = Running(ctx.folder)
        self.clips = Clips(ctx.folder / CLIPS)
        self.sounds = Sounds(ctx.folder / KEPT, Settings.of(ctx).cache_mb * MB)
        self.background = Background(self.sounds, self._is_quiet, self._speak_wish)
        self.tables = Tables(self.background.soon)
        self._speaker: Speaker | None = None
        self._heard: dict[str, float] = {}
        self._known_zones: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin the engines and the thread behind."""
        self.tables.refresh(self._ctx)
        self.speaker(self._ctx)
        self.background.start()

    def stop(self) -> None:
        """End them."""
        self.background.end()
        # What is being spoken in advance fails with its engine, so that nobody waits for it.
        self.running.stop()
        self.background.stop()

    def speaker(self, ctx: Context) -> Speaker:
        """Return who speaks, by the settings as they are now."""
        settings = Settings.of(ctx)
        self.sounds.limit = settings.cache_mb * MB
        engines = self.running.engines(settings.order)
        for one in (self.clips, *engines):
            if isinstance(one, Clips):
                one.recorded = {"id": settings.recorded_language}
        with self._lock:
            self._ctx = ctx
            if self._speaker is None or self._speaker.voice.engines != engines:
                keep, chime = self.background.keep, self.clips.chime
                self._speaker = Speaker(Voice(engines), self.tables, self.sounds, keep, chime)
            return self._speaker

    def announce(self, utterance: Utterance, ctx: Context, budget_s: float) -> Speech:
        """
        Speak for a hall.

        Raises:
            EngineFailed: See `Speaker.announce`.
        """
        speech = self.speaker(ctx).announce(utterance, ctx, budget_s)
        if utterance.kind == "call":
            self._note_heard(utterance.zone, ctx)
        return speech

    def changed(self) -> None:
        """Let what was set just now count at once, and speak anew in advance what follows it."""
        self.tables.forget()
        self.background.forget()

    def rehearse(self, utterance: Utterance, ctx: Context, budget_s: float) -> Speech:
        """
        Speak as for a hall to somebody who tries it out.

        Raises:
            EngineFailed: See `Speaker.announce`.
        """
        return self.speaker(ctx).announce(utterance, ctx, budget_s)

    def say(
        self, parts: Sequence[str], language: str, ctx: Context, budget_s: float, only: str = ""
    ) -> Said:
        """
        Speak something at the voice's own speed to somebody who tries it out.

        Raises:
            EngineFailed: See `Speaker.say`.
        """
        self.tables.refresh(ctx)
        return self.speaker(ctx).say(parts, language, ZoneVoice(""), budget_s, only)

    def expect(self, ticket: TicketFact, ctx: Context) -> None:
        """Speak in advance what follows a number that was taken."""
        self.speaker(ctx)  # what was set since the last call counts for them too
        language = ctx.settings.get("display.language")
        texts = likely_texts(ticket, language)
        self.background.wish(Wish(text, language, ticket.zone) for text in texts)
        if ticket.zone not in self._known_zones:
            zones.note_there(ctx, ticket.zone)
            self._known_zones.add(ticket.zone)

    def _is_quiet(self, seconds: float) -> bool:
        return self._speaker is None or self._speaker.is_quiet(seconds)

    def _speak_wish(self, wish: Wish) -> bool:
        self.tables.refresh(self._ctx)
        speaker, zone = self.speaker(self._ctx), self.tables.zone(wish.zone)
        # The voice that is asked first: what another one said would not be played once this can.
        able = [one for one in speaker.voice.engines if one.problem(wish.language) is None]
        if not able:
            raise EngineFailed("no voice works")
        said = speaker.say([wish.text], wish.language, zone, IN_ADVANCE_S, able[0].name)
        return not said.was_kept

    def _note_heard(self, zone: str, ctx: Context) -> None:
        now = time.monotonic()
        if now - self._heard.get(zone, -HEARD_EVERY_S) >= HEARD_EVERY_S:
            self._heard[zone] = now
            self.background.soon(lambda: zones.note_heard(ctx, zone))


def voice_of(ctx: Context) -> ClinicVoice:
    """
    Return the voice of a clinic.

    Raises:
        EngineFailed: Its server ends, or could not begin it.
    """
    known = VOICES.get(ctx.clinic_id)
    if known is None:
        raise EngineFailed("the voice was not begun, or was ended")
    return known
