"""
What the tests of a plugin import: a clinic to try it in, and the contract that it keeps.

Needs `puskesmas-queue[testing]`. Loaded by pytest at every start, so everything comes late.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from puskesmas_queue.domain.errors import TicketObjected
    from puskesmas_queue.testing.clinic import MORNING, ClinicUnderTest, MovedClock
    from puskesmas_queue.testing.contract import PluginContract
    from puskesmas_queue.testing.fakes import FakeAnnouncer, FakePrinter

__all__ = [
    "MORNING",
    "ClinicUnderTest",
    "FakeAnnouncer",
    "FakePrinter",
    "MovedClock",
    "PluginContract",
    "TicketObjected",
]
_HOMES = {
    "ClinicUnderTest": "puskesmas_queue.testing.clinic",
    "FakeAnnouncer": "puskesmas_queue.testing.fakes",
    "FakePrinter": "puskesmas_queue.testing.fakes",
    "MORNING": "puskesmas_queue.testing.clinic",
    "MovedClock": "puskesmas_queue.testing.clinic",
    "PluginContract": "puskesmas_queue.testing.contract",
    "TicketObjected": "puskesmas_queue.domain.errors",
}


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
