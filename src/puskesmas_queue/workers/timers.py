"""
The clinic's timers: days that end, held tickets, idle sessions, silence, late facts, devices.

Every step is idempotent, and due when its time has passed on the clinic's clock, or on this
machine's where that one was set back. One leader runs them: the process itself on SQLite, on
PostgreSQL whoever holds the advisory lock. Every process looks for versions that nobody told it of.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.services import answers, day, devices, facts, sessions, tokens
from puskesmas_queue.services.line import all_zones, today
from puskesmas_queue.services.voices import VoiceWatch
from puskesmas_queue.storage.leader import Leader
from puskesmas_queue.workers.garbage import Sweeper

TICK_S = 1.0
SIGHTINGS_S = 60.0
SWEEP_S = 600.0
log = logging.getLogger(__name__)


class _Turn:
    """Says when so many seconds have passed on the clinic's clock, or on this machine's."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = 0.0
        self._due = datetime.min.replace(tzinfo=UTC)

    def has_come(self, now: datetime) -> bool:
        """Say whether it is due, and begin to wait for the next one if so."""
        ran_s = time.monotonic()
        if ran_s < self._due_s and now < self._due:
            return False
        self._due_s, self._due = ran_s + self._every_s, now + timedelta(seconds=self._every_s)
        return True


class Timers:
    """A thread that takes each step when its time has come."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._stop = threading.Event()
        self._leader = Leader(clinic.db)
        self._voices = VoiceWatch(clinic)
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
        self._steps: tuple[tuple[float, Callable[[], object]], ...] = (
            (1.0, self._speech),
            (10.0, lambda: day.expire_old_days(clinic)),
            (60.0, lambda: day.close_days(clinic)),
            (10.0, lambda: day.skip_long_held(clinic)),
            (30.0, lambda: sessions.end_idle_sessions(clinic)),
            (30.0, lambda: tokens.end_idle_programs(clinic)),
            (3600.0, lambda: day.forget_old_keys(clinic)),
            (3600.0, lambda: answers.forget_answers(clinic)),
            (5.0, lambda: facts.expire_late(clinic)),
            (3600.0, lambda: facts.forget_old(clinic)),
        )
        self._turns = [_Turn(every_s) for every_s, _ in self._steps]
        self._sweeper, self._sweep_turn = Sweeper(), _Turn(SWEEP_S)
        self._sightings_due = time.monotonic() + SIGHTINGS_S

    def start(self) -> None:
        """Begin; what was missed while the server was off is caught up at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present step."""
        self._stop.set()
        self._thread.join(timeout=10)
        self._leader.resign()

    def _run(self) -> None:
        was_failing = False
        while not self._stop.is_set():
            try:
                self._clinic.look()
                self._write_sightings()
                self._sweep()
                if self._leader.is_leading():
                    self._take_steps()
                was_failing = False
            except QueueError as error:
                if not was_failing:
                    log.warning("timers: %s", error)
                was_failing = True
            except Exception:
                if not was_failing:
                    log.exception("timers")
                was_failing = True
            self._stop.wait(TICK_S)

    def _take_steps(self) -> None:
        for turn, (_, step) in zip(self._turns, self._steps, strict=True):
            if turn.has_come(self._clinic.clock.now()):
                step()

    def _sweep(self) -> None:
        # Not the leader's alone: each process has garbage of its own.
        if self._sweep_turn.has_come(self._clinic.clock.now()):
            self._sweeper.sweep(today(self._clinic))

    def _write_sightings(self) -> None:
        # Not the leader's alone: each process knows whom it saw.
        now = time.monotonic()
        if now >= self._sightings_due:
            self._sightings_due = now + SIGHTINGS_S
            devices.write_sightings(self._clinic)

    def _speech(self) -> None:
        for zone in all_zones(self._clinic):
            self._voices.look(zone.code)
