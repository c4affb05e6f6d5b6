"""Counts faults of plugins in the database, away from the transactions in which they happened."""

import logging
import threading
from functools import partial

from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.engine import Database
from puskesmas_queue.storage.faults import SeenFault

PAUSE_S = 1.0
"""A transaction of its own for every fault would make each kiosk wait for one more."""
MOST_WAITING = 10_000
log = logging.getLogger(__name__)


class FaultWriter:
    """A thread that stores faults: the first at once, later ones together once a second."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._news = threading.Condition()
        self._waiting: list[SeenFault] = []
        self._seen = self._stored = 0
        self._in_a_hurry = 0
        self._is_closing = False
        self._was_failing = False
        self._thread = threading.Thread(target=self._run, name="plugin-faults", daemon=True)

    def start(self) -> None:
        """Begin to store."""
        self._thread.start()

    def put(self, fault: SeenFault) -> None:
        """Count a fault soon; returns at once."""
        with self._news:
            if len(self._waiting) < MOST_WAITING:
                self._seen += 1
                self._waiting.append(fault)
                self._news.notify_all()

    def flush(self, timeout_s: float) -> None:
        """
        Wait until every fault so far is stored.

        Raises:
            TimeoutError: The database did not take them in time.
        """
        with self._news:
            wanted = self._seen
            self._in_a_hurry += 1
            self._news.notify_all()
            try:
                if not self._news.wait_for(lambda: self._stored >= wanted, timeout_s):
                    raise TimeoutError("faults of plugins were not stored")
            finally:
                self._in_a_hurry -= 1

    def close(self) -> None:
        """Try once to store what is left, and end."""
        with self._news:
            self._is_closing = True
            self._news.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._is_closing)
                seen, self._waiting = self._waiting, []
            if not seen:
                return
            is_stored = self._store(seen)
            with self._news:
                if is_stored:
                    self._stored += len(seen)
                elif self._is_closing:
                    return
                else:
                    self._waiting = seen + self._waiting
                self._news.notify_all()
                self._news.wait_for(self._may_go_on, PAUSE_S)

    def _may_go_on(self) -> bool:
        return self._is_closing or (self._in_a_hurry > 0 and not self._was_failing)

    def _store(self, seen: list[SeenFault]) -> bool:
        try:
            self._db.write(partial(faults.count, seen=seen))
        except StorageUnavailable as error:
            if not self._was_failing:
                log.warning("faults of plugins wait to be stored, %d of them: %s", len(seen), error)
            self._was_failing = True
            return False
        self._was_failing = False
        return True
