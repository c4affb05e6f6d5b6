"""A whole clinic in a folder for the tests of a plugin: furnished, on a clock that can be moved."""

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from puskesmas_queue.app import make_app
from puskesmas_queue.clinic import SETTINGS_TOPIC, open_clinic
from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.domain.access import SYSTEM, Actor, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Ticket,
    TicketRequest,
)
from puskesmas_queue.extensions import Context
from puskesmas_queue.plugin_host.outcomes import Outcome, PluginFailed
from puskesmas_queue.plugin_pages import PluginFile
from puskesmas_queue.plugin_ports import Printed, Speech
from puskesmas_queue.services import (
    accounts,
    calling,
    counters,
    day,
    devices,
    facts,
    options,
    plugin_settings,
    presets,
    providers,
    sessions,
    tickets,
    transfers,
)
from puskesmas_queue.settings import ClinicConfig, Config, DatabaseConfig, SecurityConfig
from puskesmas_queue.storage import faults as fault_rows
from puskesmas_queue.storage import migrate, speech
from puskesmas_queue.storage import plugin_settings as setting_rows
from puskesmas_queue.storage.crypto import make_key_file
from puskesmas_queue.storage.faults import FaultRow
from puskesmas_queue.storage.plugin_settings import StoredValue
from puskesmas_queue.storage.transaction import Tx
from puskesmas_queue.web.cookies import machine_cookie
from puskesmas_queue.workers.outbox import OutboxWorker, Tell
from puskesmas_queue.workers.plugins import (
    MIGRATION_DEADLINE_S,
    SHUTDOWN_DEADLINE_S,
    STARTUP_DEADLINE_S,
)

if TYPE_CHECKING:
    from httpx2 import Response
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

MORNING = datetime(2026, 2, 26, 0, 30, tzinfo=UTC)
"""Thursday 26 February 2026, 07:30 WIB: kiosk and counters are open."""
KIOSK = Actor("device", name="kiosk", device="k" * 22, address="127.0.0.1")
STAFF = Actor("user", 7, "Budi", "s" * 22, "127.0.0.1", "Firefox", Role.PETUGAS_LOKET)
PATIENCE_S = 10.0
LATEST_CALLS = 20


class MovedClock(ShiftedClock):
    """
    A clock that goes on from a moment; moved, time has truly passed.

    Args:
        at: The moment.
    """

    def __init__(self, at: datetime = MORNING) -> None:
        self._passed_s = 0.0
        super().__init__(at)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        super().advance(by)
        self._passed_s += by.total_seconds()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return super().monotonic() + self._passed_s


class ClinicUnderTest:
    """
    A clinic with plugins: units `umum`, `gigi`, `kia`, `imunisasi`, `ugd`, counters 1 and 2.

    Each plugin's migrations and `startup` have run; nothing runs in the background, and facts
    wait for `deliver`. A context manager, which ends with `close`.

    Args:
        folder: Where its files are; a clinic that is there already goes on.
        plugins: Names and plugins, which need not be installed.
        settings: Each plugin's own settings, by plugin and field; strings as typed in the form.
        clock: Where time comes from.
        url: A PostgreSQL database of this folder's own, `postgresql://…`; it may be empty. None
            for a file of SQLite in the folder.
    """

    def __init__(
        self,
        folder: Path,
        plugins: Iterable[tuple[str, object]] = (),
        *,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        clock: MovedClock | None = None,
        url: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock or MovedClock()
        self.config = make_config(folder, url)
        is_new = not self.config.key_path.exists()
        if is_new:
            self._make_tables()
            make_key_file(self.config.key_path)
        self.clinic = open_clinic(self.config, self.clock, plugins)
        self._browsers: dict[Role | None, TestClient] = {}
        if is_new:
            presets.apply_preset(self.clinic, "klasik")
        for plugin, values in (settings or {}).items():
            self.configure(plugin, **values)
        for plugin in self.clinic.plugins.names:
            self._start(plugin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let each plugin end, and let go of the files."""
        for plugin in self.clinic.plugins.names:
            with suppress(PluginFailed):
                self.clinic.hooks.call_life(
                    plugin, "shutdown", self.clock.now(), SHUTDOWN_DEADLINE_S
                )
        self.clinic.close()

    # The hall

    def issue(self, unit: str = "umum", lane: Lane = Lane.GENERAL) -> Ticket:
        """Take a number at the kiosk; in the priority lane as an elderly person."""
        reason = PriorityReason.LANSIA if lane is Lane.PRIORITY else None
        request = TicketRequest(unit, lane, PaymentType.BPJS, reason)
        return tickets.issue_ticket(self.clinic, request, KIOSK)

    def issue_emergency(self) -> Ticket:
        """Send somebody to UGD."""
        return tickets.issue_emergency(self.clinic, KIOSK)

    def open_counter(self, number: int = 1) -> None:
        """Open a counter."""
        counters.open_counter(self.clinic, number, f"session-{number}", STAFF)

    def call_next(self, counter: int = 1) -> Ticket | None:
        """Call the next ticket to a counter, opened if need be; None where nobody waits."""
        self.open_counter(counter)
        return calling.call_next(self.clinic, counter, STAFF)

    def recall(self, ticket: Ticket) -> Ticket:
        """Call a ticket again, once the interval between two calls has passed."""
        self.advance(self.clinic.settings.get("queue.recall_interval_s") + 1)
        return calling.recall(self.clinic, ticket.id, STAFF)

    def serve(self, ticket: Ticket) -> Ticket:
        """Begin to serve a called ticket at its counter, a held one at counter 1."""
        return calling.serve(self.clinic, ticket.id, STAFF, ticket.counter or 1)

    def hold(self, ticket: Ticket) -> Ticket:
        """Put a served ticket aside."""
        return calling.hold(self.clinic, ticket.id, STAFF)

    def complete(self, ticket: Ticket) -> Ticket:
        """Finish serving a ticket."""
        return calling.complete(self.clinic, ticket.id, STAFF)

    def skip(self, ticket: Ticket) -> Ticket:
        """Skip a called ticket, after it was called as often as it must be."""
        for _ in range(ticket.calls, self.clinic.settings.get("queue.max_calls")):
            self.recall(ticket)
        return calling.skip(self.clinic, ticket.id, STAFF)

    def cancel(self, ticket: Ticket, reason: str = "salah poli") -> Ticket:
        """Cancel a ticket."""
        return tickets.cancel_ticket(self.clinic, ticket.id, reason, STAFF)

    def transfer(
        self, ticket: Ticket, unit: str, lane: Lane | None = None, reason: str = "salah poli"
    ) -> Ticket:
        """
        Pass a ticket on to another unit; its number stays, no hook tells of it.

        At a counter that takes the unit it goes on there, else it is called again.
        """
        return transfers.transfer_ticket(self.clinic, ticket.id, unit, lane, reason, STAFF)

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(seconds=seconds))

    def end_day(self) -> None:
        """Let it be the same time of the next day; what midnight does was done."""
        self.clock.advance(timedelta(days=1))
        day.expire_old_days(self.clinic)
        day.close_days(self.clinic)

    def set(self, key: str, value: str) -> None:
        """Change one of the clinic's settings, `queue.priority_ratio` say."""
        options.set_option(self.clinic, key, value, SYSTEM)

    # Plugins

    def context(self, plugin: str) -> Context:
        """Return what a plugin's pages, checks and facts may look at now."""
        if plugin not in self.clinic.plugins.names:
            raise KeyError(plugin)
        return self.clinic.plugin_context(plugin)

    def configure(self, plugin: str, **values: str) -> None:
        """Fill in fields of a plugin's form, as an administrator types them; others stay."""
        known = plugin_settings.field_states(self.clinic, plugin)
        form = {one.field.key: "on" for one in known if one.field.kind == "switch" and one.text}
        form.update(values)
        plugin_settings.save(self.clinic, plugin, form, SYSTEM)
        self.clinic.configs.warm()

    def spoil_settings(self, plugin: str) -> None:
        """Store nonsense in every field of a plugin's settings, as a damaged disk would."""
        form = self.clinic.configs.form(plugin)
        known = [] if form is None else [(one.key, one.kind == "secret") for one in form.fields]

        def run(tx: Tx) -> None:
            for key, is_secret in [*known, ("gone", False)]:
                setting_rows.store(tx, plugin, key, StoredValue("{nonsense", is_secret), None)
            tx.touch(SETTINGS_TOPIC)

        self.clinic.db.write(run)
        self.clinic.configs.warm()

    def deliver(self, tell: Tell = facts.deliver) -> list[Outcome]:
        """
        Deliver every fact that is due, in the order that the server keeps; return how each went.

        What failed is due again after a pause: `advance`, then `deliver`.

        Args:
            tell: What is done with each fact of each plugin, in place of telling it once.
        """
        outcomes = []
        for plugin in self.clinic.plugins.listeners():
            # One that failed a few times is left alone by its worker, but a new worker tries.
            while found := OutboxWorker(self.clinic, plugin, tell).deliver_due():
                outcomes += [outcome for outcome in found if outcome is not None]
        return outcomes

    def print_slip(
        self, ticket: Ticket, *printers: str, language: str = "id", job: str = ""
    ) -> Printed:
        """
        Print a slip as the kiosk does, by the first of these printers that does it.

        Args:
            ticket: Whose.
            printers: As `kiosk.printers` names them.
            language: `id` or `en`.
            job: The same as before for a request that comes again; else each is a new one.
        """
        self.set("kiosk.printers", ", ".join(printers))
        return providers.print_slip(
            self.clinic, providers.PrintOrder(ticket.code, language, job=job)
        )

    def speak(self, ticket: Ticket, *announcers: str) -> Speech:
        """Return how the latest call of a ticket sounds, by the first of these that answers."""
        self.set("display.announcers", ", ".join(announcers))
        latest = self.clinic.db.read(lambda tx: speech.latest(tx, LATEST_CALLS))
        call = next(one for one in latest if one.ticket_id == ticket.id)
        return providers.announcement_speech(self.clinic, call.id)

    def faults(self) -> list[FaultRow]:
        """Return what went wrong in plugins so far."""
        self.clinic.faults.flush(PATIENCE_S)
        return self.clinic.db.read(fault_rows.load)

    # Pages

    def get(self, path: str, role: Role | None = None) -> "Response":
        """
        Ask for a page, as nobody or as somebody of a role; redirects are not followed.

        Every browser is paired as a kiosk and a TV as well.
        """
        return self._browser(role).get(path)

    def post(
        self,
        path: str,
        data: Mapping[str, str] | None = None,
        role: Role | None = None,
        files: Mapping[str, PluginFile] | None = None,
    ) -> "Response":
        """Send a form, as nobody or as somebody of a role; redirects are not followed."""
        sent = {key: (one.name, one.content, one.media_type) for key, one in (files or {}).items()}
        return self._browser(role).post(path, data=dict(data or {}), files=sent or None)

    # Inside

    @cached_property
    def _app(self) -> "Starlette":
        return make_app(self.clinic)

    def _make_tables(self) -> None:
        file, url = self.config.database.file, self.config.database.url
        if file is not None:
            file.write_bytes(_migrated())
        elif migrate.current(url) != migrate.head():
            migrate.upgrade(url)

    def _start(self, plugin: str) -> None:
        hooks, data = self.clinic.hooks, self.clinic.plugin_data.get(plugin)
        with suppress(PluginFailed):
            if data is not None:
                hooks.run(plugin, "migrations", data.prepare, MIGRATION_DEADLINE_S)
            hooks.call_life(plugin, "startup", self.clock.now(), STARTUP_DEADLINE_S)

    def _hall(self) -> dict[str, str]:
        """Pair one more machine as kiosk and TV, and return its cookies."""
        cookies = {}
        for kind in (DeviceKind.KIOSK, DeviceKind.DISPLAY):
            made = devices.add_device(self.clinic, kind, kind.value, SYSTEM, zone="main")
            paired = devices.pair(self.clinic, made.code, SYSTEM)
            cookies[machine_cookie(kind, is_https=False)] = paired.token
        return cookies

    def _browser(self, role: Role | None) -> "TestClient":
        from starlette.testclient import TestClient  # needs httpx2

        if role not in self._browsers:
            cookies = self._hall()
            if role is not None:
                name = role.value.replace("_", "-")
                password = accounts.add_user(self.clinic, name, SYSTEM, role=role)
                login = sessions.login(self.clinic, name, password, SYSTEM)
                cookies["pq_session"] = login.token
            self._browsers[role] = TestClient(
                self._app,
                base_url="http://127.0.0.1",
                client=("127.0.0.1", 1),
                headers={"sec-fetch-site": "same-origin"},
                cookies=cookies,
                follow_redirects=False,
                raise_server_exceptions=False,
            )
        return self._browsers[role]


def make_config(folder: Path, url: str | None = None) -> Config:
    """Return the configuration of a clinic in a folder, on a database of its own or in a file."""
    file = f"sqlite:///{(folder / 'puskesmas.db').as_posix()}"
    return Config(
        path=folder / "puskesmas.toml",
        clinic=ClinicConfig("uji", "Puskesmas Uji"),
        database=DatabaseConfig(url or file),
        security=replace(SecurityConfig(), session_idle_minutes=1440, session_max_hours=168),
    )


@cache
def _migrated() -> bytes:
    """Make the empty tables once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{file.as_posix()}")
        return file.read_bytes()
