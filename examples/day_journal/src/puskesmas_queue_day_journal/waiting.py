"""
How many wait, as a veto needs to know it.

A veto has no tables and 100 ms. So the count is looked up beforehand: after each fact, and every
few seconds by a thread, since another process of the same clinic may have heard the fact.
"""

import threading
from collections.abc import Mapping

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue_day_journal import journal

LOOK_EVERY_S = 5.0


class Waiting:
    """
    The count of one clinic.

    Args:
        ctx: Of the plugin's start; its tables stay the same.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._counts: Mapping[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="day-journal", daemon=True)

    def start(self) -> None:
        """Look at once, then every few seconds."""
        self._thread.start()
        self.look()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def count(self, unit: str) -> int:
        """Return how many wait in a unit's general lane; reads nothing."""
        return self._counts.get(unit, 0)

    def look(self) -> None:
        """Count anew."""
        try:
            self._counts = journal.waiting(self._ctx)
        except PluginDataUnavailable:
            # Nobody is turned away by a number that may be old.
            self._counts = {}

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self.look()
