"""Piper, a voice that was learnt from a speaker; one process for each language that has a voice."""

import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from puskesmas_queue_tts.engine import EngineFailed, Problem
from puskesmas_queue_tts.process import SpeakingProcess
from puskesmas_queue_tts.voices import (
    LANGUAGES,
    BadVoice,
    VoiceFile,
    description_of,
    find_voice,
    read_voice,
)

MODULE = "puskesmas_queue_tts.piper_process"
NOT_INSTALLED = Problem(
    "it is not installed: %(how)s", how='pip install "puskesmas-queue-tts[piper]"'
)
Identity = tuple[str, int, int, int]
"""Path, size, and the times of both files: where these are the same, so is the voice."""


@dataclass(slots=True)
class _Voice:
    """A voice that was looked at, and the process that speaks with it."""

    identity: Identity
    file: VoiceFile | None
    problem: str | None
    process: SpeakingProcess | None = None


class Piper:
    """
    The engine `piper`.

    Args:
        folder: The plugin's folder of the clinic; see `voices`. Another voice that is put there
            takes over by itself.
    """

    name = "piper"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._voices: dict[str, _Voice] = {}
        self._lock = threading.Lock()
        self._is_stopped = False

    def start(self) -> None:
        """Begin a process for each voice; they load in the background."""
        for language in LANGUAGES:
            if self.problem(language) is None:
                self._process(language)

    def stop(self) -> None:
        """End every process."""
        with self._lock:
            self._is_stopped = True
            for voice in self._voices.values():
                _end(voice)

    def wait_ready(self, language: str, timeout_s: float) -> bool:
        """Wait until a language can be spoken; say whether it can."""
        return self._process(language).wait_ready(timeout_s)

    def pid(self, language: str) -> int | None:
        """Return the number of the process that speaks a language."""
        voice = self._look(language)
        return voice.process.pid if voice is not None and voice.process is not None else None

    def problem(self, language: str) -> Problem | None:
        """Say why it cannot speak a language; so the others, see `Engine`."""
        if piper_version() is None:
            return NOT_INSTALLED
        voice = self._look(language)
        if voice is None:
            return Problem(
                "there is no voice for %(language)s: %(how)s",
                language=language,
                how="puskesmas-queue tts download-voice",
            )
        if voice.problem is None:
            return None
        return Problem("the voice cannot be used: %(why)s", why=voice.problem)

    def spoilt(self) -> str | None:
        """Say what is wrong with a voice that is there, None where all that are there are whole."""
        found = map(self._look, LANGUAGES)
        return next((voice.problem for voice in found if voice and voice.problem), None)

    def fingerprint(self, language: str) -> str:
        """Name the voice: Piper's version and the digest of its files."""
        voice = self._look(language)
        digest = voice.file.digest if voice is not None and voice.file is not None else "none"
        return f"{self.name}-{piper_version()}-{digest}"

    def synthesise(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        """Speak."""
        return self._process(language).ask(text, language, speed, deadline_s)

    def _process(self, language: str) -> SpeakingProcess:
        voice = self._look(language)
        if voice is None or voice.file is None:
            raise EngineFailed(self.problem(language) or "its voice is gone")
        with self._lock:
            if self._is_stopped:
                raise EngineFailed("it was ended")
            if voice.process is None:
                voice.process = speaking_process(voice.file, language)
                voice.process.start()
            return voice.process

    def _look(self, language: str) -> _Voice | None:
        """Return the voice that lies in the folder now; one that is gone is ended."""
        identity = _identity(find_voice(self._folder, language))
        with self._lock:
            known = self._voices.get(language)
            if known is not None and known.identity == identity:
                return known
            if known is not None:
                _end(self._voices.pop(language))
            if identity is None:
                return None
            try:
                voice = _Voice(identity, read_voice(Path(identity[0])), None)
            except BadVoice as error:
                voice = _Voice(identity, None, str(error))
            self._voices[language] = voice
            return voice


def speaking_process(voice: VoiceFile, language: str) -> SpeakingProcess:
    """Make the process that speaks with a voice; it is not begun."""
    arguments = (str(voice.model), str(voice.description))
    return SpeakingProcess(f"piper {language}", MODULE, arguments)


@cache
def piper_version() -> str | None:
    """Return the installed version, None where it is not. Its code is under the GPL: not loaded."""
    try:
        return version("piper-tts")
    except PackageNotFoundError:
        return None


def _identity(model: Path | None) -> Identity | None:
    try:
        if model is None:
            return None
        found, described = model.stat(), description_of(model).stat()
    except OSError:
        return None
    return str(model), found.st_size, found.st_mtime_ns, described.st_mtime_ns


def _end(voice: _Voice) -> None:
    if voice.process is not None:
        voice.process.stop()
        voice.process = None
