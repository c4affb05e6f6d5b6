"""
All that a plugin imports. Re-exports only; what is not here may change without notice.

A plugin is a module, or an instance, whose functions are marked `@hookimpl`; `docs/hooks.md` lists
the hooks.
"""

from puskesmas_queue.domain.access import Permission, Role
from puskesmas_queue.domain.announcements import Announcement, Call, word_call
from puskesmas_queue.domain.errors import PluginDataUnavailable
from puskesmas_queue.domain.events import DayFact, DayShare, Fact, TicketFact
from puskesmas_queue.domain.line import Head, LaneChoice, LineHeads, Ratio, RatioState
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    Ticket,
    TicketRequest,
    TicketState,
)
from puskesmas_queue.extensions import (
    Announcer,
    Answer,
    Context,
    Health,
    HealthCheck,
    NavItem,
    Panel,
    PluginData,
    PluginFile,
    PluginRequest,
    PluginRoute,
    PluginUser,
    Printed,
    Printer,
    RedirectAnswer,
    RunningSimulator,
    Simulator,
    Slip,
    Speech,
    TemplateAnswer,
    TextAnswer,
    Utterance,
)
from puskesmas_queue.hookspecs import hookimpl

__all__ = [
    "Announcement",
    "Announcer",
    "Answer",
    "Call",
    "Context",
    "DayFact",
    "DayShare",
    "Fact",
    "Head",
    "Health",
    "HealthCheck",
    "Lane",
    "LaneChoice",
    "LineHeads",
    "NavItem",
    "Panel",
    "PaymentType",
    "Permission",
    "PluginData",
    "PluginDataUnavailable",
    "PluginFile",
    "PluginRequest",
    "PluginRoute",
    "PluginUser",
    "Printed",
    "Printer",
    "PriorityReason",
    "Ratio",
    "RatioState",
    "RedirectAnswer",
    "Role",
    "RunningSimulator",
    "Simulator",
    "Slip",
    "Source",
    "Speech",
    "TemplateAnswer",
    "TextAnswer",
    "Ticket",
    "TicketFact",
    "TicketRequest",
    "TicketState",
    "Utterance",
    "hookimpl",
    "word_call",
]
