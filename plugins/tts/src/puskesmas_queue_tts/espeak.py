"""eSpeak NG, a small voice made of rules: it always works, and sounds like it."""

import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from puskesmas_queue_tts.engine import EngineFailed, Problem
from puskesmas_queue_tts.process import SpeakingProcess
from puskesmas_queue_tts.voices import LANGUAGES

MODULE = "puskesmas_queue_tts.espeak_process"
MANNER = 1
"""Goes up where `espeak_process` speaks otherwise than before."""


class ESpeak:
    """The engine `espeak`: one process for every language."""

    name = "espeak"

    def __init__(self) -> None:
        self._process: SpeakingProcess | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def start(self) -> None:
        """Begin its process; it loads in the background."""
        if self.problem("id") is None:
            self._running()

    def stop(self) -> None:
        """End its process."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.stop()

    def wait_ready(self, language: str, timeout_s: float) -> bool:
        """Wait until a language can be spoken; say whether it can."""
        return self._running().wait_ready(timeout_s)

    def pid(self, language: str) -> int | None:
        """Return the number of the process that speaks a language."""
        return None if self._process is None else self._process.pid

    def problem(self, language: str) -> Problem | None:
        """Say why it cannot speak a language; so the others, see `Engine`."""
        if espeak_version() is None:
            return Problem(
                "it is not installed: %(how)s", how='pip install "puskesmas-queue-tts[espeak]"'
            )
        if language in LANGUAGES:
            return None
        return Problem("it is not set up for %(language)s", language=language)

    def fingerprint(self, language: str) -> str:
        """Name the voice."""
        return f"{self.name}-{espeak_version()}-{MANNER}"

    def synthesise(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        """Speak."""
        return self._running().ask(text, language, speed, deadline_s)

    def _running(self) -> SpeakingProcess:
        with self._lock:
            if self._is_stopped:
                raise EngineFailed("it was ended")
            if self._process is None:
                self._process = SpeakingProcess(self.name, MODULE)
                self._process.start()
            return self._process


@cache
def espeak_version() -> str | None:
    """Return the installed version, None where it is not. Its code is under the GPL: not loaded."""
    try:
        return version("espeakng-loader")
    except PackageNotFoundError:
        return None
