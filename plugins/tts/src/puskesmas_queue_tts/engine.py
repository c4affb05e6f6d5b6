"""
What turns text into sound, and which of several is asked.

    EngineFailed
    ├── EngineStarting
    └── TextRefused
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

LONGEST_TEXT = 400
"""Characters of one part; half a minute of speech."""
RESERVE_S = 0.15
"""What is kept of the time for each engine that could still be asked."""
PATIENT_S = 2.0
"""Who has more time than this speaks in advance, and lets calls go first."""
REST_S = 5.0
LONGEST_REST_S = 300.0
log = logging.getLogger(__name__)


class EngineFailed(Exception):
    """No sound came; `str()` says why, in one line."""


class EngineStarting(EngineFailed):
    """It is being loaded and will speak in a moment: no reason to leave it alone."""


class TextRefused(EngineFailed):
    """This text cannot be spoken, others can: no reason to leave an engine alone either."""


class Problem(str):
    """
    Why an engine cannot speak, as a line in English, of which pages look the text up.

    Args:
        text: The line, with `%(name)s` for what varies.
        values: What stands there.
    """

    __slots__ = ("text", "values")

    text: str
    values: Mapping[str, str | int]

    def __new__(cls, text: str, **values: str | int) -> Self:
        line = super().__new__(cls, text % values if values else text)
        line.text, line.values = text, values
        return line


class Engine(Protocol):
    """
    Something that speaks. It may be called from several threads at once.

    Args:
        name: As the setting `engines` names it.
    """

    @property
    def name(self) -> str:
        """Its name in the setting `engines`: small letters."""

    def problem(self, language: str) -> Problem | None:
        """
        Say why it cannot speak a language, None where it can.

        Quick, and without a look at the network: it is asked before every announcement.

        Args:
            language: `id` or `en`.
        """

    def fingerprint(self, language: str) -> str:
        """
        Name the voice that speaks a language, for the keys of what is kept.

        It differs wherever the sound would: engine, its version and the voice's own content.
        """

    def synthesise(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        """
        Speak a text.

        Args:
            text: 1 to `LONGEST_TEXT` characters with something to say in them.
            language: `id` or `en`.
            speed: 1.0 is the voice's own; 0.5 to 2.0.
            deadline_s: After so many seconds the sound is of no use.

        Returns:
            A WAV file, 16-bit mono, at the voice's own rate.

        Raises:
            EngineFailed: It cannot, or not in time. `EngineStarting` and `TextRefused` where it
                need not be left alone afterwards.
        """


@dataclass(frozen=True, slots=True)
class Spoken:
    """
    Parts of an announcement, all by one voice.

    Args:
        sounds: A WAV file for each part.
        engine: Who spoke.
        fingerprint: Of the voice; the keys of what is kept begin with it.
    """

    sounds: tuple[bytes, ...]
    engine: str
    fingerprint: str


Worded = Callable[[str, str], str]
"""Words a part for an engine, named first: each misreads other things."""
Kept = Callable[[str, str], bytes | None]
"""Looks up what a voice, named by its fingerprint, said of a text before."""


class Voice:
    """
    The engines of a clinic in their order: the first that speaks in time counts.

    One that failed is left alone for a while, twice as long each further time, so that a dead
    engine does not cost each call its share of the second. Who has time asks it all the same.

    Args:
        engines: In the order in which they are asked.
        clock: Seconds that never go back.
    """

    def __init__(
        self, engines: Sequence[Engine], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engines = tuple(engines)
        self._clock = clock
        self._rests: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def is_resting(self, engine: Engine) -> bool:
        """Say whether an engine failed lately and is left alone."""
        with self._lock:
            until, _ = self._rests.get(engine.name, (0.0, 0.0))
        return self._clock() < until

    def speak(
        self,
        parts: Sequence[str],
        language: str,
        speed: float,
        budget_s: float,
        kept: Kept = lambda fingerprint, text: None,
        worded: Worded = lambda engine, part: part,
    ) -> Spoken:
        """
        Speak all parts with one voice.

        Args:
            parts: Each is a sound of its own.
            language: `id` or `en`.
            speed: See `Engine.synthesise`.
            budget_s: Seconds for everything.
            kept: What was spoken before; it is asked even for an engine that rests.
            worded: What an engine is given for a part. It may raise `TextRefused`.

        Raises:
            EngineFailed: No engine did it in time; every reason is told.
        """
        end = self._clock() + budget_s
        able = [one for one in self.engines if one.problem(language) is None]
        reasons = []
        for place, engine in enumerate(able):
            reserve_s = (len(able) - place - 1) * RESERVE_S
            try:
                texts = [worded(engine.name, part) for part in parts]
                may_wake = budget_s > PATIENT_S
                return self._speak(
                    engine, texts, language, speed, end - reserve_s, kept, may_wake=may_wake
                )
            except EngineFailed as error:
                reasons.append(f"{engine.name}: {error}")
        raise EngineFailed("; ".join(reasons) or f"no engine speaks {language}")

    def _speak(
        self,
        engine: Engine,
        texts: Sequence[str],
        language: str,
        speed: float,
        end: float,
        kept: Kept,
        *,
        may_wake: bool,
    ) -> Spoken:
        for text in texts:
            refuse_unspeakable(text)
        fingerprint = engine.fingerprint(language)
        known = [kept(fingerprint, text) for text in texts]
        is_new = None in known
        if is_new and not may_wake and self.is_resting(engine):
            raise EngineFailed("failed lately")
        if is_new and self._clock() >= end:
            raise EngineFailed("no time left")
        try:
            sounds = tuple(
                engine.synthesise(text, language, speed, self._left(end)) if old is None else old
                for text, old in zip(texts, known, strict=True)
            )
        except (EngineStarting, TextRefused):
            raise
        except EngineFailed as error:
            self._rest(engine, error)
            raise
        if is_new:
            self._recover(engine)
        return Spoken(sounds, engine.name, fingerprint)

    def _left(self, end: float) -> float:
        left = end - self._clock()
        if left <= 0:
            raise EngineFailed("too slow")
        return left

    def _rest(self, engine: Engine, error: EngineFailed) -> None:
        with self._lock:
            until, last_s = self._rests.get(engine.name, (0.0, 0.0))
            if self._clock() < until:
                return
            rest_s = min(last_s * 2 or REST_S, LONGEST_REST_S)
            self._rests[engine.name] = self._clock() + rest_s, rest_s
        log.warning("voice %s: %s; left alone for %.0f s", engine.name, error, rest_s)

    def _recover(self, engine: Engine) -> None:
        with self._lock:
            was_resting = self._rests.pop(engine.name, None)
        if was_resting is not None:
            log.warning("voice %s speaks again", engine.name)


def refuse_unspeakable(text: str) -> None:
    """
    Refuse what no engine is given: nothing to say, too much, or control characters.

    Raises:
        TextRefused: It is refused.
    """
    if not any(char.isalnum() for char in text):
        raise TextRefused("there is nothing to say")
    if len(text) > LONGEST_TEXT:
        raise TextRefused(f"the text has {len(text)} characters, {LONGEST_TEXT} at most")
    if not all(char.isprintable() for char in text):
        raise TextRefused("the text has control characters")
