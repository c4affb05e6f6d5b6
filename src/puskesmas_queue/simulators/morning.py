"""
The plan of a puskesmas's morning: who comes when and does what, and when each counter works.

Nothing here knows a server. All is drawn beforehand, each visitor from dice of their own, so that
a seed gives the same people whatever the line decides, and more people leave the first ones as
they are. Times are seconds after the clinic's midnight.

Source: docs/decisions, "The numbers of the simulated morning".
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from puskesmas_queue.domain.tickets import TicketRequest
from puskesmas_queue.simulators.arrivals import PRIORITY_SHARE, dice, draw_request

MOST_CALLS = 3
MOST_ROUNDS = 3
"""A ticket is called in at most three rounds: the third skip cancels it."""


def clock(hours: int, minutes: int = 0) -> float:
    """Return a time of day as seconds after midnight."""
    return hours * 3600.0 + minutes * 60.0


ARRIVALS = (
    (clock(6, 30), 0.00),
    (clock(7, 0), 0.06),
    (clock(7, 30), 0.16),
    (clock(8, 0), 0.30),
    (clock(8, 30), 0.41),
    (clock(9, 0), 0.50),
    (clock(10, 0), 0.70),
    (clock(11, 0), 0.88),
    (clock(12, 0), 1.00),
)
"""The share of the day's patients who have come by a time; even in between."""


@dataclass(frozen=True, slots=True)
class Spread:
    """
    A log-normal duration.

    Args:
        median_s: Half are shorter, seconds, > 0.
        sigma: Standard deviation of its logarithm, >= 0.
    """

    median_s: float
    sigma: float

    def draw(self, rng: random.Random) -> float:
        """Draw one, seconds."""
        return rng.lognormvariate(log(self.median_s), self.sigma)


@dataclass(frozen=True, slots=True)
class Customs:
    """
    How people and staff are. Shares are 0 to 1, times seconds.

    Args:
        arrivals: When people come: (time of day, share that came by then), rising from 0 to 1.
        priority_share: Of all patients.
        no_show_share: Not there when their number is called first.
        late_share: Of those, who hears the second or the third call.
        return_share: Of the skipped, who says "hadir kembali".
        lacks_share: Whose papers are missing at the counter.
        fetch_share: Of those, who comes back with them.
        leave_share: Who does not wait for ever and says so.
        emergencies: How many come for UGD, at most.
        kiosk_s: What one visitor takes at the kiosk; the next one waits for it.
        react_s: Until staff press the key.
        recall_s: Between two calls of a number; the clinic allows it after 20 s.
    """

    arrivals: Sequence[tuple[float, float]] = ARRIVALS
    priority_share: float = PRIORITY_SHARE
    no_show_share: float = 0.08
    late_share: float = 0.5
    return_share: float = 0.6
    lacks_share: float = 0.05
    fetch_share: float = 0.8
    leave_share: float = 0.03
    emergencies: int = 2
    service: Spread = Spread(150.0, 0.5)
    walk: Spread = Spread(12.0, 0.5)
    away: Spread = Spread(720.0, 0.6)
    fetch: Spread = Spread(1500.0, 0.6)
    check: Spread = Spread(75.0, 0.4)
    patience: Spread = Spread(2700.0, 0.4)
    kiosk_s: float = 15.0
    react_s: float = 4.0
    recall_s: float = 25.0
    opens_s: float = clock(7, 30)
    break_from_s: float = clock(9, 45)
    break_s: float = 900.0
    closes_s: float = clock(12, 15)
    last_closes_s: float = clock(13, 0)
    goes_home_s: float = clock(16, 0)


@dataclass(frozen=True, slots=True)
class Visit:
    """
    One person's morning, as it would go.

    Args:
        index: 0, 1, …; what names the person.
        comes_s: When their turn at the kiosk is over.
        request: What they ask for; None for UGD.
        walk_s: From hearing the call to standing at the counter, one for each round.
        hears: Which call they follow in each round of calling, 1 to 3; None: none of them.
        returns_s: How long after a skip they are back, one for each round; None: not again.
        service_s: What they take at the counter, > 0.
        lacks_s: After so long at the counter papers are found missing; None: all are there.
        fetches_s: So long they fetch them; None: they do not come back.
        leaves_s: After so long of waiting they go and say so; None: they stay.
    """

    index: int
    comes_s: float
    request: TicketRequest | None
    walk_s: tuple[float, ...] = ()
    hears: tuple[int | None, ...] = ()
    returns_s: tuple[float | None, ...] = ()
    service_s: float = 0.0
    lacks_s: float | None = None
    fetches_s: float | None = None
    leaves_s: float | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """
    The working day of one counter.

    Args:
        number: Of the counter.
        opens_s: When it opens.
        break_from_s: When its pause begins, or once its patient is gone.
        break_to_s: When it goes on.
        closes_s: From then on it closes as soon as nobody waits.
        goes_home_s: It closes whoever waits.
    """

    number: int
    opens_s: float
    break_from_s: float
    break_to_s: float
    closes_s: float
    goes_home_s: float


@dataclass(frozen=True, slots=True)
class Morning:
    """A whole plan: visits in the order in which they come, desks in the order of their numbers."""

    visits: tuple[Visit, ...]
    desks: tuple[Desk, ...]
    customs: Customs


def plan_morning(
    seed: int,
    patients: int,
    counters: Sequence[int],
    units: Sequence[str],
    customs: Customs | None = None,
    not_before_s: float = 0.0,
) -> Morning:
    """
    Draw a morning.

    Args:
        seed: The same seed gives the same morning.
        patients: How many come, without the emergencies, >= 0.
        counters: Numbers of the counters that work.
        units: Codes of the units that can be chosen, in the order of the screens.
        customs: How people and staff are.
        not_before_s: Nobody is done at the kiosk earlier; who came before that lines up there.
    """
    customs = customs or Customs()
    drawn = [_draw_patient(seed, index, units, customs) for index in range(patients)]
    rng = dice(f"{seed}:emergencies")
    drawn += [
        Visit(patients + index, time_of(rng.random(), customs.arrivals), None)
        for index in range(rng.randint(0, customs.emergencies))
    ]
    return Morning(
        visits=tuple(_through_the_kiosk(drawn, customs.kiosk_s, not_before_s)),
        desks=tuple(_desk(number, place, customs) for place, number in enumerate(counters)),
        customs=customs,
    )


def time_of(share: float, arrivals: Sequence[tuple[float, float]]) -> float:
    """
    Return when a share of the patients has come: the inverse of the arrival curve.

    Given how many come, the times of a Poisson process whose rate changes are independent draws
    from its curve; so drawing a share evenly for each person makes such a process.
    """
    place = bisect_right([came for _, came in arrivals], share)
    if place == len(arrivals):
        return arrivals[-1][0]
    (begins_s, before), (ends_s, after) = arrivals[place - 1], arrivals[place]
    return begins_s + (ends_s - begins_s) * (share - before) / (after - before)


def _draw_patient(seed: int, index: int, units: Sequence[str], customs: Customs) -> Visit:
    rng = dice(f"{seed}:{index}")
    comes_s = time_of(rng.random(), customs.arrivals)
    request = draw_request(rng, units, priority_share=customs.priority_share)
    hears = tuple(_draw_hearing(rng, customs) for _ in range(MOST_ROUNDS))
    lacks = rng.random() < customs.lacks_share
    fetches = rng.random() < customs.fetch_share
    leaves = rng.random() < customs.leave_share
    # Everything is drawn for everybody: a share that changes moves nobody else's dice.
    lacks_s, fetches_s, leaves_s = (
        spread.draw(rng) for spread in (customs.check, customs.fetch, customs.patience)
    )
    return Visit(
        index=index,
        comes_s=comes_s,
        request=request,
        walk_s=tuple(customs.walk.draw(rng) for _ in range(MOST_ROUNDS)),
        hears=hears,
        returns_s=tuple(_draw_return(rng, customs) for _ in range(MOST_ROUNDS)),
        service_s=customs.service.draw(rng),
        lacks_s=lacks_s if lacks else None,
        fetches_s=fetches_s if fetches else None,
        leaves_s=leaves_s if leaves else None,
    )


def _draw_hearing(rng: random.Random, customs: Customs) -> int | None:
    is_away, is_late, late = rng.random(), rng.random(), rng.randint(2, MOST_CALLS)
    if is_away >= customs.no_show_share:
        return 1
    return late if is_late < customs.late_share else None


def _draw_return(rng: random.Random, customs: Customs) -> float | None:
    does, after_s = rng.random(), customs.away.draw(rng)
    return after_s if does < customs.return_share else None


def _through_the_kiosk(drawn: list[Visit], kiosk_s: float, not_before_s: float) -> list[Visit]:
    """Let people use the one kiosk after each other; an emergency goes before everybody."""
    free_s = not_before_s
    visits = []
    for visit in sorted(drawn, key=lambda one: (one.comes_s, one.index)):
        if visit.request is None:
            visits.append(replace(visit, comes_s=max(visit.comes_s, not_before_s)))
            continue
        free_s = max(free_s, visit.comes_s) + kiosk_s
        visits.append(replace(visit, comes_s=free_s))
    return sorted(visits, key=lambda one: (one.comes_s, one.index))


def _desk(number: int, place: int, customs: Customs) -> Desk:
    # Pauses one after another, and the first one stays for those who come back late.
    break_from_s = customs.break_from_s + place * (customs.break_s + 300.0)
    return Desk(
        number=number,
        opens_s=customs.opens_s,
        break_from_s=break_from_s,
        break_to_s=break_from_s + customs.break_s,
        closes_s=customs.last_closes_s if place == 0 else customs.closes_s,
        goes_home_s=customs.goes_home_s,
    )
