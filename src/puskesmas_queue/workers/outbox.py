"""
Delivers facts to plugins, in order per key, until they were delivered, died or expired.

Each plugin has a thread of its own, so that a slow one starves nobody; several processes share
the rows through the database. Woken by commits, polls as a fallback.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.plugin_host.dispatch import Outcome
from puskesmas_queue.services import facts
from puskesmas_queue.storage import outbox as rows
from puskesmas_queue.storage.outbox import Delivery
from puskesmas_queue.storage.transaction import Tx

BATCH = 20
LEASE = timedelta(seconds=60)
"""A worker that died gives its rows back after so long."""
POLL_S = 1.0
GATHER_S, LONGEST_GATHER_S = 0.02, 0.2
SETTLE_S = 0.2
"""Facts that were told are settled at least so often, seconds."""
BACKOFF_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)
MAX_ATTEMPTS = len(BACKOFF_S) + 1
log = logging.getLogger(__name__)


Tell = Callable[[Clinic, str, Delivery], Outcome]


class OutboxWorker:
    """
    Delivers to one plugin.

    Args:
        clinic: Whose facts.
        plugin: Who hears them.
        tell: Tells one fact; for tests of plugins, which look closer.
    """

    def __init__(self, clinic: Clinic, plugin: str, tell: Tell = facts.deliver) -> None:
        self._clinic = clinic
        self._plugin = plugin
        self._tell = tell
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"outbox-{plugin}", daemon=True)

    def start(self) -> None:
        """Begin with what was left."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something was committed."""
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Finish the present fact, then whatever is due and quick; give up after the time."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        was_failing = False
        while True:
            self._wake.clear()
            is_last = self._stop.is_set()
            try:
                delivered = bool(self.deliver_due())
                was_failing = False
            except QueueError as error:
                delivered = False
                if not was_failing:
                    log.warning("outbox of %s: %s", self._plugin, error)
                was_failing = True
            except Exception:
                delivered = False
                if not was_failing:
                    log.exception("outbox of %s", self._plugin)
                was_failing = True
            if delivered and not is_last:
                continue
            if is_last:
                return
            if self._wake.wait(POLL_S):
                self._let_the_hall_go_first()

    def _let_the_hall_go_first(self) -> None:
        """Wait until no commit comes for a moment, not for ever; what came is told together."""
        ends = time.monotonic() + LONGEST_GATHER_S
        while not self._stop.is_set() and time.monotonic() < ends:
            self._wake.clear()
            if not self._wake.wait(GATHER_S):
                return

    def deliver_due(self) -> list[Outcome | None]:
        """Deliver what is due now, a batch at most; return how each went, None if it came late."""
        if self._clinic.hooks.rest_s(self._plugin) > 0:
            return []
        due = self._clinic.db.read(lambda tx: rows.next_due(tx, self._plugin))
        if due is None or due > self._clinic.clock.now():
            return []
        claimed = self._clinic.db.write(lambda tx: rows.claim(tx, self._plugin, BATCH, LEASE))
        outcomes: list[Outcome | None] = []
        told: list[tuple[Delivery, Outcome | None]] = []
        ends = time.monotonic() + SETTLE_S
        for index, delivery in enumerate(claimed):
            is_resting = self._clinic.hooks.rest_s(self._plugin) > 0
            if (self._stop.is_set() or is_resting) and index:
                self._return(claimed[index:])
                break
            is_late = self._clinic.clock.now() >= delivery.expires_at
            outcomes.append(None if is_late else self._tell(self._clinic, self._plugin, delivery))
            told.append((delivery, outcomes[-1]))
            if time.monotonic() > ends:
                self._settle(told)
                told, ends = [], time.monotonic() + SETTLE_S
        self._settle(told)
        return outcomes

    def _settle(self, told: list[tuple[Delivery, Outcome | None]]) -> None:
        """Keep how facts went, all in one transaction: each would wait for the disk by itself."""

        def run(tx: Tx) -> None:
            for delivery, outcome in told:
                self._keep(tx, delivery, outcome)

        if told:
            self._clinic.db.write(run)

    def _keep(self, tx: Tx, delivery: Delivery, outcome: Outcome | None) -> None:
        if outcome is None:
            rows.settle(tx, delivery, "expired")
            return
        if outcome.is_good:
            rows.settle(tx, delivery, "done")
            return
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            rows.settle(tx, delivery, "dead", outcome.detail)
            return
        pause = timedelta(seconds=BACKOFF_S[delivery.attempts])
        if tx.now + pause >= delivery.expires_at:
            # The next try would come too late to be worth anything.
            rows.settle(tx, delivery, "dead", outcome.detail)
            return
        rows.put_off(tx, delivery, tx.now + pause, outcome.detail)

    def _return(self, claimed: list[Delivery]) -> None:
        def run(tx: Tx) -> None:
            for delivery in claimed:
                rows.give_back(tx, delivery)

        self._clinic.db.write(run)


class Outbox:
    """All workers of a clinic's active plugins."""

    def __init__(self, clinic: Clinic) -> None:
        self._workers = {name: OutboxWorker(clinic, name) for name in clinic.plugins.listeners()}
        self._started: list[OutboxWorker] = []
        self._starting = threading.Lock()
        self._is_stopped = False
        clinic.listen(lambda versions: self.wake())

    def start(self, plugin: str) -> None:
        """Begin to deliver to a plugin, if it hears of any fact."""
        worker = self._workers.get(plugin)
        with self._starting:
            if worker is not None and not self._is_stopped:
                self._started.append(worker)
                worker.start()

    def wake(self) -> None:
        """Look at once."""
        for worker in self._workers.values():
            worker.wake()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Drain what is quick and end; the rest is delivered after the next start."""
        with self._starting:
            self._is_stopped = True
        for worker in self._started:
            worker.stop(timeout_s)
