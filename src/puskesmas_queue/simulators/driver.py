"""Plays whole mornings in a running demo and brings back what the demo says of them."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.domain.tickets import OPEN
from puskesmas_queue.simulators.client import AGENT
from puskesmas_queue.simulators.http_hall import (
    DemoHall,
    HttpHall,
    Meter,
    Pace,
    Stopped,
    look_at,
)
from puskesmas_queue.simulators.morning import Customs, Morning, plan_morning
from puskesmas_queue.simulators.play import Journal, Play

BEGINS = time_of_day(6, 25)
"""A morning begins before the first patient."""
DAILY_AGENT = "puskesmas-queue-demo-day/1"
"""What the server keeps of the sessions of days that go on by themselves."""
SETTLE_S = 30.0
"""So long the server may take to end a day, seconds of this machine."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """
    What is to be played.

    Args:
        patients: How many come, the emergencies not counted.
        seed: The same seed gives the same people.
        counters: How many counters work; None for all that the demo has.
        customs: How people and staff are.
        pace: How fast; as fast as the server answers where None.
        patience_s: So long a server may be away before it is given up.
        agent: What the browsers call themselves.
        slow_s: An answer that takes longer is told as a problem.
    """

    patients: int = 300
    seed: int = 1
    counters: int | None = None
    customs: Customs = field(default_factory=Customs)
    pace: Pace | None = None
    patience_s: float = 30.0
    agent: str = AGENT
    slow_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Played:
    """
    A morning that was played: by the people's own watches and as the demo tells it.

    `tickets` and `events` are what `/demo/tickets` and `/demo/events` say once the day is over.
    """

    day: date
    morning: Morning
    journal: Journal
    meter: Meter
    tickets: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What a real morning would not forgive."""
        still_open = [one["number"] for one in self.tickets if one["status"] in OPEN]
        known = {one["number"] for one in self.tickets}
        lost = sorted(self.journal.people.keys() - known)
        unknown = sorted(known - self.journal.people.keys())
        return [
            *self.journal.problems,
            *self.meter.problems,
            *(f"{number} did not end" for number in still_open),
            *(f"{number} was given and is not there" for number in lost),
            *(f"{number} is there and nobody has it" for number in unknown),
        ]


def play_day(url: str, wishes: Wishes) -> Played:
    """
    Play the next morning that has not begun, to the end of its day.

    Raises:
        SetupError: No demo answers there, or it has too few counters or logins.
        Stopped: The pace was told to stop.
    """
    demo = look_at(url, wishes.patience_s)
    day = demo.now.date()
    if demo.now.time() > BEGINS:
        day += timedelta(days=1)
    if demo.latest_day is not None:
        day = max(day, demo.latest_day + timedelta(days=1))
    hall, morning = _prepare(url, day, demo, wishes)
    started = time.monotonic()
    try:
        hall.jump_to(datetime.combine(day, BEGINS, demo.now.tzinfo))
        journal = Play(morning, hall).run()
        hall.go_home()
        hall.jump_to(datetime.combine(day + timedelta(days=1), time_of_day(0, 1), demo.now.tzinfo))
        tickets = _ended(hall)
        events = hall.told("events")
    finally:
        hall.hang_up()
    took = time.monotonic() - started
    return Played(day, morning, journal, hall.meter, tickets, events, took)


class DailyRound:
    """
    Days that go on by themselves in a demo, until they are stopped.

    The first is the demo's present day from now on, if its counters are not about to close: who
    would have come before lines up at the kiosk.

    Args:
        url: The demo, which may still be starting.
        speed: Clinic seconds per second, >= 1.
        wishes: What is played; the seed counts on with the days.
    """

    def __init__(self, url: str, speed: float, wishes: Wishes | None = None) -> None:
        self._url = url
        self._wishes = wishes or Wishes(patients=120)
        self._pace = Pace(speed)
        self._thread = threading.Thread(target=self._run, name="daily-round", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present request."""
        self._pace.stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        try:
            self._play_today()
            for seed in range(self._wishes.seed + 1, 2**31):
                play_day(self._url, self._wished(seed))
        except Stopped:
            log.info("the demo's day ends")
        except SetupError as error:
            if not self._pace.stop.is_set():
                log.warning("the demo's day: %s", error)

    def _play_today(self) -> None:
        demo = look_at(self._url)
        midnight = datetime.combine(demo.now.date(), time_of_day(), demo.now.tzinfo)
        now_s = (demo.now - midnight).total_seconds()
        if now_s >= self._wishes.customs.closes_s:
            return
        wishes = self._wished(self._wishes.seed)
        hall, morning = _prepare(self._url, demo.now.date(), demo, wishes, now_s)
        try:
            for problem in Play(morning, hall).run().problems:
                log.info("the demo's day: %s", problem)
            hall.go_home()
        finally:
            hall.hang_up()

    def _wished(self, seed: int) -> Wishes:
        return replace(self._wishes, seed=seed, pace=self._pace, agent=DAILY_AGENT)


def _prepare(
    url: str, day: date, demo: DemoHall, wishes: Wishes, not_before_s: float = 0.0
) -> tuple[HttpHall, Morning]:
    hall = HttpHall(url, day, demo, wishes.pace, wishes.patience_s, wishes.agent, wishes.slow_s)
    counters = hall.counters[: wishes.counters]
    if not counters or len(counters) < (wishes.counters or 0):
        raise SetupError(f"{url} has {len(counters)} counters with a login")
    plan = plan_morning(
        wishes.seed, wishes.patients, counters, demo.units, wishes.customs, not_before_s
    )
    return hall, plan


def _ended(hall: HttpHall) -> Sequence[dict[str, Any]]:
    """Return the day's tickets once each has ended, or as they are when the time is over."""
    ends = time.monotonic() + SETTLE_S
    while True:
        tickets = hall.told("tickets")
        if time.monotonic() > ends or not any(one["status"] in OPEN for one in tickets):
            return tickets
        time.sleep(0.2)
