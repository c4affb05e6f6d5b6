"""The engines of each clinic that this process serves, from its start to its end."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from puskesmas_queue_tts.clips import FOLDER as CLIPS
from puskesmas_queue_tts.clips import Clips
from puskesmas_queue_tts.engine import Engine
from puskesmas_queue_tts.espeak import ESpeak
from puskesmas_queue_tts.piper import Piper


@runtime_checkable
class Warm(Protocol):
    """An engine that is begun before it is needed, and ended."""

    def start(self) -> None:
        """Begin what it needs, in the background."""

    def stop(self) -> None:
        """End it for good."""


def make_engines(folder: Path, names: Sequence[str]) -> list[Engine]:
    """
    Make engines in the given order; none is begun.

    Args:
        folder: The plugin's folder of the clinic.
        names: Some of `settings.ENGINES`.
    """
    makers: Mapping[str, Callable[[], Engine]] = {
        "piper": lambda: Piper(folder),
        "espeak": ESpeak,
        "clips": lambda: Clips(folder / CLIPS),
    }
    return [makers[name]() for name in names]


class Running:
    """
    The engines of a clinic while its server runs.

    Args:
        folder: The plugin's folder of the clinic.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()
        self._is_stopped = False

    def engines(self, order: Sequence[str]) -> tuple[Engine, ...]:
        """Return the engines of an order, begun; what an earlier one had besides is ended."""
        with self._lock:
            if self._is_stopped:
                return ()
            for name in [one for one in self._engines if one not in order]:
                _stop(self._engines.pop(name))
            for engine in make_engines(
                self._folder, [name for name in order if name not in self._engines]
            ):
                self._engines[engine.name] = engine
                if isinstance(engine, Warm):
                    engine.start()
            return tuple(self._engines[name] for name in order)

    def stop(self) -> None:
        """End every engine."""
        with self._lock:
            self._is_stopped = True
            while self._engines:
                _stop(self._engines.popitem()[1])


def _stop(engine: Engine) -> None:
    if isinstance(engine, Warm):
        engine.stop()
