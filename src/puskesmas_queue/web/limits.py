"""How often one address or device may do something."""

import math
import time
from collections import deque
from collections.abc import Callable

MAX_KEYS = 10_000
"""More keys than this and the quiet ones are forgotten."""


class RateLimit:
    """
    At most `count` times in any `window_s` seconds, per key.

    Counts in this process only. Not thread-safe: for the event loop.
    """

    def __init__(
        self, count: int, window_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.count = count
        self.window_s = window_s
        self._now = now
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str) -> int:
        """
        Take one.

        Returns:
            0 where that is fine, else the seconds until it will be; nothing was taken then.
        """
        now = self._now()
        if len(self._taken) > MAX_KEYS:
            self._forget(now)
        taken = self._taken.setdefault(key, deque())
        while taken and taken[0] <= now - self.window_s:
            taken.popleft()
        if len(taken) >= self.count:
            return max(1, math.ceil(taken[0] + self.window_s - now))
        taken.append(now)
        return 0

    def _forget(self, now: float) -> None:
        quiet = [key for key, taken in self._taken.items() if taken[-1] <= now - self.window_s]
        for key in quiet:
            del self._taken[key]
