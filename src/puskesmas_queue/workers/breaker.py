"""Leaves a plugin alone whose facts fail one after the other, so that a backlog costs nothing."""

import time

FAILURES = 5
"""So many in a row, and the plugin is left alone for a while."""
RESTS_S = (1, 2, 5, 10, 30, 60)
"""The longest is shorter than the life of a spoken call: each is tried once at least."""


class Breaker:
    """Counts failures in a row. Once it is open, facts are tried singly and ever more rarely."""

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the next fact is a trial: one alone."""
        return self._failures >= FAILURES

    def rest_s(self) -> float:
        """Return how long nothing is to be told, seconds."""
        return max(0.0, self._rests_until - time.monotonic())

    def note(self, *, is_good: bool) -> None:
        """Count how a fact went."""
        self._failures = 0 if is_good else self._failures + 1
        self._rests_until = 0.0
        if self.is_open:
            rest_s = RESTS_S[min(self._failures - FAILURES, len(RESTS_S) - 1)]
            self._rests_until = time.monotonic() + rest_s

    def hurry(self) -> None:
        """Let the next trial be now: somebody has mended something, or says so."""
        self._rests_until = 0.0
