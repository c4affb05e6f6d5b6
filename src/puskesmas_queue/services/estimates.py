"""How long people will wait: what is measured, and what a newcomer is told."""

from collections import Counter as Counted
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.line import (
    RatioState,
    people_ahead_of_new,
)
from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import counters
from puskesmas_queue.storage import line as rows
from puskesmas_queue.storage.transaction import Reading

FORECAST_AGE_S = 0.5
"""While tickets pour in, the estimate printed on one may be so old; it is rounded to 5 minutes."""

FEWEST_MEASURED = 5
"""Fewer measured service times than this are filled up with setting `queue.avg_service_minutes`."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    What an estimate is made from.

    `service_s` are the latest service times in seconds, shape (n,), n >= 1. `waiting` is counted
    on by whoever gives a number, so that the next one is told of it without another reading.
    """

    waiting: Counted[Lane]
    state: RatioState
    service_s: tuple[float, ...]
    open_counters: int


@dataclass(frozen=True, slots=True)
class Expected:
    """
    What a newcomer is told: nothing in the emergency lane.

    Args:
        people_ahead: Calls before this one, at most half a second old.
        wait: Until the call, None while no counter is open.
        known: What it was made from.
    """

    people_ahead: int | None
    wait: timedelta | None
    known: Forecast | None


def forecast(clinic: Clinic, zone: str) -> Forecast:
    """Return what an estimate for a newcomer is made from, at most half a second old."""
    return clinic.remembered(
        f"forecast:{zone}",
        line_topic(zone),
        FORECAST_AGE_S,
        lambda: clinic.db.read(lambda tx: _forecast(clinic, tx, zone)),
    )


def estimate(
    clinic: Clinic, people_ahead: int, service_s: Sequence[float], open_counters: int
) -> timedelta | None:
    """Estimate a wait, None while no counter is open."""
    if open_counters < 1:
        return None
    now = clinic.clock.now()
    return clinic.hooks.estimate_wait(people_ahead, service_s, open_counters, now)


def expect(clinic: Clinic, zone: str, lane: Lane) -> Expected:
    """Say what a ticket that joins the lane now is to expect."""
    if lane is Lane.EMERGENCY:
        return Expected(None, None, None)
    known = forecast(clinic, zone)
    ahead = people_ahead_of_new(
        lane,
        known.waiting[Lane.PRIORITY],
        known.waiting[Lane.GENERAL],
        clinic.settings.get("queue.priority_ratio"),
        known.state,
    )
    return Expected(ahead, estimate(clinic, ahead, known.service_s, known.open_counters), known)


def service_sample(clinic: Clinic, measured: Sequence[float]) -> tuple[float, ...]:
    """
    Return measured service times, seconds.

    The day's first few are filled up with the setting's, so that one patient who left after a
    minute does not promise the hall a minute each.
    """
    preset = clinic.settings.get("queue.avg_service_minutes") * 60.0
    return (*measured, *[preset] * (FEWEST_MEASURED - len(measured)))


def _forecast(clinic: Clinic, tx: Reading, zone: str) -> Forecast:
    day = service_date(tx.now, clinic.timezone)
    return Forecast(
        waiting=Counted(rows.waiting(tx, zone, day)),
        state=rows.ratio_state(tx, zone, day),
        service_s=service_sample(clinic, rows.service_times(tx, zone)),
        open_counters=sum(counter.state == "open" for counter in counters.load(tx, zone)),
    )
