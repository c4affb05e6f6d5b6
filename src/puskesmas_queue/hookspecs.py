"""
The hook specifications: what a plugin may decide, refuse and hear of. No code.

Called only by `plugin_host.dispatch`, which isolates, times and counts each implementation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import pluggy
from pydantic import BaseModel

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.events import DayFact, Fact, TicketFact
from puskesmas_queue.domain.line import LaneChoice, LineHeads
from puskesmas_queue.domain.tickets import TicketRequest

PROJECT = "puskesmas_queue"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class SettingsReader(Protocol):
    """Reads the clinic's settings."""

    def get(self, key: str) -> Any:
        """Return the parsed value of a setting."""


@dataclass(frozen=True, slots=True)
class Context:
    """
    What every hook may look at beside its arguments.

    `now` is the clinic's clock, aware, in UTC. `config` is the plugin's own settings, an instance
    of the model that its `register_settings` gave; None where it has none or cannot have them.
    """

    clinic_id: str
    clinic_name: str
    settings: SettingsReader
    now: datetime
    config: Any = None


class RegistrationHooks:
    """Registration: what a plugin brings along, asked for once in the life of a process."""

    @hookspec
    def register_settings(self, ctx: Context) -> type[BaseModel] | None:
        """
        Name the model of the plugin's own settings, from which the administrator's form is made.

        Its fields are texts, numbers, switches (`bool`), choices (`Literal`, `Enum`), addresses
        (`HttpUrl`) and secrets (`SecretStr`), each also `| None` but for switches; `title` is the
        label, `description` the hint. Secrets are stored encrypted and never shown again.
        A plugin whose model has a field without a default has no settings until that is filled in.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without settings; doctor and the page of plugins name it.
        Since: 0.1
        """


class DecisionHooks:
    """Decisions: the first result counts, the core's default comes last."""

    @hookspec(firstresult=True)
    def format_ticket_number(
        self, prefix: str, sequence: int, service_date: date, ctx: Context
    ) -> str | None:
        """
        Turn a sequence into the number that patients see.

        1 to 12 capital letters, digits and hyphens; unique within the day.

        Called: sync, inside the ticket transaction, no I/O, 100 ms.
        Failure: core uses its default, for example "A-007".
        Since: 0.1
        """

    @hookspec(firstresult=True)
    def choose_lane(self, heads: LineHeads, ctx: Context) -> LaneChoice | None:
        """
        Choose the lane that the next ticket is called from.

        At least one head is there; a choice must name a lane whose head is there.

        Called: sync, inside the picking transaction, no I/O, 100 ms.
        Failure: core uses the ratio of setting `queue.priority_ratio`.
        Since: 0.1
        """

    @hookspec(firstresult=True)
    def estimate_wait(
        self, people_ahead: int, service_s: Sequence[float], open_counters: int, ctx: Context
    ) -> timedelta | None:
        """
        Estimate how long a ticket with `people_ahead` calls before it will wait.

        `service_s` are the latest service times in seconds, shape (n,), n >= 1;
        `open_counters` >= 1. The answer lies between 0 and 24 hours.

        Called: sync, when a ticket is issued or shown, no I/O, 100 ms.
        Failure: core uses people ahead × median service time ÷ open counters.
        Since: 0.1
        """

    @hookspec(firstresult=True)
    def format_announcement(self, call: Call, ctx: Context) -> Announcement | None:
        """
        Word the announcement of a call.

        Both parts are 1 to 200 characters; no name, no reason of priority.

        Called: sync, inside the calling transaction, no I/O, 100 ms.
        Failure: core says "Nomor antrean, P, nol nol tiga. Silakan menuju loket satu."
        Since: 0.1
        """


class VetoHooks:
    """Vetoes: every implementation is asked, one objection is enough."""

    @hookspec
    def check_ticket_request(self, request: TicketRequest, ctx: Context) -> str | None:
        """
        Object to a ticket before it is given, with a reason that the person at the kiosk reads.

        1 to 200 characters, in the clinic's language. None lets it pass. Emergencies are not
        asked about.

        Called: sync, before the ticket transaction, no I/O, 100 ms.
        Failure: counts as no objection.
        Since: 0.1
        """


class FactHooks:
    """
    Facts: everybody may listen.

    Delivered at least once and in order per ticket; an implementation that saw `fact.id` before
    does nothing. One that raises or takes over 30 s is tried again later.
    """

    @hookspec
    def ticket_issued(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was given.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_called(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was called to a counter for the first time.

        Dropped when older than 90 s.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_recalled(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was called again; `ticket.calls` says how often by now.

        Dropped when older than 90 s.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_serving(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A counter began to serve a ticket.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_skipped(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was skipped since nobody came.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_held(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was put aside, say for a missing paper.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_completed(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket left the counter served, or an emergency reached UGD.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def ticket_cancelled(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        A ticket was cancelled; `fact.reason` says why.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def emergency_announced(self, fact: Fact, ticket: TicketFact, ctx: Context) -> None:
        """
        Somebody was sent to UGD.

        Dropped when older than 10 minutes.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """

    @hookspec
    def day_closed(self, fact: Fact, day: DayFact, ctx: Context) -> None:
        """
        A service day ended at local midnight, or was ended at the next start.

        Called: sync, by the outbox after the commit, on a thread of the plugin's own, 30 s.
        Failure: tried again with growing pauses, then a dead letter.
        Since: 0.1
        """
