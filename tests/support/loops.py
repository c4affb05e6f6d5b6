"""An event loop in which waiting takes no time, for what is said of seconds."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

TURN_S = 1e-6
"""What each turn of the loop takes; who waits for a rest of nothing would else wait for ever."""
T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):
    """Finds what is there, and calls `passed` with the seconds that it was told to wait."""

    passed: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0 if timeout is not None else None)
        self.passed(TURN_S if found or not timeout else timeout + TURN_S)
        return found


class ImpatientLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands while something runs, and leaps to what is due next."""

    def __init__(self) -> None:
        selector = _Impatient()
        selector.passed = self._passed
        self._now_s = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        """Return this loop's own seconds."""
        return self._now_s

    def _passed(self, seconds: float) -> None:
        self._now_s += seconds


def play(scene: Coroutine[Any, Any, T]) -> T:
    """Run a scene to its end, however long it says that it waits."""
    with asyncio.Runner(loop_factory=ImpatientLoop) as runner:
        return runner.run(scene)
