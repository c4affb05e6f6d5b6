"""Time passes where a test lets it: no slow machine makes a second of it."""

import pytest

from support.clinics import MORNING
from support.clocks import StandingClock


@pytest.fixture
def clock() -> StandingClock:
    """A clock that stands at 26 February 2026, 07:30 WIB, and can be moved."""
    return StandingClock(MORNING)
