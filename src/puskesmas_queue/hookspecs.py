"""
The hook specifications: what a plugin may decide. No code.

Called only by `plugin_host.dispatch`, which isolates, times and counts each implementation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import pluggy

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.line import LaneChoice, LineHeads

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

    `now` is the clinic's clock, aware, in UTC.
    """

    clinic_id: str
    clinic_name: str
    settings: SettingsReader
    now: datetime


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
