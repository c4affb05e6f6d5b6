"""The contract passes a good plugin, and each of its tests fails with a plugin that breaks it."""

import importlib
import socket
import sqlite3
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType, ModuleType

import click
import pytest
from pydantic import BaseModel
from sqlalchemy import text

from puskesmas_queue.api import (
    Announcer,
    Health,
    HealthCheck,
    Lane,
    NavItem,
    Panel,
    Permission,
    PluginDataUnavailable,
    PluginRoute,
    Printed,
    Printer,
    Simulator,
    Speech,
    TextAnswer,
    hookimpl,
)
from puskesmas_queue.domain.errors import PluginSettingsInvalid, SetupError
from puskesmas_queue.plugin_host.dispatch import Dispatcher
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.plugin_host.outcomes import PluginFailed
from puskesmas_queue.plugin_pages import SLOTS
from puskesmas_queue.services import providers
from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue.testing import clinic as clinic_module
from puskesmas_queue.testing import contract as contract_module
from support.distributions import shelf_on_path

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table(
        "{table}",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("fact_id", sa.String(80), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
    )


def downgrade():
    {down}
"""
DROP = 'op.drop_table("tried_facts")'


def contract(plugin: object, name: str = "tried", **more: object) -> PluginContract:
    """Return the contract of a plugin, as its author would write it down."""
    return type("TestTried", (PluginContract,), {"name": name, "plugin": plugin, **more})()


def plugin_of(**hooks: object) -> object:
    """Return a plugin with these functions as hooks."""
    made = {name: staticmethod(hookimpl(function)) for name, function in hooks.items()}
    return type("Tried", (), made)()


def storing_plugin(
    folder: Path, attempt: str = "0", table: str = "tried_facts", down: str = DROP
) -> ModuleType:
    """Return a plugin with a table of its own, in which it keeps every fact it heard."""
    versions = folder / "tried" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_first.py").write_text(MIGRATION.format(table=table, down=down))
    module = ModuleType("tried")
    module.__file__ = str(folder / "tried" / "__init__.py")
    module.__package__ = "tried"
    insert = f"INSERT OR IGNORE INTO {table} VALUES (:clinic, :fact, {attempt})"

    def ticket_issued(fact, ctx):
        given = {"clinic": ctx.clinic_id, "fact": fact.id, "attempt": fact.attempt}
        ctx.data.write(lambda connection: connection.execute(text(insert), given))

    module.ticket_issued = hookimpl(ticket_issued)
    return module


class Running:
    url = "http://127.0.0.1:1"

    def stop(self):
        pass


class Settings(BaseModel):
    greeting: str = "Halo"


class NeedySettings(BaseModel):
    device: str


def page(request, ctx):
    return TextAnswer("hello")


def ticket_panel(request, ctx):
    return TextAnswer(f"<p>{request.ticket.number}</p>", "text/html")


def issued(ticket):
    pass


GOOD = plugin_of(
    register_settings=lambda: Settings,
    register_routes=lambda: [
        PluginRoute("/", page, Permission.DAY_VIEW),
        PluginRoute("/open", page, Permission.PUBLIC),
        PluginRoute("/mine", page, Permission.SELF),
        PluginRoute("/rooms/{number}", page, Permission.CALL),
        PluginRoute("/save", page, Permission.CALL, ("POST",)),
    ],
    register_nav=lambda: [NavItem("Tried", "/", Permission.DAY_VIEW)],
    register_panels=lambda: [
        Panel("dashboard", "hello", "Hello", lambda request, ctx: TextAnswer("hi", "text/html")),
        Panel("counter.ticket", "more", "More", ticket_panel),
    ],
    register_printers=lambda: [Printer("good", lambda slip, ctx: Printed("printed"))],
    register_announcers=lambda: [Announcer("good", lambda utterance, ctx: Speech())],
    register_commands=lambda: click.Command("tried"),
    register_health_checks=lambda: [HealthCheck("way", lambda ctx: Health("ok", "fine"))],
    register_simulators=lambda: [Simulator("stand-in", lambda folder, port: Running())],
    format_ticket_number=lambda prefix, sequence: f"{prefix}{sequence:04d}",
    check_ticket_request=lambda request: "tutup" if request.unit == "gigi" else None,
    ticket_called=lambda ticket: None,
)


class TestGood(PluginContract):
    """A plugin that uses everything."""

    name = "tried"
    plugin = GOOD


class TestStoring(PluginContract):
    """A plugin with tables of its own and a setting that must be filled in."""

    name = "tried"
    settings = MappingProxyType({"device": "COM3"})

    @pytest.fixture(autouse=True)
    def _with_tables(self, tmp_path_factory):
        plugin = storing_plugin(tmp_path_factory.mktemp("package"))
        plugin.register_settings = hookimpl(lambda: NeedySettings)
        type(self).plugin = plugin

    @contextmanager
    def anew(self):
        yield self.plugin


class TestRefusing(PluginContract):
    """A plugin that objects to every ticket has the right to."""

    name = "tried"
    plugin = plugin_of(check_ticket_request=lambda request: "tutup")


# Loading


@pytest.mark.parametrize(
    ("plugin", "error"),
    [
        (plugin_of(), AssertionError),
        (plugin_of(ticket_shouted=issued), SetupError),
        (plugin_of(ticket_issued=lambda patient: None), SetupError),
    ],
)
def test_one_that_the_server_does_not_take(plugin, error):
    with pytest.raises(error):
        contract(plugin).test_loads_alone()


def test_one_that_forgot_a_mark():
    plugin = plugin_of(ticket_issued=issued)
    plugin.ticket_called = lambda ticket: None

    with pytest.raises(AssertionError, match="ticket_called"):
        contract(plugin).test_every_hook_is_marked()


def test_one_whose_name_cannot_be():
    with pytest.raises(AssertionError):
        contract(GOOD, "Tried-One").test_its_name_is_its_entry_point()


def test_one_that_is_installed_under_another_name(tmp_path):
    plugin = ModuleType("puskesmas_queue_other")
    with shelf_on_path(tmp_path / "shelf") as shelf:
        shelf.folder.mkdir()
        shelf.install("other")
        contract(plugin, "other").test_its_name_is_its_entry_point()
        with pytest.raises(AssertionError, match="other"):
            contract(plugin, "tried").test_its_name_is_its_entry_point()


# Settings, working


def test_one_that_needs_settings(tmp_path):
    plugin = plugin_of(
        register_settings=lambda: NeedySettings, ticket_issued=lambda ctx: print(ctx.config.device)
    )
    tried = contract(plugin, settings={"device": "COM3"})

    tried.test_a_morning_goes_without_fault(tmp_path / "configured")
    with pytest.raises(AssertionError, match="ticket_issued raised: AttributeError"):
        tried.test_works_without_settings(tmp_path / "bare")


def test_one_that_needs_whole_settings(tmp_path):
    plugin = plugin_of(
        register_settings=lambda: Settings,
        format_ticket_number=lambda prefix, sequence, ctx: (
            f"{prefix}{len(ctx.config.greeting)}{sequence}"
        ),
    )
    tried = contract(plugin)

    tried.test_works_without_settings(tmp_path / "defaults")
    with pytest.raises(AssertionError, match="format_ticket_number raised: AttributeError"):
        tried.test_works_with_broken_settings(tmp_path / "broken")


@pytest.mark.parametrize("hook", ["ticket_held", "ticket_skipped", "startup"])
def test_one_that_raises(hook, tmp_path):
    with pytest.raises(AssertionError, match=f"{hook} raised: ZeroDivisionError"):
        contract(plugin_of(**{hook: lambda: 1 / 0})).test_a_morning_goes_without_fault(tmp_path)


def test_one_that_keeps_a_fact_twice(tmp_path):
    contract(storing_plugin(tmp_path / "good")).test_redelivery_changes_nothing(tmp_path / "one")

    twice = contract(storing_plugin(tmp_path / "bad", attempt=":attempt"))
    with pytest.raises(AssertionError, match="ticket_issued for the second time changed"):
        twice.test_redelivery_changes_nothing(tmp_path / "two")


def test_one_that_chokes_on_a_second_delivery(tmp_path):
    def ticket_called(fact):
        assert fact.attempt == 1

    with pytest.raises(AssertionError, match="ticket_called for the second time: AssertionError"):
        contract(plugin_of(ticket_called=ticket_called)).test_redelivery_changes_nothing(tmp_path)


IN_MEMORY = """
import secrets

from sqlalchemy import text

from puskesmas_queue.api import hookimpl

SEEN = set()
INSERT = "INSERT INTO remembering_facts VALUES (:clinic, :fact, 0)"


@hookimpl
def ticket_issued(fact, ctx):
    if fact.id in SEEN:
        return
    SEEN.add(fact.id)
    given = {"clinic": ctx.clinic_id, "fact": KEY}
    ctx.data.write(lambda connection: connection.execute(text(INSERT), given))
"""


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("fact.id", "ticket_issued after a restart: IntegrityError"),
        ("secrets.token_hex()", "ticket_issued after a restart changed its tables"),
    ],
)
def test_one_that_remembers_facts_in_memory_only(key, found, tmp_path, monkeypatch):
    """It bears a second delivery, but not in the next process."""
    package = tmp_path / "shelf/remembering"
    versions = package / "migrations/versions"
    versions.mkdir(parents=True)
    down = 'op.drop_table("remembering_facts")'
    migration = MIGRATION.format(table="remembering_facts", down=down)
    (versions / "0001_first.py").write_text(migration)
    (package / "__init__.py").write_text(IN_MEMORY.replace("KEY", key))
    monkeypatch.syspath_prepend(tmp_path / "shelf")
    plugin = importlib.import_module("remembering")
    tried = contract(plugin, "remembering")

    tried.test_redelivery_changes_nothing(tmp_path / "one")
    with pytest.raises(AssertionError, match=found):
        tried.test_redelivery_after_a_restart_changes_nothing(tmp_path / "two")
    assert sys.modules.pop("remembering") is plugin


def test_one_with_tables_that_cannot_be_made_anew(tmp_path):
    tried = contract(storing_plugin(tmp_path / "package"))

    with pytest.raises(AssertionError, match="override `anew`"):
        tried.test_redelivery_after_a_restart_changes_nothing(tmp_path / "clinic")


# Silence


def wait_for_ever(*_):
    """Ask somebody, without a time-out."""
    with socket.create_connection(("example.org", 80)) as connection:
        connection.recv(1)


def wait_a_moment(*_):
    """Ask somebody, and bear that nobody answers."""
    far = socket.create_connection(("example.org", 80), timeout=0.2)
    with far, suppress(TimeoutError):
        far.recv(1)
    return Printed("failed", "no answer")


CARELESS = {
    "ticket_called": wait_for_ever,
    "startup": wait_for_ever,
    "register_printers": lambda: [Printer("far", wait_for_ever)],
    "register_announcers": lambda: [Announcer("far", wait_for_ever)],
    "register_health_checks": lambda: [HealthCheck("far", wait_for_ever)],
}


@pytest.mark.parametrize("hook", CARELESS)
def test_one_that_waits_for_ever(hook, tmp_path, monkeypatch):
    for module, name in (
        (clinic_module, "STARTUP_DEADLINE_S"),
        (providers, "PRINT_DEADLINE_S"),
        (providers, "SPEAK_DEADLINE_S"),
        (contract_module, "CHECK_S"),
    ):
        assert getattr(module, name) >= 1
        monkeypatch.setattr(module, name, 0.5)
    tell = Dispatcher.tell

    def impatient(self, *given):
        self._fact_deadline_s = 0.5
        return tell(self, *given)

    monkeypatch.setattr(Dispatcher, "tell", impatient)

    with pytest.raises(AssertionError, match="no end within"):
        contract(plugin_of(**{hook: CARELESS[hook]})).test_silence_is_borne(tmp_path)


def test_one_that_bears_silence(tmp_path):
    plugin = plugin_of(
        ticket_called=wait_a_moment,
        register_printers=lambda: [Printer("far", wait_a_moment)],
    )
    contract(plugin).test_silence_is_borne(tmp_path)


def test_one_that_was_to_talk_and_does_not(tmp_path):
    plugin = plugin_of(register_settings=lambda: Settings, ticket_called=lambda ticket: None)
    tried = contract(plugin, online={"greeting": "Hai"})

    with pytest.raises(AssertionError, match="it connected to nobody"):
        tried.test_silence_is_borne(tmp_path)


@pytest.mark.parametrize(
    ("hook", "answer", "found"),
    [
        ("choose_lane", lambda: time.sleep(0.2), "choose_lane overran"),
        ("estimate_wait", lambda: 5, "estimate_wait nonsense"),
        ("format_announcement", lambda: "A", "format_announcement nonsense"),
        ("check_ticket_request", lambda: 1 / 0, "check_ticket_request raised"),
        (
            "check_ticket_request",
            lambda request: None if request.lane is Lane.GENERAL else 1 / 0,
            "check_ticket_request raised: ZeroDivisionError",
        ),
        (
            "choose_lane",
            lambda heads: print(heads.general.order_key) if heads.priority else None,
            "choose_lane raised: AttributeError",
        ),
        (
            "format_announcement",
            lambda call: {"id": None}[call.language],
            "format_announcement raised: KeyError",
        ),
        ("format_ticket_number", lambda: "A-1", "the same number"),
        ("format_ticket_number", lambda sequence: f"X{sequence}", "the same number"),
    ],
)
def test_one_that_decides_badly(hook, answer, found, tmp_path):
    with pytest.raises(AssertionError, match=found):
        contract(plugin_of(**{hook: answer})).test_decisions_are_quick_and_sound(tmp_path)


@pytest.mark.parametrize("is_machine_busy", [True, False])
def test_one_that_is_late_on_a_busy_machine_is_innocent(is_machine_busy, tmp_path, monkeypatch):
    """A plugin's tests do not fail for what else their machine does."""
    call, calls = Guard.call, []

    def late_once(guard, task, deadline_s, busy_s=None):
        calls.append(1)
        if len(calls) == 1:
            raise NoAnswer("late", is_computing=False, is_machine_busy=is_machine_busy)
        return call(guard, task, deadline_s, busy_s)

    tried = contract(plugin_of(format_ticket_number=lambda prefix, sequence: None))
    monkeypatch.setattr(Guard, "call", late_once)

    with nullcontext() if is_machine_busy else pytest.raises(AssertionError, match="overran"):
        tried.test_decisions_are_quick_and_sound(tmp_path)


# What it brings


@pytest.mark.parametrize(
    ("hook", "answer", "error", "found"),
    [
        ("register_routes", lambda: time.sleep(5), NoAnswer, None),
        ("register_routes", lambda: 7, AssertionError, "register_routes nonsense"),
        ("register_nav", lambda: [NavItem("", "/", Permission.CALL)], AssertionError, "nonsense"),
        ("register_nav", lambda: [NavItem("T", "/t", Permission.CALL)], AssertionError, "no page"),
        ("register_panels", lambda: [Panel("top", "t", "T", page)], AssertionError, "nonsense"),
        (
            "register_printers",
            lambda: [Printer("Bad Name", silent_printer)],
            AssertionError,
            "register_printers nonsense",
        ),
        (
            "register_announcers",
            lambda: [Announcer("voice", "speak")],
            AssertionError,
            "register_announcers nonsense",
        ),
        ("register_commands", lambda: 7, AssertionError, "register_commands nonsense"),
        ("register_settings", lambda: 7, PluginSettingsInvalid, None),
        (
            "register_health_checks",
            lambda: [HealthCheck("way", lambda ctx: True)],
            AssertionError,
            "check way answered True",
        ),
        (
            "register_health_checks",
            lambda: [HealthCheck("way", lambda ctx: 1 / 0)],
            PluginFailed,
            "ZeroDivisionError",
        ),
        (
            "register_simulators",
            lambda: [Simulator("stand-in", lambda folder, port: 1 / 0)],
            ZeroDivisionError,
            None,
        ),
    ],
)
def test_one_that_brings_what_cannot_be_used(hook, answer, error, found, tmp_path):
    with pytest.raises(error, match=found):
        contract(plugin_of(**{hook: answer})).test_registration_is_quick_and_sound(tmp_path)


def broken(*_):
    raise ConnectionError("no route")


def silent_printer(slip, ctx):
    return Printed("printed")


@pytest.mark.parametrize(
    ("hook", "brought", "found"),
    [
        ("register_printers", Printer("bad", broken), "printer bad raised: ConnectionError"),
        ("register_printers", Printer("bad", lambda slip, ctx: True), "printer bad nonsense"),
        ("register_announcers", Announcer("bad", broken), "announcer bad raised"),
        ("register_announcers", Announcer("bad", lambda *_: "hai"), "announcer bad nonsense"),
        (
            "register_announcers",
            Announcer("bad", lambda utterance, ctx: {"id": Speech()}[utterance.language]),
            "announcer bad raised: KeyError",
        ),
    ],
)
def test_one_whose_printer_or_voice_fails(hook, brought, found, tmp_path):
    with pytest.raises(AssertionError, match=found):
        contract(plugin_of(**{hook: lambda: [brought]})).test_printers_and_announcers_answer(
            tmp_path
        )


def needs_a_field(request, ctx):
    return TextAnswer(request.form["name"])


def test_one_whose_panel_fails_once_it_was_told_of_a_call(tmp_path):
    told = []

    def show(request, ctx):
        assert request.counter == 1
        return TextAnswer("<p></p>" if request.ticket.id not in told else 1 / 0, "text/html")

    plugin = plugin_of(
        ticket_called=lambda ticket: told.append(ticket.id),
        register_panels=lambda: [Panel("counter.ticket", "calls", "Panggilan", show)],
    )

    with pytest.raises(AssertionError, match="panel calls raised: ZeroDivisionError"):
        contract(plugin).test_pages_answer_and_refuse(tmp_path)


@pytest.mark.parametrize(
    ("route", "found"),
    [
        (PluginRoute("/", broken, Permission.CALL), "GET /x/tried/ answered 5"),
        (PluginRoute("/rooms/{n}", broken, Permission.CALL), "GET /x/tried/rooms/1 answered 5"),
        (
            PluginRoute("/", lambda request, ctx: TextAnswer("gone", status=404), Permission.CALL),
            "GET /x/tried/ answered 404",
        ),
        (
            PluginRoute("/save", needs_a_field, Permission.CALL, ("POST",)),
            "POST /x/tried/save answered 5",
        ),
    ],
)
def test_one_whose_page_fails(route, found, tmp_path):
    plugin = plugin_of(register_routes=lambda: [route])

    with pytest.raises(AssertionError, match=found):
        contract(plugin).test_pages_answer_and_refuse(tmp_path)


@pytest.mark.parametrize("slot", SLOTS)
def test_one_whose_panel_fails(slot, tmp_path):
    plugin = plugin_of(register_panels=lambda: [Panel(slot, "bad", "Bad", broken)])

    with pytest.raises(AssertionError, match="panel bad raised: ConnectionError"):
        contract(plugin).test_pages_answer_and_refuse(tmp_path)


@pytest.mark.parametrize(
    ("permission", "found"),
    [(Permission.CALL, "answers without a login"), (Permission.AUDIT_VIEW, "answers")],
)
def test_pages_that_anybody_sees(permission, found, tmp_path, monkeypatch):
    """The server refuses by itself; one that did not would be found out."""
    get = ClinicUnderTest.get
    plugin = plugin_of(register_routes=lambda: [PluginRoute("/", page, permission)])
    monkeypatch.setattr(ClinicUnderTest, "get", lambda self, path, role=None: get(self, "/kiosk"))

    with pytest.raises(AssertionError, match=found):
        contract(plugin).test_pages_answer_and_refuse(tmp_path)


# Tables


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"down": "pass"}, "already exists"),
        ({"down": "1 / 0"}, "ZeroDivisionError"),
        ({"table": "facts"}, "does not begin with tried_"),
    ],
)
def test_one_whose_migrations_are_wrong(changes, found, tmp_path):
    plugin = storing_plugin(tmp_path / "package", **changes)

    with pytest.raises(PluginDataUnavailable, match=found):
        contract(plugin).test_migrations_go_up_and_down(tmp_path / "clinic")


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        ("CREATE INDEX harm ON tickets (number)", AssertionError),
        ("UPDATE units SET is_active = 0", Exception),
    ],
)
def test_one_that_harms_the_core(harm, error, tmp_path):
    def startup():
        connection = sqlite3.connect(tmp_path / "puskesmas.db")
        connection.execute(harm)
        connection.commit()
        connection.close()

    with pytest.raises(error):
        contract(plugin_of(startup=startup)).test_uninstalling_leaves_the_clinic_whole(tmp_path)
