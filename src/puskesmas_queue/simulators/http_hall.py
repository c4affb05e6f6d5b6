"""
A hall that is a running demo: its kiosk's and counters' own requests, and its clock.

The clock is moved by `/demo/clock`, so a morning takes as long as the server needs for it; with a
pace it takes its time.
"""

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal
from zoneinfo import ZoneInfo

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.simulators.client import AGENT, Answer, Client
from puskesmas_queue.simulators.morning import Visit
from puskesmas_queue.simulators.play import Step

CONFIRM_EVERY_S = 1800.0
"""The clock guard bears an hour between wall and monotonic clock; half of it is given."""
TICK_S = 1.0
KEY_BYTES = 15
TICKET_PAGE = re.compile(r"/kiosk/ticket/([A-Z0-9]+)")
SHOWN_NUMBER = re.compile(r'class="(?:k-result-number )?number"(?: data-length="\d+")?>([^<]+)<')
CALLED = re.compile(r'id="lk-ticket-(\d+)".*?id="lk-now">([^<]+)<', re.DOTALL)
CLOCK = "clock"
MOVES = {"open": "/loket/open", "pause": "/loket/pause", "close": "/loket/close"}


class Stopped(Exception):
    """The morning was told to stop."""


@dataclass(frozen=True, slots=True)
class DemoHall:
    """
    What a demo says of itself: `units` can be chosen at the kiosk, in the order of the screens.

    `latest_day` is the last one with a ticket, None where there is none; `logins` are (username,
    password) of those who work at counters.
    """

    now: datetime
    latest_day: date | None
    units: tuple[str, ...]
    counters: tuple[int, ...]
    logins: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Meter:
    """
    What was asked: seconds of each answer by kind of request, and what went wrong.

    An answer for people that takes longer than `slow_s` is told as a problem.
    """

    slow_s: float = 2.0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    retries: int = 0

    def note(self, kind: str, answer: Answer, path: str, fine: Sequence[int]) -> None:
        """Note one answer."""
        self.seconds.setdefault(kind, []).append(answer.seconds)
        self.retries += answer.tries - 1
        if answer.status not in fine:
            self.problems.append(f"{path} answered {answer.status}")
        if answer.seconds > self.slow_s and kind != CLOCK:
            self.problems.append(f"{path} took {answer.seconds:.1f} s")

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return sum(map(len, self.seconds.values()))


@dataclass(slots=True)
class Pace:
    """How fast a morning passes: `speed` clinic seconds a second; it ends when `stop` is set."""

    speed: float
    stop: threading.Event = field(default_factory=threading.Event)


def look_at(url: str, patience_s: float = 30.0) -> DemoHall:
    """
    Ask a demo what there is; it may still be starting for so long.

    Raises:
        SetupError: Nobody answers there, or it is no demo.
    """
    told = told_by(url, "/demo/hall", patience_s)
    zone, latest = ZoneInfo(told["zone"]), told["latest_day"]
    return DemoHall(
        now=datetime.fromisoformat(told["now"]).astimezone(zone),
        latest_day=None if latest is None else date.fromisoformat(latest),
        units=tuple(told["units"]),
        counters=tuple(told["counters"]),
        logins=tuple((one["username"], one["password"]) for one in told["logins"]),
    )


def told_by(url: str, path: str, patience_s: float = 30.0) -> Any:
    """
    Ask a demo for a document.

    Raises:
        SetupError: Nobody answers there, or it is no demo.
    """
    client = Client(url)
    try:
        answer = client.insist("GET", path, for_s=patience_s)
    finally:
        client.close()
    if answer.status != HTTPStatus.OK:
        raise SetupError(f"{url} is no demo: {path} answers {answer.status}")
    return json.loads(answer.text)


class HttpHall:
    """
    Plays in a demo.

    Args:
        url: The demo.
        day: The service date that is played.
        demo: What the demo said of itself.
        pace: How fast; as fast as the server answers where None.
        patience_s: So long a server may be away.
        agent: What its browsers call themselves.
        slow_s: See `Meter`.
    """

    def __init__(
        self,
        url: str,
        day: date,
        demo: DemoHall,
        pace: Pace | None = None,
        patience_s: float = 30.0,
        agent: str = AGENT,
        slow_s: float = 2.0,
    ) -> None:
        self.meter = Meter(slow_s)
        self._day = day
        self._midnight = datetime.combine(day, datetime.min.time(), demo.now.tzinfo)
        self._pace = pace
        self._patience_s = patience_s
        self._kiosk = Client(url, agent)
        self._clock = Client(url, agent)
        self._staff = {
            counter: Client(url, agent)
            for counter, _ in zip(demo.counters, demo.logins, strict=False)
        }
        self._logins = dict(zip(demo.counters, demo.logins, strict=False))
        self._logged_in: set[int] = set()
        self._ids: dict[str, int] = {}
        self._server_at, self._told = demo.now, time.monotonic()
        self._confirmed_at: datetime | None = None
        self._began: tuple[float, datetime] | None = None

    @property
    def counters(self) -> list[int]:
        """Numbers of the counters at which somebody can work."""
        return list(self._staff)

    # Time

    def jump_to(self, at: datetime) -> None:
        """Let it be that time at once, whatever the pace: nobody looks on at night."""
        self._began = None
        if at > self._server_now():
            self._set_clock(at)

    def at(self, at_s: float) -> None:
        """
        Let it be that time in the clinic; with a pace only when it has come.

        Raises:
            Stopped: The morning was told to stop.
        """
        at = self._midnight + timedelta(seconds=at_s)
        if self._pace is not None:
            self._wait(at, self._pace)
        if at > self._server_now():
            self._set_clock(at)

    def _wait(self, at: datetime, pace: Pace) -> None:
        if self._began is None:
            self._began = (time.monotonic(), max(at, self._server_now()))
        began, began_at = self._began
        while not pace.stop.is_set():
            left_s = (at - began_at).total_seconds() / pace.speed - (time.monotonic() - began)
            if left_s <= 0:
                return
            pace.stop.wait(min(left_s, TICK_S))
            passed = timedelta(seconds=(time.monotonic() - began) * pace.speed)
            tick = min(began_at + passed, at)
            if tick - self._server_now() > timedelta(seconds=TICK_S):
                self._set_clock(tick)
        raise Stopped

    def _server_now(self) -> datetime:
        """Tell the demo's time: it goes on by itself between two moves."""
        return self._server_at + timedelta(seconds=time.monotonic() - self._told)

    def _set_clock(self, at: datetime) -> None:
        since = None if self._confirmed_at is None else at - self._confirmed_at
        confirms = since is None or not timedelta() <= since < timedelta(seconds=CONFIRM_EVERY_S)
        form = {"at": at.isoformat(), "rebase": "true" if confirms else "false"}
        answer = self._clock.insist(
            "POST", "/demo/clock", form, for_s=self._patience_s, again=self._forget_clock
        )
        self.meter.note(CLOCK, answer, "/demo/clock", (HTTPStatus.OK,))
        if answer.tries > 1 and not confirms:
            # It is another process, whose guard knows nothing of this time.
            form["rebase"] = "true"
            self._clock.insist("POST", "/demo/clock", form, for_s=self._patience_s)
        self._server_at, self._told = at, time.monotonic()
        if confirms or answer.tries > 1:
            self._confirmed_at = at

    def _forget_clock(self) -> None:
        self._confirmed_at = None

    def _restarted(self) -> None:
        """Bring a server that was started anew to the time of the morning."""
        self._forget_clock()
        self._set_clock(self._server_now())

    # The kiosk

    def issue(self, visit: Visit) -> str | None:
        """Take a number as the kiosk's page does, and read it from the page that follows."""
        form = {"f": secrets.token_urlsafe(KEY_BYTES)}
        path = "/kiosk/emergency"
        if visit.request is not None:
            path = "/kiosk/tickets"
            form["lane"] = visit.request.lane.value
            form["unit"] = visit.request.unit
            if visit.request.payment_type is not None:
                form["payment"] = visit.request.payment_type.value
            if visit.request.priority_reason is not None:
                form["reason"] = visit.request.priority_reason.value
        answer = self._ask(self._kiosk, "issue", path, form, fine=(HTTPStatus.SEE_OTHER,))
        page = TICKET_PAGE.match(answer.location)
        if page is None:
            return None
        shown = self._kiosk.insist("GET", page[0], for_s=self._patience_s, again=self._restarted)
        self.meter.note("kiosk page", shown, page[0], (HTTPStatus.OK,))
        number = SHOWN_NUMBER.search(shown.text)
        return None if number is None else number[1]

    # Counters

    def move(self, counter: int, to: Literal["open", "pause", "close"]) -> bool:
        """Open, pause or close a counter; who works there logs in first."""
        if counter not in self._logged_in:
            username, password = self._logins[counter]
            form = {"username": username, "password": password}
            login = self._ask(
                self._staff[counter], "login", "/login", form, fine=(HTTPStatus.SEE_OTHER,)
            )
            if login.status != HTTPStatus.SEE_OTHER:
                return False
            self._logged_in.add(counter)
        form = {"counter": str(counter)} if to == "open" else {}
        fine = (HTTPStatus.SEE_OTHER, HTTPStatus.CONFLICT)
        answer = self._ask(self._staff[counter], "counter", MOVES[to], form, fine=fine)
        return answer.status == HTTPStatus.SEE_OTHER

    def call_next(self, counter: int) -> str | None:
        """Press F2 and read the number from the counter's page."""
        answer = self._ask(self._staff[counter], "call", "/loket/call-next", {}, htmx=True)
        if answer.status == HTTPStatus.CONFLICT and answer.tries == 1:
            self.meter.problems.append(f"counter {counter}: call was refused")
        found = CALLED.search(answer.text)
        if found is None:
            return None
        self._ids[found[2]] = int(found[1])
        return found[2]

    def step(self, counter: int, step: Step, number: str) -> bool:
        """Press one of the ticket's buttons at a counter."""
        form = {"reason": "pulang"} if step == "cancel" else {}
        path = f"/loket/tickets/{self._id_of(number)}/{step}"
        answer = self._ask(self._staff[counter], step, path, form, htmx=True)
        # A second recall comes too early where only the answer to the first was lost.
        is_repeated = step == "recall" and answer.tries > 1
        return answer.status == HTTPStatus.OK or is_repeated

    def go_home(self) -> None:
        """Log everybody out and hang up."""
        for counter in sorted(self._logged_in):
            self._ask(self._staff[counter], "login", "/logout", {}, fine=(HTTPStatus.SEE_OTHER,))
        self._logged_in.clear()
        self.hang_up()

    def told(self, what: Literal["tickets", "events"]) -> list[dict[str, Any]]:
        """Ask the demo for the whole day, at the time that it is here."""
        path = f"/demo/{what}?date={self._day.isoformat()}"
        answer = self._clock.insist("GET", path, for_s=self._patience_s, again=self._restarted)
        rows: list[dict[str, Any]] = json.loads(answer.text)[what]
        return rows

    def hang_up(self) -> None:
        """Close the connections."""
        for client in (self._kiosk, self._clock, *self._staff.values()):
            client.close()

    def _id_of(self, number: str) -> int:
        if number not in self._ids:
            self._ids.update({one["number"]: one["id"] for one in self.told("tickets")})
        return self._ids[number]

    def _ask(
        self,
        client: Client,
        kind: str,
        path: str,
        form: Mapping[str, str],
        *,
        htmx: bool = False,
        fine: Sequence[int] = (HTTPStatus.OK, HTTPStatus.CONFLICT),
    ) -> Answer:
        answer = client.insist(
            "POST", path, form, htmx=htmx, for_s=self._patience_s, again=self._restarted
        )
        self.meter.note(kind, answer, path, fine)
        return answer
