"""
Places of a unit on a day: how many, how far beyond, and where else there are some.

Source: domain rules, section 4, "Quota".
"""

import math

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.services.line import all_units, remaining_places, today
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage.units import Unit

EXCEED_SHARE = 0.1
"""Staff may give so much of a quota beyond it, with a reason."""


def most_places(unit: Unit, exceed_reason: str | None, actor: Actor) -> int | None:
    """Return how many places of a unit may be taken on a day; None for any number."""
    if unit.quota_per_day is None:
        return None
    if actor.kind == "user" and exceed_reason and exceed_reason.strip():
        return exceeded(unit.quota_per_day)
    return unit.quota_per_day


def exceeded(quota: int) -> int:
    """Return how many places staff may give with a reason: 10 % more, at least one."""
    return quota + max(1, math.floor(quota * EXCEED_SHARE))


def alternatives(clinic: Clinic, full: Unit) -> list[str]:
    """Name the units that still have a place today."""
    counts = clinic.db.read(lambda tx: rows.day_values(tx, today(clinic), ("place",)))
    return [
        unit.code
        for unit in all_units(clinic)
        if unit.is_active
        and not unit.is_emergency
        and unit.code != full.code
        and remaining_places(unit, counts.get(("place", unit.code), 0)) != 0
    ]
