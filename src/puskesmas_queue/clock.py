"""Where time comes from, and whether it can be trusted."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from puskesmas_queue.domain.days import ClockFault, ClockReading, clock_fault


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


class ShiftedClock(SystemClock):
    """The machine's clock with a wall time that can be moved: for the demo and for tests."""

    def __init__(self, at: datetime | None = None) -> None:
        self._shift = timedelta()
        if at is not None:
            self.move_to(at)

    def now(self) -> datetime:
        """Return the moved wall clock."""
        return super().now() + self._shift

    def move_to(self, at: datetime) -> None:
        """Let it be `at` now; the clock goes on from there."""
        self._shift = at - super().now()

    def advance(self, by: timedelta) -> None:
        """Move the wall clock."""
        self._shift += by


class KeptClock(ShiftedClock):
    """
    A moved clock that keeps in a file how far it was moved: the demo's.

    A command beside the demo reads it with `kept_clock`. With the machine's time it would store
    times that are hours ahead of the demo's, and the clock guard would stop the kiosk.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def move_to(self, at: datetime) -> None:
        super().move_to(at)
        self._keep()

    def advance(self, by: timedelta) -> None:
        super().advance(by)
        self._keep()

    def _keep(self) -> None:
        self._path.write_text(f"{self._shift.total_seconds()}\n", encoding="ascii")


def kept_clock(path: Path) -> SystemClock:
    """Return the clock that a demo keeps there, the machine's where there is none."""
    try:
        shift = timedelta(seconds=float(path.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return SystemClock()
    clock = ShiftedClock()
    clock.advance(shift)
    return clock


class ClockGuard:
    """
    Remembers what the clock is compared with.

    Args:
        clock: The clock that is watched.

    Thread-safe: every thread that issues asks, every commit tells.
    """

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: datetime | None = None
        self._newest_at_start: datetime | None = None
        self.rebase()

    def start(self, newest: datetime | None) -> None:
        """Begin with the newest stored time."""
        with self._lock:
            self._newest = self._newest_at_start = newest

    def saw(self, at: datetime) -> None:
        """Hear of a stored time."""
        with self._lock:
            if self._newest is None or at > self._newest:
                self._newest = at

    def rebase(self) -> None:
        """Take the clock as it stands for right: at start, and when staff confirmed it."""
        with self._lock:
            self._base = self._clock.now()
            self._base_monotonic_s = self._clock.monotonic()
            self._newest_at_start = None
            if self._newest is not None:
                self._newest = self._base

    def fault(self) -> ClockFault | None:
        """Say what is wrong with the clock, None where it can be trusted."""
        with self._lock:
            return clock_fault(
                ClockReading(
                    now=self._clock.now(),
                    monotonic_s=self._clock.monotonic(),
                    base=self._base,
                    base_monotonic_s=self._base_monotonic_s,
                    newest_event=self._newest,
                    newest_at_start=self._newest_at_start,
                )
            )
