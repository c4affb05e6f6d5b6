"""
All that a plugin imports. Re-exports only; what is not here may change without notice.

A plugin is a module, or an instance, whose functions are marked `@hookimpl`; `docs/hooks.md` lists
the hooks.
"""

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.events import DayFact, Fact, TicketFact
from puskesmas_queue.domain.line import Head, LaneChoice, LineHeads, Ratio, RatioState
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    TicketRequest,
    TicketState,
)
from puskesmas_queue.hookspecs import Context, hookimpl

__all__ = [
    "Announcement",
    "Call",
    "Context",
    "DayFact",
    "Fact",
    "Head",
    "Lane",
    "LaneChoice",
    "LineHeads",
    "PaymentType",
    "PriorityReason",
    "Ratio",
    "RatioState",
    "Source",
    "TicketFact",
    "TicketRequest",
    "TicketState",
    "hookimpl",
]
