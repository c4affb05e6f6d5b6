"""From what is to be said to what is heard: words, a voice, what was kept, chime and repeats."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from puskesmas_queue.api import Context, Speech, Utterance
from puskesmas_queue_tts import wav
from puskesmas_queue_tts.engine import EngineFailed, TextRefused, Voice
from puskesmas_queue_tts.refusal import Unspeakable, plain
from puskesmas_queue_tts.sounds import Sounds, key_of
from puskesmas_queue_tts.wording import Tables
from puskesmas_queue_tts.words import sentences
from puskesmas_queue_tts.zones import ZoneVoice

LONGEST_CALL_S = 23.0
"""The next call begins 25 s after this one, whether or not it came to its end."""
PAUSE_S = 0.7
"""Between two repeats."""
Offer = Callable[[str, bytes], None]
"""Takes a sound that was made just now, by its key."""
OwnChime = Callable[[str], bytes | None]
"""Returns the chime that the clinic recorded for a language."""


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a voice said.

    Args:
        engine: Whose voice it is.
        sounds: A WAV file for each part, without chime and repeats.
        was_kept: Whether all of it had been spoken before.
    """

    engine: str
    sounds: tuple[bytes, ...]
    was_kept: bool


class Speaker:
    """
    The voice of a clinic, for as long as its settings stay.

    Args:
        voice: The engines in their order.
        tables: What the clinic set.
        sounds: What was spoken before.
        offer: Told of each new sound, so that it is kept; must not take time.
        own_chime: The chime that the clinic recorded.
    """

    def __init__(
        self,
        voice: Voice,
        tables: Tables,
        sounds: Sounds,
        offer: Offer,
        own_chime: OwnChime = lambda language: None,
    ) -> None:
        self.voice = voice
        self.tables = tables
        self.sounds = sounds
        self._offer = offer
        self._own_chime = own_chime
        self._lock = threading.Lock()
        self._busy = 0
        self._quiet_since = time.monotonic()

    def announce(self, utterance: Utterance, ctx: Context, budget_s: float) -> Speech:
        """
        Speak a call or a page as its hall wants it.

        Raises:
            EngineFailed: No engine did it in time, or it cannot be spoken.
        """
        self.tables.refresh(ctx)
        zone = self.tables.zone(utterance.zone)
        with self._calling():
            said = self.say(parts_of(utterance, self.tables), utterance.language, zone, budget_s)
        if utterance.kind == "page":
            return Speech(said.sounds)
        return self.arrange(said, utterance.language, zone)

    def say(
        self,
        parts: Sequence[str],
        language: str,
        zone: ZoneVoice,
        budget_s: float,
        only: str = "",
    ) -> Said:
        """
        Speak halves or sentences, by one engine only where it is named.

        Raises:
            EngineFailed: No engine did it in time, or it cannot be spoken.
        """
        asked: dict[str, list[str]] = {}
        missed: set[tuple[str, str]] = set()

        def kept(fingerprint: str, spoken: str) -> bytes | None:
            asked.setdefault(fingerprint, []).append(spoken)
            found = self.sounds.find(key_of(fingerprint, zone.speed, spoken))
            if found is None:
                missed.add((fingerprint, spoken))
            return found

        def worded(engine: str, part: str) -> str:
            return self.tables.worded(engine, part, language)

        voice = self.voice
        if only:
            # Whoever tries one engine out hears that one, and why it is silent.
            voice = Voice([one for one in voice.engines if one.name == only])
        spoken = voice.speak(parts, language, zone.speed, budget_s, kept, worded)
        made = zip(asked[spoken.fingerprint], spoken.sounds, strict=True)
        new = {text: sound for text, sound in made if (spoken.fingerprint, text) in missed}
        for text, sound in new.items():
            self._offer(key_of(spoken.fingerprint, zone.speed, text), sound)
        return Said(spoken.engine, spoken.sounds, not new)

    def arrange(self, said: Said, language: str, zone: ZoneVoice) -> Speech:
        """Put the chime of a hall before what was said, and repeat it as often as there is time."""
        try:
            heard = [wav.read(one) for one in said.sounds]
            chime = self._chime(language, zone, heard[0].rate)
            before = () if chime is None else (chime,)
            once_s = sum(one.seconds for one in heard)
            left_s = LONGEST_CALL_S - once_s - sum(wav.read(one).seconds for one in before)
        except wav.NotWave as error:
            raise EngineFailed(f"{said.engine} made no sound: {error}") from error
        pause = wav.write(wav.silence(PAUSE_S, heard[0].rate))
        times = min(zone.repeats - 1, max(0, int(left_s / (PAUSE_S + once_s))))
        # "none" too is what the hall wants: the TV is to make no chime either.
        has_chime = chime is not None or zone.chime == "none"
        return Speech(before + said.sounds + (pause, *said.sounds) * times, has_chime=has_chime)

    def is_quiet(self, seconds: float) -> bool:
        """Say whether nobody was spoken to for some time."""
        with self._lock:
            return not self._busy and time.monotonic() - self._quiet_since >= seconds

    @contextmanager
    def _calling(self) -> Iterator[None]:
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._quiet_since = time.monotonic()

    def _chime(self, language: str, zone: ZoneVoice, rate: int) -> bytes | None:
        if zone.chime in wav.CHIMES:
            return wav.chime(zone.chime, rate)
        return self._own_chime(language) if zone.chime == "clips" else None


def parts_of(utterance: Utterance, tables: Tables) -> list[str]:
    """
    Return what is spoken as a sound of its own: the halves of a call, the sentences of a page.

    Raises:
        TextRefused: Something of it cannot be spoken.
    """
    try:
        texts = [plain(part, utterance.kind) for part in utterance.parts]
    except Unspeakable as error:
        raise TextRefused(str(error)) from error
    if utterance.kind == "call":
        return texts
    entries = tables.words.entries(utterance.language, "")
    return [sentence for text in texts for sentence in sentences(text, entries)]
