"""
The engine that plays recordings of a person, in any language that somebody recorded.

A clinic fills a folder: `id/7.wav`, `id/p.wav`, `id/nomor-antrean.wav`. Whatever else is recorded
is a word too: `ruang-tindakan.wav` is played where a text says "ruang tindakan".
"""

import hashlib
import re
import string
import threading
from collections.abc import Mapping
from pathlib import Path

from puskesmas_queue_tts import wav
from puskesmas_queue_tts.engine import EngineFailed, Problem, TextRefused
from puskesmas_queue_tts.numbers import say_number

FOLDER = "clips"
"""Of the plugin's folder."""
CHIME = "chime"
NUMBERS = tuple(str(number) for number in range(21))
"""The digits, and the counters up to 20: many languages have words of their own for these."""
PHRASES = ("nomor-antrean", "silakan-menuju-loket", "prioritas", "ruang")
UNITS = (*NUMBERS, *string.ascii_lowercase, *PHRASES, CHIME)
"""What is recorded for each language."""
NEEDED = (*NUMBERS[:10], *PHRASES[:2])
"""Without these no call can be spoken."""
MOST_CLIPS = 500
GAP_S = 0.04
PAUSES_S = {",": 0.25, ";": 0.3, ":": 0.3, ".": 0.4, "!": 0.4, "?": 0.4}
_SAID = {
    "id": ("nomor antrean", "silakan menuju loket", "prioritas", "ruang"),
    "en": ("queue number", "please go to counter", "priority", "room"),
}
_TOKENS = re.compile(r"\w+|[,;:.!?]")
Words = tuple[str, ...]


class Clips:
    """
    Recordings in a folder; see `Engine`.

    They are played as they were spoken: the speed of a hall does not change them.

    `recorded` names the folder that is played for a language, so that Javanese may stand in for
    Indonesian: `{"id": "jv"}`. A language that is not in it has the folder of its own name.

    Args:
        folder: Has a folder for each language.
        recorded: See above.
    """

    name = "clips"

    def __init__(self, folder: Path, recorded: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.recorded: Mapping[str, str] = recorded or {}
        self._read: dict[Path, tuple[str, wav.Sound]] = {}
        self._lock = threading.Lock()

    def problem(self, language: str) -> Problem | None:
        """Say why it cannot speak a language, None where it can."""
        place = self._place(language)
        missing = [unit for unit in NEEDED if not (place / f"{unit}.wav").is_file()]
        if not missing:
            return None
        if len(missing) == len(NEEDED):
            return Problem("no recordings in %(place)s", place=str(place))
        return Problem(
            "%(count)s recordings missing in %(place)s: %(some)s …",
            count=len(missing),
            place=str(place),
            some=", ".join(missing[:3]),
        )

    def fingerprint(self, language: str) -> str:
        """Name the recordings by their names, sizes and times."""
        about = hashlib.sha256()
        try:
            for path in self._files(language):
                about.update(f"{path.name}\0{_state(path)}\0".encode())
        except OSError as error:
            raise EngineFailed(f"the recordings cannot be read: {error}") from error
        return f"clips-1 {about.hexdigest()}"

    def synthesise(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        """Play what was recorded of a text."""
        known = self._phrases(language)
        heard: list[wav.Sound] = []
        for word in _units(text.lower(), known):
            if isinstance(word, float):
                if heard:
                    heard.append(wav.silence(word, heard[0].rate))
                continue
            sound = self._sound(word)
            if heard and sound.rate != heard[0].rate:
                raise EngineFailed(f"{word.name} has another rate than the others")
            heard.append(sound)
        if not heard:
            raise TextRefused("there is nothing to say")
        return wav.write(wav.joined(heard, GAP_S))

    def chime(self, language: str) -> bytes | None:
        """Return the chime that was recorded, None where there is none or it is broken."""
        try:
            return wav.write(self._sound(self._place(language) / f"{CHIME}.wav"))
        except EngineFailed:
            return None

    def _place(self, language: str) -> Path:
        return self.folder / self.recorded.get(language, language)

    def _files(self, language: str) -> list[Path]:
        return sorted(self._place(language).glob("*.wav"))[:MOST_CLIPS]

    def _phrases(self, language: str) -> dict[Words, Path]:
        """Return which words each recording stands for."""
        known = {}
        said = dict(zip(PHRASES, _SAID.get(language, ()), strict=False))
        for path in self._files(language):
            unit = path.stem.lower()
            if unit in NUMBERS:
                text = say_number(int(unit), language)
            elif unit == CHIME:
                continue
            else:
                text = said.get(unit, unit)
            known[tuple(re.findall(r"\w+", text))] = path
        return known

    def _sound(self, path: Path) -> wav.Sound:
        try:
            state = _state(path)
            with self._lock:
                at, sound = self._read.get(path, (None, None))
            if sound is None or at != state:
                sound = wav.trimmed(wav.read(path))
                with self._lock:
                    self._read[path] = state, sound
        except (OSError, wav.NotWave) as error:
            raise EngineFailed(f"{path.name}: {error}") from error
        return sound


def _state(path: Path) -> str:
    """Say which state of a file was read; `OSError` where it is not there."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _units(text: str, known: Mapping[Words, Path]) -> list[Path | float]:
    """
    Part a text into recordings and pauses, the longest that fits first.

    Raises:
        TextRefused: A word of it was not recorded.
    """
    tokens = _TOKENS.findall(text)
    longest = max(map(len, known), default=0)
    units: list[Path | float] = []
    place = 0
    while place < len(tokens):
        if tokens[place] in PAUSES_S:
            units.append(PAUSES_S[tokens[place]])
            place += 1
            continue
        for length in range(min(longest, len(tokens) - place), 0, -1):
            path = known.get(tuple(tokens[place : place + length]))
            if path is not None:
                units.append(path)
                place += length
                break
        else:
            raise TextRefused(f'"{tokens[place]}" was not recorded')
    while units and isinstance(units[-1], float):
        units.pop()
    return units
