"""
The hook specifications: what a plugin may decide, refuse and hear of. No code.

Called only by `plugin_host.dispatch`, which isolates, times and counts each implementation.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import click
import pluggy
from pydantic import BaseModel

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.events import DayFact, Fact, TicketFact
from puskesmas_queue.domain.line import LaneChoice, LineHeads
from puskesmas_queue.domain.tickets import Source, TicketRequest
from puskesmas_queue.extensions import Context, HealthCheck, Simulator
from puskesmas_queue.plugin_pages import NavItem, Panel, PluginRoute
from puskesmas_queue.plugin_ports import Announcer, Printer

PROJECT = "puskesmas_queue"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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

    @hookspec
    def register_printers(self, ctx: Context) -> Sequence[Printer] | None:
        """
        Bring printers of slips, which the setting `kiosk.printers` names in their order.

        The first that prints counts; one that fails or takes over 10 s leaves it to the next.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_announcers(self, ctx: Context) -> Sequence[Announcer] | None:
        """
        Bring voices for the TV, which the setting `display.announcers` names in their order.

        The first that answers counts; one that fails or takes over 1 s leaves it to the next.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_routes(self, ctx: Context) -> Sequence[PluginRoute] | None:
        """
        Bring pages below `/x/<plugin>`, each with the permission that it asks for.

        Templates, static files and catalogues lie in the folders `templates/`, `static/` and
        `locale/` of the plugin's package; a static file is `/x/<plugin>/static/<file>`. A page
        without a permission, or at a path that another has, is not served.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_nav(self, ctx: Context) -> Sequence[NavItem] | None:
        """
        Bring links into the navigation of staff, each to a page of the plugin's own.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_panels(self, ctx: Context) -> Sequence[Panel] | None:
        """
        Bring panels into slots of core pages: `counter.ticket`, `dashboard`.

        The page is shown first and loads each panel afterwards, so that one that is slow costs
        its own place only.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_commands(self, ctx: Context) -> click.Command | None:
        """
        Bring a command, or a group of them, that is run as `puskesmas-queue <plugin>`.

        `click.get_current_context().obj` is the plugin's `Context`.

        Called: sync, when the command is asked for, no I/O, 5 s.
        Failure: the command is not there; one line says why.
        Since: 0.1
        """

    @hookspec
    def register_health_checks(self, ctx: Context) -> Sequence[HealthCheck] | None:
        """
        Bring checks that `doctor`, `plugin doctor` and the page of plugins look at.

        Called: sync, at start, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
        Since: 0.1
        """

    @hookspec
    def register_simulators(self, ctx: Context) -> Sequence[Simulator] | None:
        """
        Bring stand-ins for what the plugin talks to, run by `simulate NAME` and by the demo.

        Called: sync, by `simulate` and `demo` only, no I/O, 5 s.
        Failure: the plugin works without them; doctor and the page of plugins name it.
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
    def check_ticket_request(
        self, request: TicketRequest, source: Source, ctx: Context
    ) -> str | None:
        """
        Object to a ticket before it is given, with a reason that whoever asks for it reads.

        A kiosk reads it aloud to whoever wants that. 1 to 200 characters, in Indonesian. `source`
        says where it is asked for: staff at a counter are asked about as kiosks and programs are.
        None lets it pass. Emergencies are not asked about.

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


class LifeHooks:
    """Life: the beginning and the end of a server process."""

    @hookspec
    def startup(self, ctx: Context) -> None:
        """
        Begin: open connections, start threads.

        Called after the plugin's migrations and before its first fact, once in each process. A
        slip for a printer of the plugin waits for its end, 8 s at most.

        Called: sync, on a thread of the plugin's own, while the hall already works, 30 s.
        Failure: doctor and the page of plugins name it; the plugin is used all the same.
        Since: 0.1
        """

    @hookspec
    def shutdown(self, ctx: Context) -> None:
        """
        End: close what `startup` opened. Not called where the power fails.

        Called: sync, on a thread of the plugin's own, after its last fact, 5 s.
        Failure: logged; the process ends.
        Since: 0.1
        """
