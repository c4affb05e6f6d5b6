"""
Plays a planned morning in a hall: an event loop over people and counters.

The hall decides who is next and what is allowed; people and staff do what the plan says. What the
hall answers is compared with what the people know themselves, and kept beside it.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.simulators.morning import MOST_CALLS, MOST_ROUNDS, Desk, Morning, Visit

Step = Literal["recall", "serve", "skip", "hold", "complete", "reinsert", "cancel", "arrive"]
Where = Literal["waiting", "called", "serving", "held", "skipped", "gone"]
HELD_FOR_S = 3600.0
"""The clinic keeps a held ticket so long; whoever comes later was skipped meanwhile."""
EMERGENCY_SEEN_S = 120.0


class Hall(Protocol):
    """Where a morning is played: a server, or a model of one."""

    def at(self, at_s: float) -> None:
        """Let it be that time of day, seconds after midnight; never earlier than it is."""

    def issue(self, visit: Visit) -> str | None:
        """Take a number at the kiosk; None where it was refused."""

    def move(self, counter: int, to: Literal["open", "pause", "close"]) -> bool:
        """Open, pause or close a counter."""

    def call_next(self, counter: int) -> str | None:
        """Complete what the counter serves and call; None where nobody waits."""

    def step(self, counter: int, step: Step, number: str) -> bool:
        """Do one step with a ticket at a counter; False where it was refused."""


@dataclass(slots=True)
class Person:
    """
    One visitor and what became of them, by their own watch (seconds after midnight).

    `called_s` is the first call; `rounds` counts the rounds of calls that they missed.
    """

    visit: Visit
    number: str
    issued_s: float
    where: Where = "waiting"
    rounds: int = 0
    calls: int = 0
    called_s: float | None = None
    held_s: float | None = None
    has_gone_home: bool = False

    @property
    def lane(self) -> Lane:
        """The lane they wait in."""
        return Lane.EMERGENCY if self.visit.request is None else self.visit.request.lane


@dataclass(slots=True)
class Journal:
    """
    What a morning was like for those who were there.

    `busy_s` and `open_s` are seconds by counter: with a patient called or there, and open.
    `problems` are answers that a real morning would not forgive.
    """

    people: dict[str, Person] = field(default_factory=dict)
    busy_s: dict[int, float] = field(default_factory=dict)
    open_s: dict[int, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Post:
    """A counter at work."""

    desk: Desk
    is_open: bool = False
    is_idle: bool = False
    has_paused: bool = False
    current: Person | None = None
    since_s: float = 0.0
    busy_from_s: float = 0.0


class Play:
    """
    One morning in one hall.

    Args:
        morning: The plan.
        hall: Where it happens.
    """

    def __init__(self, morning: Morning, hall: Hall) -> None:
        self.journal = Journal()
        self._morning = morning
        self._customs = morning.customs
        self._hall = hall
        self._posts = [_Post(desk) for desk in morning.desks]
        self._back: deque[Person] = deque()
        self._line: dict[Lane, dict[str, Person]] = {Lane.PRIORITY: {}, Lane.GENERAL: {}}
        self._now_s = 0.0
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> Journal:
        """Play it to its end and return what it was like."""
        for visit in self._morning.visits:
            self._at(visit.comes_s, partial(self._come, visit))
        for post in self._posts:
            self._at(post.desk.opens_s, partial(self._open, post))
            for moment_s in (post.desk.break_from_s, post.desk.closes_s, post.desk.goes_home_s):
                self._at(moment_s, partial(self._look, post))
        while self._agenda:
            at_s, _, happen = heapq.heappop(self._agenda)
            self._now_s = max(self._now_s, at_s)
            self._hall.at(self._now_s)
            happen()
        return self.journal

    def _at(self, at_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._order), happen))

    def _after(self, after_s: float, happen: Callable[[], None]) -> None:
        self._at(self._now_s + after_s, happen)

    # People

    def _come(self, visit: Visit) -> None:
        number = self._hall.issue(visit)
        if number is None:
            self._problem(f"the kiosk refused visitor {visit.index}")
            return
        if number in self.journal.people:
            self._problem(f"{number} was given twice")
            return
        person = Person(visit, number, self._now_s)
        self.journal.people[number] = person
        if visit.request is None:
            self._after(EMERGENCY_SEEN_S, partial(self._see_emergency, person))
            return
        if visit.leaves_s is not None:
            self._after(visit.leaves_s, partial(self._leave, person))
        self._stand(person)

    def _stand(self, person: Person) -> None:
        """Stand in the line, where a counter may see it."""
        person.where, person.calls = "waiting", 0
        self._line[person.lane][person.number] = person
        self._wake()

    def _leave(self, person: Person) -> None:
        if person.where != "waiting" or person.rounds:
            return
        post = next((one for one in self._posts if one.is_open), None)
        if post is None:
            person.has_gone_home = True
            return
        self._step(post, "cancel", person)
        del self._line[person.lane][person.number]
        person.where = "gone"

    def _see_emergency(self, person: Person) -> None:
        post = next((one for one in self._posts if one.is_open), None)
        if post is not None:
            self._step(post, "arrive", person)
            person.where = "gone"
        elif self._now_s < max(one.desk.opens_s for one in self._posts):
            self._after(EMERGENCY_SEEN_S, partial(self._see_emergency, person))

    def _return(self, person: Person) -> None:
        """Come back after a skip and say so at any counter that is open."""
        post = next((one for one in self._posts if one.is_open), None)
        if post is not None:
            self._step(post, "reinsert", person)
            self._stand(person)

    def _bring_papers(self, person: Person) -> None:
        self._back.append(person)
        self._wake()

    # Counters

    def _open(self, post: _Post) -> None:
        if not self._hall.move(post.desk.number, "open"):
            self._problem(f"counter {post.desk.number} could not open")
            return
        post.is_open, post.since_s = True, self._now_s
        self._after(self._customs.react_s, partial(self._free, post))

    def _shut(self, post: _Post, how: Literal["pause", "close"]) -> None:
        if post.current is not None:
            self._step(post, "complete", post.current)
            self._done_with(post)
        if not self._hall.move(post.desk.number, how):
            self._problem(f"counter {post.desk.number} could not {how}")
        post.is_open = post.is_idle = False
        self._count(self.journal.open_s, post, self._now_s - post.since_s)

    def _look(self, post: _Post) -> None:
        """Look up at a moment when something may be due."""
        if post.is_idle:
            post.is_idle = False
            self._free(post)

    def _wake(self) -> None:
        """Let one counter that waits for patients see that somebody is there."""
        post = next((one for one in self._posts if one.is_idle), None)
        if post is not None:
            post.is_idle = False
            self._after(self._customs.react_s, partial(self._free, post))

    def _free(self, post: _Post) -> None:
        """Do what comes after a patient, who may still stand there."""
        desk = post.desk
        if self._now_s >= desk.goes_home_s:
            self._shut(post, "close")
        elif not post.has_paused and desk.break_from_s <= self._now_s < desk.closes_s:
            post.has_paused = True
            self._shut(post, "pause")
            pause_s = desk.break_to_s - desk.break_from_s
            self._after(pause_s, partial(self._open, post))
        elif self._back:
            self._go_on(post, self._back.popleft())
        else:
            self._call(post)

    def _call(self, post: _Post) -> None:
        number = self._hall.call_next(post.desk.number)
        if post.current is not None:
            self._done_with(post)
        if number is None:
            if any(self._line.values()):
                self._problem(f"counter {post.desk.number} was given nobody while people wait")
            if self._now_s >= post.desk.closes_s:
                self._shut(post, "close")
            else:
                post.is_idle = True
            return
        person = self.journal.people.get(number)
        if person is None or person.where != "waiting":
            what = "nobody has" if person is None else f"is {person.where}"
            self._problem(f"counter {post.desk.number} was given {number}, which {what}")
            return
        self._check_order(person)
        del self._line[person.lane][number]
        person.where, person.calls = "called", 1
        person.called_s = self._now_s if person.called_s is None else person.called_s
        post.current, post.busy_from_s = person, self._now_s
        self._answer(post, person)

    def _answer(self, post: _Post, person: Person) -> None:
        """Follow the call, or let the counter call again or skip."""
        visit = person.visit
        hears = None if person.has_gone_home else visit.hears[person.rounds]
        if hears == person.calls:
            self._after(visit.walk_s[person.rounds], partial(self._serve, post, person))
        elif person.calls < MOST_CALLS:
            self._after(self._customs.recall_s, partial(self._recall, post, person))
        else:
            self._after(self._customs.recall_s, partial(self._skip, post, person))

    def _recall(self, post: _Post, person: Person) -> None:
        self._step(post, "recall", person)
        person.calls += 1
        self._answer(post, person)

    def _skip(self, post: _Post, person: Person) -> None:
        self._step(post, "skip", person)
        self._miss(person)
        self._done_with(post)
        self._after(self._customs.react_s, partial(self._free, post))

    def _miss(self, person: Person) -> None:
        """A round of calls went by; the last one was the end."""
        person.where = "skipped"
        after_s = None if person.has_gone_home else person.visit.returns_s[person.rounds]
        person.rounds += 1
        if person.rounds >= MOST_ROUNDS:
            person.where = "gone"
        elif after_s is not None:
            self._after(after_s, partial(self._return, person))

    def _serve(self, post: _Post, person: Person) -> None:
        self._step(post, "serve", person)
        person.where = "serving"
        visit = person.visit
        if visit.lacks_s is not None and person.held_s is None:
            self._after(visit.lacks_s, partial(self._hold, post, person))
        else:
            self._after(visit.service_s, partial(self._free, post))

    def _hold(self, post: _Post, person: Person) -> None:
        self._step(post, "hold", person)
        person.where, person.held_s = "held", self._now_s
        self._done_with(post)
        if person.visit.fetches_s is not None:
            self._after(person.visit.fetches_s, partial(self._bring_papers, person))
        self._after(self._customs.react_s, partial(self._free, post))

    def _go_on(self, post: _Post, person: Person) -> None:
        """Serve somebody who fetched the papers; after an hour that was one more skip."""
        if post.current is not None:
            self._step(post, "complete", post.current)
            self._done_with(post)
        assert person.held_s is not None
        if self._hall.step(post.desk.number, "serve", person.number):
            person.where, post.current, post.busy_from_s = "serving", person, self._now_s
            self._after(person.visit.service_s, partial(self._free, post))
            return
        if self._now_s - person.held_s < HELD_FOR_S:
            self._problem(f"{person.number} was held for less than an hour and is refused")
        person.rounds += 1
        if person.rounds < MOST_ROUNDS:
            self._step(post, "reinsert", person)
            self._stand(person)
        else:
            person.where = "gone"
        self._after(self._customs.react_s, partial(self._free, post))

    def _done_with(self, post: _Post) -> None:
        """Have nobody at the counter any more."""
        if post.current is not None and post.current.where == "serving":
            post.current.where = "gone"
        post.current = None
        self._count(self.journal.busy_s, post, self._now_s - post.busy_from_s)

    # What is kept

    def _step(self, post: _Post, step: Step, person: Person) -> None:
        if not self._hall.step(post.desk.number, step, person.number):
            self._problem(f"{step} of {person.number} was refused")

    def _check_order(self, called: Person) -> None:
        """Of those of a lane who never missed a call, the first one comes first."""
        line = self._line[called.lane].values()
        first = next((one for one in line if not one.rounds), called)
        if not called.rounds and first is not called:
            self._problem(f"{called.number} was called before {first.number}")

    @staticmethod
    def _count(sums: dict[int, float], post: _Post, seconds: float) -> None:
        sums[post.desk.number] = sums.get(post.desk.number, 0.0) + seconds

    def _problem(self, what: str) -> None:
        minutes = int(self._now_s // 60)
        self.journal.problems.append(f"{minutes // 60:02}:{minutes % 60:02} {what}")
