"""
All that a plugin imports. Re-exports only; what is not here may change without notice.

Tables of its own have `plugin_tables` besides. A plugin is a module, or an instance, whose
functions are marked `@hookimpl`; `docs/hooks.md` lists the hooks.
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
    Context,
    Health,
    HealthCheck,
    PluginData,
    RunningSimulator,
    Simulator,
)
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_pages import (
    Answer,
    NavItem,
    Panel,
    PluginFile,
    PluginRequest,
    PluginRoute,
    PluginUser,
    RedirectAnswer,
    TemplateAnswer,
    TextAnswer,
)
from puskesmas_queue.plugin_ports import Announcer, Printed, Printer, Slip, Speech, Utterance

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
