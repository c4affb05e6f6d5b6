"""
How long something of a plugin's is left alone after it ran out of time.

What ran out of time took a core or a thread, and would take it again: it rests, twice as long
after each further time.
"""

import threading
import time
from collections.abc import Callable, Hashable

FIRST_REST_S, LONGEST_REST_S = 5.0, 600.0


class Rests:
    """
    Who rests until when; asked and told from any thread.

    Args:
        now: A steady clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[Hashable, float] = {}
        self._times: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def begin(self, key: Hashable) -> None:
        """Let it rest, longer than the last time."""
        with self._lock:
            times = self._times.get(key, 0)
            self._times[key] = times + 1
            self._until[key] = self._now() + min(FIRST_REST_S * 2.0**times, LONGEST_REST_S)

    def left_s(self, key: Hashable) -> float:
        """Return how long it still rests, seconds."""
        return max(0.0, self._until.get(key, 0.0) - self._now())

    def fared_well(self, key: Hashable) -> None:
        """Forget the times before: it ended in time."""
        if key in self._times:
            with self._lock:
                self._times.pop(key, None)
