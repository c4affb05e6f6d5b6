"""
Each address has its share of the server's time, so that none can take the time of others.

What a request costs is measured and not guessed: on a slow machine, or while others need it, the
same flood gets less. A hall of phones behind one address waits its turn in line.

Source: docs/decisions/0021-limits.md
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_KEYS = 10_000
"""Of more addresses than this the longest quiet ones are forgotten."""
OVERHEAD_S = 0.001
"""What a request costs the server besides its answer."""


@dataclass(slots=True)
class Lane:
    """
    The requests of one address.

    Args:
        paid_until: Until when it has used up its share, on the clock of the lanes.
        in_service: How many are being answered.
        waiting: Those whose turn comes.
        mean_s: What one has cost lately, seconds.
    """

    paid_until: float
    in_service: int = 0
    waiting: deque["asyncio.Future[None]"] = field(default_factory=deque)
    mean_s: float = 0.005
    timer: asyncio.TimerHandle | None = None


class Shares:
    """
    Lets each address have so much of the server's time, and no more of it at once. Event loop only.

    Args:
        share: Part of the time of one thread that an address may use for ever.
        free_s: Seconds of it that are used at once before the address is held to its share.
        at_once: How many requests of it are answered at the same time.
        longest_s: A request that would wait longer is refused, seconds.
    """

    def __init__(
        self,
        share: float = 0.25,
        free_s: float = 0.5,
        at_once: int = 2,
        longest_s: float = 20.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused = 0
        self._share = share
        self._burst_s = free_s / share
        self._at_once = at_once
        self._longest_s = longest_s
        self._now = now
        self._lanes: OrderedDict[str, Lane] = OrderedDict()

    async def enter(self, key: str) -> float:
        """
        Wait for a turn; `leave` gives it back.

        Returns:
            0 where it is this request's turn, else the seconds until it is worth asking again.
        """
        lane = self._lane(key)
        wait_s = self._owed_s(lane) + len(lane.waiting) * (lane.mean_s + OVERHEAD_S) / self._share
        if wait_s > self._longest_s:
            self.refused += 1
            return wait_s - self._longest_s
        if not lane.waiting and lane.in_service < self._at_once and self._owed_s(lane) <= 0:
            lane.in_service += 1
            return 0
        turn = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        self._next(lane)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(key, 0)
            raise
        return 0

    def leave(self, key: str, seconds: float) -> None:
        """Give a turn back; it took so long."""
        lane = self._lane(key)
        lane.in_service = max(0, lane.in_service - 1)
        lane.mean_s += (seconds - lane.mean_s) / 20
        lane.paid_until = self._paid(lane, seconds)
        self._next(lane)

    def _paid(self, lane: Lane, seconds: float) -> float:
        # What is owed has an end: a hall pays for its neighbour's flood for half a minute at most.
        now = self._now()
        until = max(now, lane.paid_until) + (seconds + OVERHEAD_S) / self._share
        return min(until, now + self._burst_s + self._longest_s)

    def _owed_s(self, lane: Lane) -> float:
        return max(0.0, lane.paid_until - self._now() - self._burst_s)

    def _next(self, lane: Lane) -> None:
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        while lane.waiting and lane.in_service < self._at_once:
            owed_s = self._owed_s(lane)
            if owed_s > 0:
                loop = asyncio.get_running_loop()
                lane.timer = loop.call_later(owed_s, self._next, lane)
                return
            turn = lane.waiting.popleft()
            if not turn.done():
                lane.in_service += 1
                turn.set_result(None)

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self._now())
        self._lanes.move_to_end(key)
        for _ in range(2):
            oldest, other = next(iter(self._lanes.items()))
            is_idle = not other.waiting and not other.in_service
            is_paid = other.paid_until <= self._now()
            if other is not lane and is_idle and (is_paid or len(self._lanes) > MAX_KEYS):
                del self._lanes[oldest]
        return lane
