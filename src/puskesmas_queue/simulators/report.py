"""
What came of a morning: waits, queues, counters, as the server's own events tell it.

A wait runs from the number to its first call: what somebody who was skipped waits after that is
their own doing. Queues are counted at every event of who then stands in the line.
"""

from collections import Counter as Counted
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.simulators.summary import Summary

LANES = (Lane.PRIORITY, Lane.GENERAL)
COMES = frozenset({"ticket_issued", "ticket_confirmed", "ticket_reinserted", "ticket_given_back"})
"""Events after which a ticket stands in the line."""
GOES = frozenset({"ticket_called", "ticket_cancelled", "ticket_expired", "ticket_completed"})
"""Events after which it does not."""
ARRIVES = frozenset({"ticket_called", "ticket_serving"})
"""Events after which a ticket is at its counter."""
LEAVES = frozenset(
    {
        "ticket_completed",
        "ticket_held",
        "ticket_skipped",
        "ticket_cancelled",
        "ticket_given_back",
        "ticket_expired",
    }
)
"""Events after which it is not."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One ticket that was called: its lane, when it was issued, minutes until its first call."""

    lane: Lane
    issued_at: datetime
    minutes: float


@dataclass(slots=True)
class LaneReport:
    """
    One lane: waits in minutes; `queue` is (time, how many stand in it from then on).

    `left` are those who were never called.
    """

    waits: Summary
    left: int
    longest_queue: int
    mean_queue: float
    queue: Sequence[tuple[datetime, int]]


@dataclass(slots=True)
class CounterReport:
    """One counter: seconds open, seconds with a patient called or there, patients served."""

    open_s: float = 0.0
    busy_s: float = 0.0
    served: int = 0

    @property
    def utilisation(self) -> float:
        """Share of the open time with a patient, 0 to 1."""
        return self.busy_s / self.open_s if self.open_s else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """
    A morning in figures.

    Args:
        day: The service date.
        patients: How many came for a number, the emergencies not counted.
        lanes: By lane.
        waits: Each ticket that was called, in the order of the calls.
        outcomes: How many tickets ended in which state.
        happened: How often a ticket was recalled, skipped, reinserted, held.
        counters: By number.
        opens_at: When the first counter opened, None where none did.
        latency_ms: Times of the server's answers by kind of request, milliseconds.
        requests: How many were answered, in `seconds` of this machine.
        problems: What a real morning would not forgive.
    """

    day: date
    patients: int
    lanes: Mapping[Lane, LaneReport]
    waits: Sequence[Wait]
    outcomes: Mapping[str, int]
    happened: Mapping[str, int]
    counters: Mapping[int, CounterReport]
    opens_at: datetime | None = None
    latency_ms: Mapping[str, Summary] = field(default_factory=dict)
    requests: int = 0
    seconds: float = 0.0
    problems: Sequence[str] = ()


def make_report(
    day: date,
    tickets: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    *,
    seconds_by_kind: Mapping[str, Sequence[float]] | None = None,
    seconds: float = 0.0,
    problems: Sequence[str] = (),
) -> Report:
    """
    Work out the figures of a day.

    Args:
        day: The service date.
        tickets: As `/demo/tickets` lists them.
        events: As `/demo/events` lists them, in order.
        seconds_by_kind: How long answers took, by kind of request.
        seconds: How long the whole took.
        problems: Told as they are.
    """
    happened = [_Event.read(one) for one in events]
    waits = list(_waits(happened))
    by_kind = seconds_by_kind or {}
    kinds = Counted(one.kind for one in happened)
    return Report(
        day=day,
        patients=sum(one["lane"] != Lane.EMERGENCY for one in tickets),
        lanes={lane: _lane(lane, happened, waits) for lane in LANES},
        waits=waits,
        outcomes=dict(sorted(Counted(one["status"] for one in tickets).items())),
        happened={
            word: kinds[f"ticket_{word}"] for word in ("recalled", "skipped", "reinserted", "held")
        },
        counters=_counters(happened),
        opens_at=next((one.at for one in happened if one.kind == "counter_opened"), None),
        latency_ms={
            kind: Summary.of([one * 1000 for one in taken]) for kind, taken in by_kind.items()
        },
        requests=sum(map(len, by_kind.values())),
        seconds=seconds,
        problems=tuple(problems),
    )


def as_document(report: Report) -> dict[str, Any]:
    """Return a report for programs: waits in minutes, latency in milliseconds."""
    return {
        "day": report.day.isoformat(),
        "patients": report.patients,
        "lanes": {
            lane.value: {
                "waits_min": asdict(one.waits),
                "never_called": one.left,
                "longest_queue": one.longest_queue,
                "mean_queue": one.mean_queue,
            }
            for lane, one in report.lanes.items()
        },
        "outcomes": dict(report.outcomes),
        "happened": dict(report.happened),
        "counters": {
            str(number): {**asdict(one), "utilisation": one.utilisation}
            for number, one in report.counters.items()
        },
        "latency_ms": {kind: asdict(one) for kind, one in report.latency_ms.items()},
        "requests": report.requests,
        "seconds": report.seconds,
        "problems": list(report.problems),
    }


def heading(report: Report) -> str:
    """Return what a picture of the morning is called."""
    return f"Simulated morning: {_so_many(report)}"


def as_text(report: Report) -> str:
    """Return a report for people."""
    lines = [
        f"Morning of {report.day:%d %B %Y}: {_so_many(report)}",
        "",
        f"{'Waiting, minutes':<18}{'tickets':>8}{'mean':>8}{'median':>8}{'90 %':>8}{'longest':>9}"
        f"{'longest queue':>15}",
    ]
    for lane, one in report.lanes.items():
        wait = one.waits
        lines.append(
            f"  {lane.value:<16}{wait.count:>8}{wait.mean:>8.1f}{wait.p50:>8.1f}{wait.p90:>8.1f}"
            f"{wait.most:>9.1f}{one.longest_queue:>15}"
        )
    lines += ["", f"{'Counters':<18}{'open h':>8}{'busy':>8}{'served':>8}"]
    lines += [
        f"  {number:<16}{one.open_s / 3600:>8.1f}{one.utilisation:>8.0%}{one.served:>8}"
        for number, one in sorted(report.counters.items())
    ]
    ended = ", ".join(f"{count} {state}" for state, count in report.outcomes.items())
    happened = ", ".join(f"{count} {word}" for word, count in report.happened.items())
    lines += ["", f"Tickets            {ended}", f"On the way         {happened}"]
    if report.requests:
        timed = "; ".join(
            f"{kind} {one.p50:.1f} / {one.p99:.1f}"
            for kind, one in report.latency_ms.items()
            if kind in ("issue", "call")
        )
        lines += [
            f"Server             {report.requests:,} requests in {report.seconds:.0f} s; "
            f"ms p50 / p99: {timed}"
        ]
    lines.append(f"Problems           {len(report.problems) or 'none'}")
    lines += [f"  {problem}" for problem in report.problems]
    return "\n".join(lines)


def _so_many(report: Report) -> str:
    desks = len(report.counters)
    return f"{report.patients:,} patients, {desks} counter{'s' if desks != 1 else ''}"


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    kind: str
    number: str | None
    lane: str | None
    counter: int | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "_Event":
        at = datetime.fromisoformat(row["at"])
        return cls(at, row["kind"], row["number"], row["lane"], row["counter"])


def _waits(events: Iterable[_Event]) -> Iterable[Wait]:
    issued: dict[str, datetime] = {}
    for one in events:
        if one.number is None or one.lane not in LANES:
            continue
        if one.kind in ("ticket_issued", "ticket_confirmed"):
            issued[one.number] = one.at
        elif one.kind == "ticket_called" and one.number in issued:
            since = one.at - issued.pop(one.number)
            yield Wait(Lane(one.lane), one.at - since, since.total_seconds() / 60)


def _lane(lane: Lane, events: Sequence[_Event], waits: Sequence[Wait]) -> LaneReport:
    mine = [one for one in events if one.lane == lane]
    queue: list[tuple[datetime, int]] = []
    standing: set[str] = set()
    weighed_s = 0.0
    for one in mine:
        if queue:
            weighed_s += len(standing) * (one.at - queue[-1][0]).total_seconds()
        if one.number is not None and one.kind in COMES:
            standing.add(one.number)
        elif one.number is not None and one.kind in GOES:
            standing.discard(one.number)
        queue.append((one.at, len(standing)))
    called = [one.minutes for one in waits if one.lane is lane]
    # Until the last call: the night after it is no queue.
    ends = max((one.at for one in mine if one.kind == "ticket_called"), default=None)
    took_s = 0.0 if ends is None else (ends - queue[0][0]).total_seconds()
    return LaneReport(
        waits=Summary.of(called),
        left=len({one.number for one in mine if one.kind == "ticket_issued"}) - len(called),
        longest_queue=max((count for _, count in queue), default=0),
        mean_queue=weighed_s / took_s if took_s else 0.0,
        queue=queue,
    )


def _counters(events: Iterable[_Event]) -> dict[int, CounterReport]:
    found: dict[int, CounterReport] = {}
    opened: dict[int, datetime] = {}
    busy: dict[int, tuple[str, datetime]] = {}
    for one in events:
        if one.counter is None:
            continue
        counter = found.setdefault(one.counter, CounterReport())
        if one.kind == "counter_opened":
            opened[one.counter] = one.at
        elif one.kind in ("counter_paused", "counter_closed") and one.counter in opened:
            counter.open_s += (one.at - opened.pop(one.counter)).total_seconds()
        elif one.number is None:
            continue
        elif one.kind in ARRIVES:
            busy.setdefault(one.counter, (one.number, one.at))
        elif one.kind in LEAVES and busy.get(one.counter, ("",))[0] == one.number:
            counter.busy_s += (one.at - busy.pop(one.counter)[1]).total_seconds()
            counter.served += one.kind == "ticket_completed"
    return found
