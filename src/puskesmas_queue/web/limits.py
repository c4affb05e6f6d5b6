"""
How often one address or device may do something.

Counts are of one process and in its memory: of so many addresses at once, no more.

Source: docs/decisions/0021-limits.md
"""

import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from puskesmas_queue.domain.errors import KeyReused, QueueError, TooOften
from puskesmas_queue.web.shares import MAX_KEYS, Shares

LOGINS_PER_MINUTE, PAIRINGS_PER_MINUTE = 20, 10
WRONG_CODES_PER_MINUTE = 30
KIOSK_S = 120
KIOSK_TICKETS, KIOSK_EMERGENCIES, KIOSK_SLIPS, KIOSK_READINGS = 30, 10, 60, 60
"""Of one device in `KIOSK_S`; the opening rush of a kiosk is 30 tickets in two minutes."""

MOST_READERS = 4
"""Pages that are read aloud at the same time, of all kiosks."""

T = TypeVar("T")
Now = Callable[[], float]


class RateLimit:
    """
    At most `count` times in any `window_s` seconds, per key. Thread-safe.

    Measured by the machine's own time, which no one can set: the clinic's clock may jump.
    """

    def __init__(self, count: int, window_s: float, now: Now = time.monotonic) -> None:
        self.count = count
        self.window_s = window_s
        self.refused = 0
        """How many times it said no."""
        self._now = now
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, deque[tuple[float, str]]] = OrderedDict()

    def take(self, key: str, mark: str = "") -> int:
        """
        Take one.

        Args:
            key: Who takes.
            mark: What is taken; the same again, as by a double tap, is free. Empty for no such.

        Returns:
            0 where that is fine, else the seconds until it will be; nothing was taken then.
        """
        now = self._now()
        with self._lock:
            taken = self._of(key, now)
            if mark and any(one == mark for _, one in taken):
                return 0
            wait_s = self._wait_s(taken, now)
            if wait_s:
                self.refused += 1
            else:
                taken.append((now, mark))
            return wait_s

    def wait_s(self, key: str) -> int:
        """Return the seconds until one may be taken, 0 where it may be at once."""
        now = self._now()
        with self._lock:
            return self._wait_s(self._taken.get(key, deque()), now)

    def give_back(self, key: str, mark: str) -> None:
        """Take back what came to nothing."""
        with self._lock:
            taken = self._taken.get(key, deque())
            for entry in taken:
                if entry[1] == mark:
                    taken.remove(entry)
                    return

    def _of(self, key: str, now: float) -> deque[tuple[float, str]]:
        taken = self._taken.setdefault(key, deque())
        self._taken.move_to_end(key)
        # Two at most: what one request costs does not grow with the number of addresses.
        for _ in range(2):
            oldest = next(iter(self._taken.values()))
            is_quiet = not oldest or oldest[-1][0] <= now - self.window_s
            if oldest is not taken and (is_quiet or len(self._taken) > MAX_KEYS):
                self._taken.popitem(last=False)
        return taken

    def _wait_s(self, taken: deque[tuple[float, str]], now: float) -> int:
        while taken and taken[0][0] <= now - self.window_s:
            taken.popleft()
        if len(taken) < self.count:
            return 0
        return max(1, math.ceil(taken[0][0] + self.window_s - now))


class Pace:
    """At most `rate` times a second, and `free` times at once, per key. Event loop only."""

    def __init__(self, rate: float, free: float, now: Now = time.monotonic) -> None:
        self.rate = rate
        self._free_s = free / rate
        self._now = now
        self._paid_until: OrderedDict[str, float] = OrderedDict()
        """Until when each key has used up its rate."""

    def take(self, key: str) -> bool:
        """Take one, if that is fine."""
        now = self._now()
        until = max(now, self._paid_until.get(key, now)) + 1 / self.rate
        if until - now > self._free_s:
            return False
        self._paid_until[key] = until
        self._paid_until.move_to_end(key)
        for _ in range(2):
            oldest, paid_until = next(iter(self._paid_until.items()))
            if oldest != key and (paid_until <= now or len(self._paid_until) > MAX_KEYS):
                del self._paid_until[oldest]
        return True


class CodeGuesses:
    """
    Lets nobody guess ticket codes, and everybody see their own.

    Wrong codes count by address. A whole hall may share one: right codes are free, and a phone
    that has once shown a ticket sees it again whatever its neighbours do.
    """

    def __init__(self, now: Now = time.monotonic) -> None:
        self.wrong = RateLimit(WRONG_CODES_PER_MINUTE, 60, now)
        self.refused = 0
        self._lock = threading.Lock()
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, address: str, device: str, code: str) -> int:
        """Return the seconds until this code may be looked up, 0 where it may be at once."""
        with self._lock:
            if (device, code) in self._right:
                return 0
        wait_s = self.wrong.wait_s(address)
        self.refused += wait_s > 0
        return wait_s

    def was_wrong(self, address: str) -> None:
        """Count a code that nobody has."""
        self.wrong.take(address)

    def was_right(self, device: str, code: str) -> None:
        """Remember that this browser has this code."""
        with self._lock:
            self._right[device, code] = None
            self._right.move_to_end((device, code))
            if len(self._right) > MAX_KEYS:
                self._right.popitem(last=False)


class Limits:
    """
    The limits of one app.

    Args:
        is_demo: Simulated visitors come faster than people, since the demo's clock does: nothing
            is limited there but logins and codes.
    """

    def __init__(self, *, is_demo: bool = False) -> None:
        self.is_demo = is_demo
        self.logins = RateLimit(LOGINS_PER_MINUTE, 60)
        self.pairings = RateLimit(PAIRINGS_PER_MINUTE, 60)
        self.codes = CodeGuesses()
        self.tickets = RateLimit(KIOSK_TICKETS, KIOSK_S)
        self.emergencies = RateLimit(KIOSK_EMERGENCIES, KIOSK_S)
        self.slips = RateLimit(KIOSK_SLIPS, KIOSK_S)
        self.readings = RateLimit(KIOSK_READINGS, KIOSK_S)
        self.readers = threading.BoundedSemaphore(MOST_READERS)
        self.shares = Shares()

    def give(self, machine: str, key: str, issue: Callable[[], T]) -> T:
        """
        Let a machine have a number, unless it had too many.

        Args:
            machine: Which one.
            key: Of its request: the same again, and one that is refused, count for nothing.
            issue: Gives the number.

        Raises:
            TooOften: It had too many.
        """
        wait_s = self.tickets.take(machine, key)
        if wait_s:
            raise TooOften(wait_s)
        try:
            return issue()
        except QueueError as error:
            if not isinstance(error, KeyReused):
                self.tickets.give_back(machine, key)
            raise

    def refused(self) -> Counter[str]:
        """Count the refusals of each limit."""
        return Counter(
            login=self.logins.refused,
            pairing=self.pairings.refused,
            code=self.codes.refused,
            kiosk=self.tickets.refused,
            emergency=self.emergencies.refused,
            slip=self.slips.refused,
            reading=self.readings.refused,
            flood=self.shares.refused,
        )
