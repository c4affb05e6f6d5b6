"""Whether the recordings of a clinic are there, and fit together."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from puskesmas_queue_tts import wav
from puskesmas_queue_tts.clips import CHIME, UNITS

LEVEL_APART_DB = 6.0
"""What is louder or softer than that, against the others, is heard as another person."""
QUIETEST_DB = -40.0
LONGEST_S = 4.0
LONGEST_CHIME_S = 6.0
Kind = Literal["empty", "missing", "broken", "rate", "silent", "level", "long"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Something that is wrong with the recordings.

    Args:
        language: The folder that it is in.
        unit: Which recording; empty for the whole folder.
        kind: What is wrong.
        detail: The same for people, in English.
    """

    language: str
    unit: str
    kind: Kind
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def languages(folder: Path) -> list[str]:
    """Return the languages that somebody began to record."""
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")


def missing(folder: Path, language: str) -> list[str]:
    """Return what was not recorded yet."""
    return [unit for unit in UNITS if not (folder / language / f"{unit}.wav").is_file()]


def check(folder: Path) -> list[Finding]:
    """Look at every recording of every language; nothing is wrong where the list is empty."""
    found = [finding for one in languages(folder) for finding in _check_language(folder, one)]
    return found if languages(folder) else [Finding("", "", "empty", f"{folder} has no language")]


def _check_language(folder: Path, language: str) -> list[Finding]:
    there = {path.stem: path for path in sorted((folder / language).glob("*.wav"))}
    findings = [
        Finding(language, unit, "missing", "is missing") for unit in missing(folder, language)
    ]
    sounds: dict[str, wav.Sound] = {}
    for unit, path in there.items():
        try:
            sounds[unit] = wav.read(path)
        except (OSError, wav.NotWave) as error:
            findings.append(Finding(language, unit, "broken", str(error)))
    findings += _rates(language, sounds)
    spoken = {unit: wav.trimmed(sound) for unit, sound in sounds.items()}
    return findings + _lengths(language, spoken) + _levels(language, spoken)


def _rates(language: str, sounds: Mapping[str, wav.Sound]) -> list[Finding]:
    counted = Counter(one.rate for one in sounds.values()).most_common(1)
    return [
        Finding(language, unit, "rate", f"{sound.rate} Hz, most others {usual} Hz")
        for usual, _ in counted
        for unit, sound in sounds.items()
        if sound.rate != usual
    ]


def _lengths(language: str, spoken: Mapping[str, wav.Sound]) -> list[Finding]:
    findings = []
    for unit, sound in spoken.items():
        longest = LONGEST_CHIME_S if unit == CHIME else LONGEST_S
        if sound.seconds > longest:
            detail = f"{sound.seconds:.1f} s, {longest:.0f} s at most"
            findings.append(Finding(language, unit, "long", detail))
    return findings


def _levels(language: str, spoken: Mapping[str, wav.Sound]) -> list[Finding]:
    levels = {unit: sound.level_db for unit, sound in spoken.items()}
    findings = [
        Finding(language, unit, "silent", "is silent, or nearly so")
        for unit, level in levels.items()
        if level < QUIETEST_DB
    ]
    voices = {
        unit: level for unit, level in levels.items() if level >= QUIETEST_DB and unit != CHIME
    }
    middle = statistics.median(voices.values()) if voices else 0.0
    for unit, level in voices.items():
        if abs(level - middle) > LEVEL_APART_DB:
            word = "louder" if level > middle else "softer"
            detail = f"{abs(level - middle):.0f} dB {word} than the others"
            findings.append(Finding(language, unit, "level", detail))
    return findings
