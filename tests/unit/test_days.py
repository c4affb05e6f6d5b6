"""Local dates, opening hours and the clock guard, whatever the server's zone is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from puskesmas_queue.domain.days import ZONES, ClockReading, clock_fault, next_opening, service_date

NOON = datetime(2026, 2, 26, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize("zone", list(ZONES))
@pytest.mark.parametrize(
    ("at", "day"),
    [
        (time(0, 0, 1), 26),
        (time(5, 50), 26),
        (time(6, 30), 26),
        (time(7, 0), 26),
        (time(23, 59, 59), 26),
    ],
)
def test_service_date_is_local(zone, at, day):
    """A ticket of 06:30 belongs to that local day, though UTC is still on the day before."""
    local = datetime.combine(date(2026, 2, 26), at, ZoneInfo(zone))
    assert service_date(local.astimezone(UTC), ZoneInfo(zone)) == date(2026, 2, day)


def test_midnight_differs_by_zone():
    """One instant is two service dates."""
    instant = datetime(2026, 2, 25, 16, 30, tzinfo=UTC)
    assert service_date(instant, ZoneInfo("Asia/Jakarta")) == date(2026, 2, 25)
    assert service_date(instant, ZoneInfo("Asia/Makassar")) == date(2026, 2, 26)
    assert service_date(instant, ZoneInfo("Asia/Jayapura")) == date(2026, 2, 26)


@pytest.mark.parametrize(
    ("hour", "minute", "opens"),
    [(5, 59, "2026-02-26T06:00"), (6, 0, None), (13, 59, None), (14, 0, "2026-02-27T06:00")],
)
def test_kiosk_hours(hour, minute, opens):
    """Open from 06:00 until before 14:00."""
    zone = ZoneInfo("Asia/Jayapura")
    now = datetime(2026, 2, 26, hour, minute, tzinfo=zone).astimezone(UTC)
    opening = next_opening(now, zone, time(6), time(14))
    assert (opening and opening.strftime("%Y-%m-%dT%H:%M")) == opens


def reading(**changes):
    values = {
        "now": NOON,
        "monotonic_s": 1000.0,
        "base": NOON - timedelta(seconds=1000),
        "base_monotonic_s": 0.0,
        "newest_event": None,
        "newest_at_start": None,
    }
    return ClockReading(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"newest_event": NOON + timedelta(seconds=119)}, None),
        ({"newest_event": NOON + timedelta(seconds=121)}, "behind"),
        ({"newest_at_start": NOON - timedelta(days=29)}, None),
        ({"newest_at_start": NOON - timedelta(days=31)}, "ahead"),
        ({"monotonic_s": 1000.0 + 3599}, None),
        ({"monotonic_s": 1000.0 + 3601}, "jumped"),
        ({"base": NOON - timedelta(seconds=1000 + 3601)}, "jumped"),
    ],
)
def test_clock_guard(changes, fault):
    """Two minutes behind, thirty days ahead at start, an hour apart while running."""
    assert clock_fault(reading(**changes)) == fault
