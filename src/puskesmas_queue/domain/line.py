"""
The line: which lane is next, who stands before whom, how long it takes.

Source: domain rules, section 4.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Literal

from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.domain.tickets import Lane

SERVICE_SAMPLE = 20
"""How many of the latest service times make the rate."""
ESTIMATE_STEP_MIN = 5
TIE_STEP = 1024
"""Distance of two tickets' `order_tie`, so that a re-inserted one fits between them."""

Policy = Literal["ratio", "full", "first_come"]


class NoOpenCounter(QueueError):
    """Nobody serves, so there is no rate to estimate with."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """
    How lanes take turns, from setting `queue.priority_ratio`.

    Args:
        policy: `ratio`, or `full` (strict priority) or `first_come`, for which the others are not
            used.
        a: Priority tickets in a row, >= 1.
        b: General tickets that follow them, >= 1.
    """

    policy: Policy
    a: int = 1
    b: int = 1

    @classmethod
    def parse(cls, text: str) -> "Ratio":
        """
        Read `2:1`, `full` or `first_come`.

        Raises:
            ValueError: Anything else.
        """
        if text == "full":
            return cls("full")
        if text == "first_come":
            return cls("first_come")
        match = re.fullmatch(r"([1-9]\d?):([1-9]\d?)", text)
        if match is None:
            raise ValueError(text)
        return cls("ratio", int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class RatioState:
    """
    Where the ratio stands.

    Args:
        priority_taken: Priority tickets taken in the current round, >= 0.
        general_taken: General tickets taken in it, >= 0.
    """

    priority_taken: int = 0
    general_taken: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """
    The first ticket of a lane that this counter may take.

    Args:
        order_key: Its place in the lane: when it came, microseconds since the epoch in UTC.
        order_tie: Parts tickets of the same microsecond; grows too.
    """

    order_key: int
    order_tie: int


@dataclass(frozen=True, slots=True)
class LineHeads:
    """
    What a decision on the next lane sees; at least one head is there.

    Args:
        priority: The first ticket of the priority lane; None where nobody waits in it.
        general: The same for the general lane.
        ratio: What the clinic set.
        state: Where the ratio stands.
    """

    priority: Head | None
    general: Head | None
    ratio: Ratio
    state: RatioState


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """
    Which ticket is next.

    Args:
        lane: Where to take it from; a head must be there.
        state: Where the ratio stands afterwards; `heads.state` leaves it as it is.
    """

    lane: Lane
    state: RatioState


def choose_by_ratio(heads: LineHeads) -> LaneChoice:
    """
    Take turns `a:b`.

    With one lane empty the other is taken: a priority ticket then counts for nothing (the
    ratio counts only what general tickets had to wait for), a general one starts a new
    round, so that the next priority patient who comes is the next one called.
    """
    state = heads.state
    if heads.general is None:
        return LaneChoice(Lane.PRIORITY, state)
    if heads.priority is None:
        return LaneChoice(Lane.GENERAL, RatioState())
    if state.priority_taken < heads.ratio.a:
        return LaneChoice(Lane.PRIORITY, RatioState(state.priority_taken + 1, 0))
    taken = state.general_taken + 1
    if taken >= heads.ratio.b:
        return LaneChoice(Lane.GENERAL, RatioState())
    return LaneChoice(Lane.GENERAL, RatioState(state.priority_taken, taken))


def choose_full(heads: LineHeads) -> LaneChoice:
    """Take priority tickets as long as there is one."""
    lane = Lane.PRIORITY if heads.priority is not None else Lane.GENERAL
    return LaneChoice(lane, RatioState())


def choose_first_come(heads: LineHeads) -> LaneChoice:
    """Take whoever came first, whatever the lane."""
    if heads.priority is None:
        lane = Lane.GENERAL
    elif heads.general is None:
        lane = Lane.PRIORITY
    else:
        first = (heads.priority.order_key, heads.priority.order_tie)
        other = (heads.general.order_key, heads.general.order_tie)
        lane = Lane.PRIORITY if first <= other else Lane.GENERAL
    return LaneChoice(lane, RatioState())


POLICIES = {"ratio": choose_by_ratio, "full": choose_full, "first_come": choose_first_come}


def call_order(
    priority: Sequence[Head], general: Sequence[Head], ratio: Ratio, state: RatioState
) -> list[tuple[Lane, int]]:
    """
    Run the ratio on with nobody new and list who would be called, in order.

    Args:
        priority: Heads of the whole priority lane in lane order.
        general: The same for the general lane.
        ratio: The clinic's ratio.
        state: Where it stands.

    Returns:
        `(lane, index in that lane)`, one per ticket. A ticket's `people_ahead` is its
        place in this list.
    """
    choose = POLICIES[ratio.policy]
    order: list[tuple[Lane, int]] = []
    p = g = 0
    while p < len(priority) or g < len(general):
        choice = choose(
            LineHeads(
                priority[p] if p < len(priority) else None,
                general[g] if g < len(general) else None,
                ratio,
                state,
            )
        )
        state = choice.state
        if choice.lane is Lane.PRIORITY:
            order.append((Lane.PRIORITY, p))
            p += 1
        else:
            order.append((Lane.GENERAL, g))
            g += 1
    return order


def people_ahead_of_new(
    lane: Lane, waiting_priority: int, waiting_general: int, ratio: Ratio, state: RatioState
) -> int:
    """
    Count the calls before a ticket that joins the end of `lane` now.

    Works on counts alone, so its cost does not grow with the line.
    """
    if ratio.policy == "first_come":
        return waiting_priority + waiting_general
    if ratio.policy == "full":
        return waiting_priority + (0 if lane is Lane.PRIORITY else waiting_general)
    first = max(0, ratio.a - state.priority_taken)
    # The state may be of another ratio, which the clinic had until a moment ago.
    owed_general = ratio.b if first else max(1, ratio.b - state.general_taken)
    if lane is Lane.PRIORITY:
        # General calls until the newcomer's own priority turn.
        before = waiting_priority + 1
        if before <= first:
            return waiting_priority
        rounds = -(-(before - first) // ratio.a)
        owed = owed_general + (rounds - 1) * ratio.b
        return waiting_priority + min(waiting_general, owed)
    before = waiting_general + 1
    rounds = 0 if before <= owed_general else -(-(before - owed_general) // ratio.b)
    return waiting_general + min(waiting_priority, first + rounds * ratio.a)


def reinsert_place(lane: Iterable[tuple[int, int]], after: int) -> tuple[int, int] | None:
    """
    Find the place behind the next `after` tickets of a lane.

    Args:
        lane: `(order_key, order_tie)` of the lane's tickets in lane order, all or the first
            ones with all that came back behind the same ticket.
        after: How many of them go first, >= 1.

    Returns:
        The `(order_key, order_tie)` to take, or None where the lane is empty and the ticket's
        own place is as good.
    """
    last: tuple[int, int] | None = None
    for index, place in enumerate(lane):
        if index < after:
            last = place
        elif last is not None and place == (last[0], last[1] + 1):
            # Somebody came back to this very place before.
            last = place
        else:
            break
    return None if last is None else (last[0], last[1] + 1)


def estimate_wait(people_ahead: int, service_s: Sequence[float], open_counters: int) -> timedelta:
    """
    Estimate how long a ticket will wait.

    Args:
        people_ahead: Calls before this ticket, >= 0.
        service_s: Latest service times at the counters, seconds, shape (n,), n >= 1.
        open_counters: Counters now serving, >= 1.

    Raises:
        NoOpenCounter: Nobody serves, so there is no rate.

    Source: domain rules, section 4.
    """
    if open_counters < 1:
        raise NoOpenCounter("no counter is open")
    return timedelta(seconds=people_ahead * median(service_s) / open_counters)


def rounded_minutes(wait: timedelta) -> int:
    """Round an estimate to 5 minutes, at least 5 where there is any wait."""
    minutes = wait.total_seconds() / 60
    if minutes <= 0:
        return 0
    return max(ESTIMATE_STEP_MIN, round(minutes / ESTIMATE_STEP_MIN) * ESTIMATE_STEP_MIN)
