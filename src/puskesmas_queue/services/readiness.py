"""
Whether a number could be given now.

That a disk is full shows in a commit only: SQLite keeps what was not committed in memory. So a row
is written as it is and committed, every few seconds at most, and the answer is remembered. Where
the last free page takes that row but would not take a ticket, the free space says so.
"""

import shutil
import threading

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import QueueError, StorageUnavailable
from puskesmas_queue.services.estimates import forecast
from puskesmas_queue.services.line import all_units
from puskesmas_queue.storage import checkup

GOOD_FOR_S, BAD_FOR_S = 5.0, 1.0
"""How long an answer is remembered: a disk that has room again is noticed at once."""
LEAST_ROOM = 1_000_000
"""Bytes: what a few dozen tickets need beside SQLite's own log."""
PATIENCE_S = 3.0
"""A write that takes longer is none."""


class Readiness:
    """
    Watches whether a clinic's database takes rows. Thread-safe.

    Args:
        clinic: Whose database.
    """

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._asking = threading.Lock()
        self._asked_at: float | None = None
        self._asks_again_at = 0.0
        self._is_writable = True

    def why_not(self) -> str | None:
        """Say why no number can be given, None where one can."""
        clinic = self._clinic
        try:
            units = all_units(clinic)
            if not any(unit.is_active for unit in units):
                return "no active unit"
            forecast(clinic, units[0].zone)
        except QueueError:
            return "database"
        if not self._takes_rows():
            return "database is not writable"
        fault = clinic.guard.fault()
        return None if fault is None else f"clock {fault}"

    def _takes_rows(self) -> bool:
        now = self._clinic.clock.monotonic()
        if not self._asking.acquire(blocking=False):
            # Another thread is asking; whoever waits for a disk that hangs hangs too.
            asked_at = self._asked_at
            return self._is_writable and (asked_at is None or now - asked_at < PATIENCE_S)
        try:
            if now < self._asks_again_at:
                return self._is_writable
            self._asked_at = now
            self._is_writable = self._has_room() and self._writes()
            pause_s = GOOD_FOR_S if self._is_writable else BAD_FOR_S
            self._asks_again_at = self._clinic.clock.monotonic() + pause_s
            return self._is_writable
        finally:
            self._asked_at = None
            self._asking.release()

    def _has_room(self) -> bool:
        file = self._clinic.config.database.file
        try:
            return file is None or shutil.disk_usage(file.parent).free >= LEAST_ROOM
        except OSError:
            return False

    def _writes(self) -> bool:
        try:
            self._clinic.db.write(checkup.touch)
        except StorageUnavailable:
            return False
        return True
