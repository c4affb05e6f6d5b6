"""
The clinic's day: local dates, opening hours, and whether the clock can be trusted.

Source: domain rules, section 3.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ZONES = {"Asia/Jakarta": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT"}
"""The three zones of Indonesia with the abbreviation that people read."""

BEHIND_TOLERANCE = timedelta(minutes=2)
AHEAD_AT_START = timedelta(days=30)
DRIFT_TOLERANCE = timedelta(hours=1)

ClockFault = Literal["behind", "ahead", "jumped"]


def service_date(now: datetime, zone: ZoneInfo) -> date:
    """Return the clinic's local calendar date of an instant; never the UTC date."""
    return now.astimezone(zone).date()


def next_opening(now: datetime, zone: ZoneInfo, opens: time, closes: time) -> datetime | None:
    """
    Say whether the kiosk is open.

    Returns:
        None while it is open, else the next local opening.
    """
    local = now.astimezone(zone)
    if opens <= local.time() < closes:
        return None
    day = local.date() if local.time() < opens else local.date() + timedelta(days=1)
    return datetime.combine(day, opens, zone)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """
    What the clock guard compares.

    Args:
        now: The wall clock.
        monotonic_s: The monotonic clock, seconds.
        base: Wall and monotonic reading that are known good: at start or at the last
            confirmation.
        newest_event: Newest stored event since the last confirmation, if any.
        at_start: Whether nothing was confirmed since this process started.
    """

    now: datetime
    monotonic_s: float
    base: datetime
    base_monotonic_s: float
    newest_event: datetime | None
    newest_at_start: datetime | None


def clock_fault(reading: ClockReading) -> ClockFault | None:
    """
    Judge the clock.

    Returns:
        None where it can be trusted; `behind`: over 2 minutes before the newest stored
        event; `ahead`: at start over 30 days after it; `jumped`: wall and monotonic clock
        parted by over an hour while running.
    """
    newest = reading.newest_event
    if newest is not None and reading.now < newest - BEHIND_TOLERANCE:
        return "behind"
    if (
        reading.newest_at_start is not None
        and reading.base > reading.newest_at_start + AHEAD_AT_START
    ):
        return "ahead"
    wall_s = (reading.now - reading.base).total_seconds()
    ran_s = reading.monotonic_s - reading.base_monotonic_s
    if abs(wall_s - ran_s) > DRIFT_TOLERANCE.total_seconds():
        return "jumped"
    return None
