"""
The clinic's timers: expiry at midnight, held tickets, idle sessions, silent speakers, devices seen.

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
from puskesmas_queue.services import answers, day, devices, facts, sessions, speech, tokens
from puskesmas_queue.services.line import all_zones
from puskesmas_queue.storage.leader import Leader

TICK_S = 1.0
SIGHTINGS_S = 60.0
log = logging.getLogger(__name__)


class Timers:
    """A thread that takes each step when its time has come."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._stop = threading.Event()
        self._leader = Leader(clinic.db)
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
            (3600.0, lambda: facts.forget_delivered(clinic)),
        )
        self._due = [(0.0, datetime.min.replace(tzinfo=UTC))] * len(self._steps)
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
        for index, (every_s, step) in enumerate(self._steps):
            ran_s, now = time.monotonic(), self._clinic.clock.now()
            due_s, due = self._due[index]
            if ran_s >= due_s or now >= due:
                self._due[index] = (ran_s + every_s, now + timedelta(seconds=every_s))
                step()

    def _write_sightings(self) -> None:
        # Not the leader's alone: each process knows whom it saw.
        now = time.monotonic()
        if now >= self._sightings_due:
            self._sightings_due = now + SIGHTINGS_S
            devices.write_sightings(self._clinic)

    def _speech(self) -> None:
        for zone in all_zones(self._clinic):
            speech.tick(self._clinic, zone.code)
