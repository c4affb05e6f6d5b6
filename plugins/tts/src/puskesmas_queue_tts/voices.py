"""
Voice files of Piper: where they are, and whether a file is one.

A voice is two files, `NAME.onnx` and its description `NAME.onnx.json`. The clinic's are in
`voices/<language>/` of the plugin's folder, one for each language; what lies there is used.
"""

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = ("id", "en")
FOLDER = "voices"
MODEL = ".onnx"
DESCRIPTION = ".json"
LEAST_BYTES = 1_000_000
"""The smallest voices of Piper have five million bytes."""
MOST_BYTES = 500_000_000
MOST_DESCRIPTION_BYTES = 1_000_000
_ONNX = b"\x08"
"""A model begins with the number of its format; a page that says "not found" does not."""
_RATES = range(8_000, 48_001)


class BadVoice(Exception):
    """A file is no voice of Piper; `str()` says why, for people."""


@dataclass(frozen=True, slots=True)
class VoiceFile:
    """
    A voice of Piper.

    Args:
        model: The file with its network.
        description: The file with its rate and sounds.
        speaks: The language by eSpeak's name, `id` or `en-us` say.
        rate: Samples a second.
        digest: Of both files; another voice has another one.
    """

    model: Path
    description: Path
    speaks: str
    rate: int
    digest: str

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.name.removesuffix(MODEL)


def find_voice(folder: Path, language: str) -> Path | None:
    """Return the newest voice of a clinic for a language, its `.onnx`, None where it has none."""
    try:
        found = [
            (description.stat().st_mtime_ns, description)
            for description in (folder / FOLDER / language).glob(f"*{MODEL}{DESCRIPTION}")
            if model_of(description).is_file()
        ]
    except OSError:
        # Replaced at this moment: it is found at the next look.
        return None
    return model_of(max(found)[1]) if found else None


def model_of(description: Path) -> Path:
    """Return the file that a description is about."""
    return description.with_name(description.name.removesuffix(DESCRIPTION))


def description_of(model: Path) -> Path:
    """Return the file that describes a voice."""
    return model.with_name(model.name + DESCRIPTION)


def read_voice(model: Path) -> VoiceFile:
    """
    Look whether a file is a voice of Piper, and say what it is. Reads all of it.

    Raises:
        BadVoice: It is none, or its description is missing or is none.
    """
    description = description_of(model)
    try:
        if not LEAST_BYTES <= model.stat().st_size <= MOST_BYTES:
            raise BadVoice(f"{model.name} has {model.stat().st_size} bytes: that is no whole voice")
        digest = hashlib.blake2b(digest_size=16)
        with model.open("rb") as file:
            if file.read(1) != _ONNX:
                raise BadVoice(f"{model.name} is no ONNX model")
            file.seek(0)
            while block := file.read(1 << 20):
                digest.update(block)
        told = description.read_bytes()
    except OSError as error:
        raise BadVoice(f"{error.filename}: {error.strerror}") from error
    digest.update(told)
    speaks, rate = read_description(told, description.name)
    return VoiceFile(model, description, speaks, rate, digest.hexdigest())


def read_description(told: bytes, name: str) -> tuple[str, int]:
    """
    Return the language and the rate of a description.

    Raises:
        BadVoice: It describes no voice that eSpeak's phonemes go into.
    """
    if len(told) > MOST_DESCRIPTION_BYTES:
        raise BadVoice(f"{name} is too long for a description of a voice")
    try:
        found: Any = json.loads(told)
        speaks, rate = found["espeak"]["voice"], found["audio"]["sample_rate"]
        phonemes = found["phoneme_id_map"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadVoice(f"{name} does not describe a voice of Piper") from None
    is_whole = isinstance(phonemes, dict) and len(phonemes) > 0 and isinstance(speaks, str)
    if not is_whole or not speaks or isinstance(rate, bool) or rate not in _RATES:
        raise BadVoice(f"{name} does not describe a voice of Piper")
    if found.get("phoneme_type", "espeak") != "espeak":
        raise BadVoice(f"{name} describes a voice that needs other phonemes than eSpeak's")
    return speaks, rate


def install_voice(model: Path, folder: Path, language: str) -> VoiceFile:
    """
    Let a clinic use a voice: copy both files to where its engine looks, and delete the one before.

    Args:
        model: The voice's `.onnx`, anywhere.
        folder: The plugin's folder of the clinic.
        language: `id` or `en`: what it is to speak.

    Raises:
        BadVoice: It is no voice.
        OSError: It cannot be written: no room, no right.
    """
    read_voice(model)
    place = folder / FOLDER / language
    place.mkdir(parents=True, exist_ok=True)
    target = place / model.name
    if not (target.exists() and target.samefile(model)):
        # The description comes last: a voice without one is not seen.
        for source, goal in (
            (model, target),
            (description_of(model), description_of(target)),
        ):
            half = goal.with_name(f".{goal.name}.part")
            shutil.copyfile(source, half)
            half.replace(goal)
    for other in place.glob(f"*{MODEL}"):
        if other.name != target.name:
            description_of(other).unlink(missing_ok=True)
            # Windows keeps a file that a server reads; without its description nobody looks at it.
            with suppress(PermissionError):
                other.unlink()
    return read_voice(target)
