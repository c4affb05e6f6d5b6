"""A clock for tests that judge seconds: on a busy machine no second passes unasked."""

from datetime import datetime, timedelta
from itertools import count

from puskesmas_queue.clock import ShiftedClock


class StandingClock(ShiftedClock):
    """
    Stands where it was moved to; each look finds it a millionth of a second later.

    So what happens one after the other has different times, in its order.

    Args:
        at: The moment.
    """

    def __init__(self, at: datetime) -> None:
        self._looks = count(1)
        super().__init__(at)

    def now(self) -> datetime:
        """Return the moment, and so many millionths of a second as there were looks."""
        return self._at + timedelta(microseconds=next(self._looks))

    def monotonic(self) -> float:
        """Return seconds that never go back, and here never on: no memory grows old unasked."""
        return 1000.0

    def move_to(self, at: datetime) -> None:
        """Let it be `at` now."""
        self._at = at

    def advance(self, by: timedelta) -> None:
        """Move the wall clock."""
        self._at += by
