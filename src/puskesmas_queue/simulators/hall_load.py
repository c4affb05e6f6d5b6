"""Loads a running demo: kiosks issue and counters call, at a rate or as fast as it goes."""

import re
import secrets
import threading
import time
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as time_of_day
from http import HTTPStatus
from typing import Any

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.simulators import load
from puskesmas_queue.simulators.client import LOST, Client
from puskesmas_queue.simulators.http_hall import CALLED, DemoHall, look_at, told_by
from puskesmas_queue.simulators.kiosk_requests import KioskRequests, given_codes
from puskesmas_queue.simulators.summary import Summary

OPENS, CLOSES = time_of_day(6, 5), time_of_day(12, 0)
"""Between these the demo's kiosk is open, and will be for as long as a load lasts."""
BEGINS = time_of_day(8, 0)
KINDS = ("issue", "call")
EMPTY_S = 0.02
"""A counter that was given nobody asks again after so long."""
SERVE_FORM = re.compile(r"/loket/tickets/(\d+)/serve")


@dataclass(frozen=True, slots=True)
class LoadWishes:
    """
    How much.

    Args:
        clients: How many kiosks ask at once.
        rate: Tickets a second in all, and as many calls; None for as fast as it goes.
        seconds: How long.
        kinds: `issue`, `call` or both.
    """

    clients: int = 8
    rate: float | None = None
    seconds: float = 10.0
    kinds: Sequence[str] = KINDS


@dataclass(frozen=True, slots=True)
class LoadReport:
    """
    What came of a load.

    Args:
        seconds: How long it took.
        latency_ms: Times of the answers by kind of request; their counts are what was answered.
        wrong: What must be 0: `refused` (answered otherwise), `lost` (no answer), `duplicates`
            (a number or a call given twice), `missing` (given and not in the demo's list).
        statuses: How often the refused were answered with what.
    """

    seconds: float
    latency_ms: Mapping[str, Summary]
    wrong: Mapping[str, int]
    statuses: Mapping[int, int]

    def rate(self, kind: str) -> float:
        """Answers of a kind per second."""
        return self.latency_ms[kind].count / self.seconds

    @property
    def is_right(self) -> bool:
        """Whether nothing was wrong."""
        return not any(self.wrong.values())


def press(url: str, wishes: LoadWishes) -> LoadReport:
    """
    Load a demo.

    Raises:
        SetupError: No demo answers there, or nobody can log in.
    """
    demo = _in_the_morning(url)
    counters = _Counters(url, demo, wishes)
    if "call" in wishes.kinds:
        counters.start()
    started = time.perf_counter()
    issued = load.Run(0.0)
    if "issue" in wishes.kinds:
        # A device of its own for each client: what is measured is the hall, not its limits.
        kiosks = [{"pq_device": secrets.token_urlsafe(16)} for _ in range(wishes.clients)]
        requests = KioskRequests(url, kiosks, demo.units[0])
        try:
            issued = load.run(
                url, wishes.clients, requests.request, rate=wishes.rate, seconds=wishes.seconds
            )
        except OSError as error:
            counters.stop()
            raise SetupError(f"{url} does not answer: {error}") from error
    else:
        time.sleep(wishes.seconds)
    took = time.perf_counter() - started
    counters.stop()
    tickets = told_by(url, f"/demo/tickets?date={demo.now.date().isoformat()}")["tickets"]
    return _report(issued, counters, tickets, took)


def as_document(report: LoadReport) -> dict[str, Any]:
    """Return a report for programs."""
    return {
        "seconds": report.seconds,
        "kinds": {
            kind: {
                "answers": one.count,
                "per_second": report.rate(kind),
                "p50_ms": one.p50,
                "p99_ms": one.p99,
                "most_ms": one.most,
            }
            for kind, one in report.latency_ms.items()
        },
        "wrong": dict(report.wrong),
        "statuses": {str(status): count for status, count in report.statuses.items()},
    }


def as_text(report: LoadReport) -> str:
    """Return a report for people."""
    lines = [f"{'':<8}{'answers':>9}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}"]
    lines += [
        f"{kind:<8}{one.count:>9,}{report.rate(kind):>10,.0f}{one.p50:>9.1f}{one.p99:>9.1f}"
        f"{one.most:>9.1f}"
        for kind, one in report.latency_ms.items()
    ]
    wrong = ", ".join(f"{count} {word}" for word, count in report.wrong.items())
    statuses = ", ".join(f"{count} x {status}" for status, count in report.statuses.items())
    return "\n".join([*lines, f"Wrong   {wrong}{f' ({statuses})' if statuses else ''}"])


@dataclass(slots=True)
class _Counter:
    """What one counter met."""

    call_s: list[float] = field(default_factory=list)
    serve_s: list[float] = field(default_factory=list)
    called: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    lost: int = 0


class _Counters:
    """Every counter of a demo, each a thread that calls and serves."""

    def __init__(self, url: str, demo: DemoHall, wishes: LoadWishes) -> None:
        self.met: list[_Counter] = []
        self._url = url
        self._desks = list(zip(demo.counters, demo.logins, strict=False))
        self._every_s = len(self._desks) / wishes.rate if wishes.rate else 0.0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Let everybody log in and begin."""
        for number, login in self._desks:
            client = Client(self._url)
            self._log_in(client, number, login)
            met = _Counter()
            self.met.append(met)
            thread = threading.Thread(target=self._work, args=(client, met), daemon=True)
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody go home."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    @staticmethod
    def _log_in(client: Client, number: int, login: tuple[str, str]) -> None:
        form = {"username": login[0], "password": login[1]}
        if client.insist("POST", "/login", form).status != HTTPStatus.SEE_OTHER:
            raise SetupError(f"{login[0]} cannot log in")
        opened = client.insist("POST", "/loket/open", {"counter": str(number)})
        if opened.status != HTTPStatus.SEE_OTHER:
            raise SetupError(f"counter {number} is somebody else's")

    def _work(self, client: Client, met: _Counter) -> None:
        begun = time.monotonic()
        turn = 0
        while not self._stop.is_set():
            if self._stop.wait(max(0.0, begun + turn * self._every_s - time.monotonic())):
                break
            turn += 1
            try:
                is_called = self._call(client, met)
            except LOST:
                met.lost += 1
                continue
            if not is_called:
                self._stop.wait(EMPTY_S)
        try:
            client.ask("POST", "/logout", {})
        except LOST:
            met.lost += 1
        client.close()

    @staticmethod
    def _call(client: Client, met: _Counter) -> bool:
        """Call and serve one; False where nobody waited."""
        answer = client.ask("POST", "/loket/call-next", {}, htmx=True)
        if answer.status != HTTPStatus.OK:
            met.statuses.append(answer.status)
            return False
        found = CALLED.search(answer.text)
        form = SERVE_FORM.search(answer.text)
        if found is None or form is None:
            return False
        met.call_s.append(answer.seconds)
        met.called.append(int(found[1]))
        served = client.ask("POST", form[0], {}, htmx=True)
        met.serve_s.append(served.seconds)
        if served.status != HTTPStatus.OK:
            met.statuses.append(served.status)
        return True


def _in_the_morning(url: str) -> DemoHall:
    """Return what the demo is, at an hour at which its kiosk is open."""
    demo = look_at(url)
    if not OPENS <= demo.now.time() <= CLOSES:
        day = demo.now.date() + timedelta(days=demo.now.time() > CLOSES)
        at = datetime.combine(day, BEGINS, demo.now.tzinfo)
        client = Client(url)
        client.insist("POST", "/demo/clock", {"at": at.isoformat()})
        client.close()
        demo = look_at(url)
    return demo


def _report(
    issued: load.Run, counters: _Counters, tickets: Sequence[Mapping[str, Any]], took: float
) -> LoadReport:
    given = given_codes(issued.answers)
    refused = [one.status for one in issued.answers if not given_codes([one])]
    refused += [status for one in counters.met for status in one.statuses]
    called = [ticket for one in counters.met for ticket in one.called]
    numbers = [one["number"] for one in tickets]
    listed = {one["code"] for one in tickets}
    seconds: dict[str, list[float]] = {}
    if issued.answers:
        seconds["issue"] = [one.seconds for one in issued.answers if given_codes([one])]
    if counters.met:
        seconds["call"] = [one for met in counters.met for one in met.call_s]
        seconds["serve"] = [one for met in counters.met for one in met.serve_s]
    return LoadReport(
        seconds=took,
        latency_ms={
            kind: Summary.of([one * 1000 for one in taken]) for kind, taken in seconds.items()
        },
        wrong={
            "refused": len(refused),
            "lost": issued.lost + sum(one.lost for one in counters.met),
            "duplicates": sum(len(one) - len(set(one)) for one in (given, numbers, called)),
            "missing": len(set(given) - listed),
        },
        statuses=dict(Counted(refused)),
    )
