"""
Delivers facts to plugins, in order per key, until they were delivered, died or expired.

Each plugin has a thread of its own, so that a slow one starves nobody; several processes share
the rows through the database. Woken by commits, polls as a fallback.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.plugin_host.outcomes import Outcome
from puskesmas_queue.services import facts, letters
from puskesmas_queue.storage import outbox as rows
from puskesmas_queue.storage.outbox import Delivery
from puskesmas_queue.storage.transaction import Tx
from puskesmas_queue.workers.breaker import Breaker

BATCH = 20
LEASE = timedelta(seconds=60)
"""A worker that died gives its rows back after so long."""
BATCH_S = 1.0
"""What was not begun by then is given back: with the deadline of a fact far less than the lease."""
CLAIMS = 3
"""So often in a row another process may have been quicker, before this one waits."""
POLL_S = 1.0
GATHER_S, LONGEST_GATHER_S = 0.02, 0.2
SETTLE_S = 0.2
"""Facts that were told are settled at least so often, seconds."""
PAUSES, LONGEST_PAUSE_S = 2, 1.0
"""How long the database is left alone after a pass, in times of what the pass took of it."""
BACKOFF_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)
MAX_ATTEMPTS = len(BACKOFF_S) + 1
log = logging.getLogger(__name__)


Tell = Callable[[Clinic, str, Delivery], Outcome]
Told = list[tuple[Delivery, Outcome | None]]
"""Facts and how each went, None where it came too late to be told."""


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
        self._breaker = Breaker()
        self._pause_s = 0.0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name=f"outbox-{plugin}", daemon=True)

    def start(self) -> None:
        """Begin with what was left."""
        self._thread.start()

    def wake(self, *, is_by_hand: bool = False) -> None:
        """Look at once: something was committed, or somebody wants another try now."""
        if is_by_hand:
            self._breaker.hurry()
        self._wake.set()

    def end_by(self, deadline: float) -> None:
        """Go on until nothing is due, or until that moment of `time.monotonic` has come."""
        # A moment of it is for settling the last facts.
        self._deadline = deadline - SETTLE_S
        self._stop.set()
        self._wake.set()

    def join(self, deadline: float) -> None:
        """Wait for its end until that moment; a fact that hangs is left to itself."""
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        was_failing = False
        while not self._is_out_of_time:
            self._wake.clear()
            is_ending = self._stop.is_set()
            delivered = False
            try:
                delivered = bool(self.deliver_due())
                was_failing = False
            except QueueError as error:
                if not was_failing:
                    log.warning("outbox of %s: %s", self._plugin, error)
                was_failing = True
            except Exception:
                if not was_failing:
                    log.exception("outbox of %s", self._plugin)
                was_failing = True
            if is_ending and not delivered:
                return
            self._stop.wait(self._pause_s)
            if not delivered and self._wake.wait(POLL_S):
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
        if self._is_resting:
            return []
        began = time.monotonic()
        claimed = self._claim()
        outcomes: list[Outcome | None] = []
        told: Told = []
        foreign_s = 0.0
        started = settled = time.monotonic()
        for index, delivery in enumerate(claimed):
            if index and self._is_enough(started):
                self._return(claimed[index:])
                break
            before = time.monotonic()
            outcomes.append(self._tell_in_time(delivery))
            told.append((delivery, outcomes[-1]))
            now = time.monotonic()
            foreign_s += now - before
            if now > settled + SETTLE_S:
                self._settle(told)
                told, settled = [], now
        self._settle(told)
        own_s = time.monotonic() - began - foreign_s
        self._pause_s = min(PAUSES * own_s, LONGEST_PAUSE_S)
        return outcomes

    @property
    def _is_resting(self) -> bool:
        return self._breaker.rest_s() > 0 or self._clinic.hooks.rest_s(self._plugin) > 0

    @property
    def _is_out_of_time(self) -> bool:
        return self._stop.is_set() and time.monotonic() >= self._deadline

    def _is_enough(self, started: float) -> bool:
        """Whether the rest of a batch is better given back."""
        now = time.monotonic()
        # A call that was made meanwhile goes first: with a slow plugin, look after each fact.
        is_slow = now >= started + SETTLE_S
        return (
            self._is_resting
            or self._is_out_of_time
            or now >= started + BATCH_S
            or (is_slow and self._wake.is_set())
        )

    def _claim(self) -> list[Delivery]:
        """Take what is due: a batch, or one alone where it is a trial."""
        limit = 1 if self._breaker.is_open else BATCH
        for _ in range(CLAIMS):
            found = self._clinic.db.read(lambda tx: rows.due(tx, self._plugin, limit))
            if not found:
                break
            if claimed := self._take(found):
                return claimed
        return []

    def _take(self, ids: list[int]) -> list[Delivery]:
        return self._clinic.db.write(lambda tx: rows.claim(tx, ids, LEASE))

    def _tell_in_time(self, delivery: Delivery) -> Outcome | None:
        if self._clinic.clock.now() >= delivery.expires_at:
            return None
        outcome = self._tell(self._clinic, self._plugin, delivery)
        self._breaker.note(is_good=outcome.is_good)
        return outcome

    def _settle(self, told: Told) -> None:
        """Keep how facts went, all in one transaction: each would wait for the disk by itself."""

        def run(tx: Tx) -> int:
            late = [delivery for delivery, outcome in told if outcome is None]
            failed = [(one, outcome) for one, outcome in told if outcome and not outcome.is_good]
            good = [delivery for delivery, outcome in told if outcome and outcome.is_good]
            kept = rows.settle(tx, late, "expired") + rows.settle(tx, good, "done")
            return kept + sum(self._keep_failure(tx, *one) for one in failed)

        if told and (lost := len(told) - self._clinic.db.write(run)):
            log.warning("outbox of %s: %d facts outlived their lease", self._plugin, lost)

    def _keep_failure(self, tx: Tx, delivery: Delivery, outcome: Outcome) -> int:
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            return rows.settle(tx, [delivery], "dead", outcome.detail)
        pause = timedelta(seconds=BACKOFF_S[delivery.attempts])
        if tx.now + pause >= delivery.expires_at:
            # The next try would come too late to be worth anything.
            return rows.settle(tx, [delivery], "dead", outcome.detail)
        return rows.put_off(tx, delivery, tx.now + pause, outcome.detail)

    def _return(self, claimed: list[Delivery]) -> None:
        self._clinic.db.write(lambda tx: rows.give_back(tx, claimed))


class Outbox:
    """All workers of a clinic's active plugins."""

    def __init__(self, clinic: Clinic) -> None:
        self._workers = {name: OutboxWorker(clinic, name) for name in clinic.plugins.listeners()}
        self._started: list[OutboxWorker] = []
        self._starting = threading.Lock()
        self._is_stopped = False
        clinic.listen(self._hear)

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
        """Tell what is due and end within the time; the rest is delivered after the next start."""
        deadline = time.monotonic() + timeout_s
        with self._starting:
            self._is_stopped = True
        for worker in self._started:
            worker.end_by(deadline)
        for worker in self._started:
            worker.join(deadline)

    def _hear(self, versions: Mapping[str, int]) -> None:
        for worker in self._workers.values():
            worker.wake(is_by_hand=letters.TOPIC in versions)
