"""The beginning and the end of plugins, their checks, and what they bring along."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from puskesmas_queue.api import (
    Health,
    HealthCheck,
    Lane,
    NavItem,
    Panel,
    Permission,
    PluginRoute,
    Printed,
    Printer,
    Simulator,
    TextAnswer,
    TicketRequest,
    hookimpl,
)
from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import SYSTEM, Actor
from puskesmas_queue.domain.errors import PluginDataUnavailable
from puskesmas_queue.plugin_host import asking, contributions, dispatch, rests
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.plugin_host.outcomes import Fault, PluginFailed
from puskesmas_queue.plugin_host.rests import FIRST_REST_S, LONGEST_REST_S, Rests
from puskesmas_queue.services import plugin_health as health
from puskesmas_queue.services import providers, tickets
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.plugins import switch_on
from puskesmas_queue.services.printer_alerts import alerts
from puskesmas_queue.services.providers import PrintOrder, print_slip
from puskesmas_queue.storage.plugin_data import plugin_database
from puskesmas_queue.workers import plugins as lives
from puskesmas_queue.workers.outbox import Outbox
from puskesmas_queue.workers.plugins import PluginLives
from support.clinics import make_clinic, make_config
from support.plugin_tables import FIRST, write_migration
from support.waiting import until

KIOSK = Actor("device", name="kiosk", device="kiosk-1")


@pytest.fixture
def open_with(sqlite_url: str, tmp_path: Path) -> Iterator[Callable[..., Clinic]]:
    """Opens a clinic whose plugins are these objects, by name."""
    opened = []

    def open_clinic(**plugins: object) -> Clinic:
        clinic = make_clinic(make_config(sqlite_url, tmp_path), plugins=plugins.items())
        opened.append(clinic)
        return clinic

    yield open_clinic
    for clinic in opened:
        clinic.close()


@contextmanager
def living(clinic: Clinic) -> Iterator[None]:
    worker = PluginLives(clinic, Outbox(clinic))
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def issue(clinic: Clinic) -> str:
    request = TicketRequest(unit="umum", lane=Lane.GENERAL)
    return tickets.issue_ticket(clinic, request, KIOSK).number


def bringing(**hooks: Callable[..., object]) -> SimpleNamespace:
    """Return a plugin that implements these hooks by taking `ctx`."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def fault_lines(clinic: Clinic, rows: int = 1) -> list[str]:
    """Wait until so many faults are stored, and return them."""
    until(lambda: len(plugin_faults(clinic)) >= rows)
    return [f"{row.plugin} {row.hook} {row.kind}: {row.detail}" for row in plugin_faults(clinic)]


# Beginning and end


def test_hook_startup(open_with):
    """It begins before its first fact."""
    seen: list[str] = []
    plugin = bringing(
        startup=lambda ctx: (time.sleep(0.2), seen.append("startup")),
        ticket_issued=lambda fact, ticket: seen.append(ticket.number),
    )
    clinic = open_with(diary=plugin)
    issue(clinic)
    with living(clinic):
        until(lambda: len(seen) == 2)
    assert seen == ["startup", "A-001"]


def test_hook_shutdown(open_with):
    """It ends after its last fact, with the clinic's name at hand."""
    seen: list[str] = []
    plugin = bringing(
        ticket_issued=lambda fact, ticket: seen.append(ticket.number),
        shutdown=lambda ctx: seen.append(ctx.clinic_name),
    )
    clinic = open_with(diary=plugin)
    with living(clinic):
        issue(clinic)
        until(lambda: bool(seen))
    assert seen == ["A-001", "Puskesmas Uji"]


def test_a_start_that_hangs_holds_up_nobody(open_with, monkeypatch):
    """Another plugin hears its facts at once; the fault is named."""
    monkeypatch.setattr(lives, "STARTUP_DEADLINE_S", 1.0)
    forever, seen = threading.Event(), []
    clinic = open_with(
        stuck=bringing(startup=lambda ctx: forever.wait()),
        diary=bringing(ticket_issued=lambda fact, ticket: seen.append(ticket.number)),
    )
    with living(clinic):
        issue(clinic)
        until(lambda: seen == ["A-001"])
        (line,) = fault_lines(clinic)
        assert line.startswith("stuck startup overran: no end within 1 s (test_life.py:")
    forever.set()


def test_a_start_that_silences_the_log(open_with, caplog):
    """As Python does when the log is set up anew; its own fault is told all the same."""
    log = logging.getLogger(dispatch.__name__)

    def silence(ctx):
        log.disabled = True

    def fail(ctx):
        log.disabled = True
        raise OSError("no cable")

    clinic = open_with(diary=bringing(startup=silence), other=bringing(startup=fail))
    now = clinic.clock.now()
    clinic.hooks.call_life("diary", "startup", now, 30.0)
    assert not log.disabled

    with pytest.raises(PluginFailed):
        clinic.hooks.call_life("other", "startup", now, 30.0)
    assert "plugin other, hook startup raised: OSError: no cable" in caplog.text


def test_a_start_that_raises_is_named_and_facts_come(open_with):
    """The plugin is used all the same."""
    seen: list[str] = []

    def fail(ctx):
        raise OSError("no cable")

    clinic = open_with(
        diary=bringing(startup=fail, ticket_issued=lambda ticket: seen.append(ticket.number))
    )
    with living(clinic):
        issue(clinic)
        until(lambda: seen == ["A-001"])
    (line,) = fault_lines(clinic)
    assert line.startswith("diary startup raised: OSError: no cable (test_life.py:")


class Slow:
    """A printer whose plugin begins when it is let."""

    def __init__(self):
        self.go_on = threading.Event()
        self.slips = []

    @hookimpl
    def startup(self):
        self.go_on.wait(20)

    @hookimpl
    def register_printers(self):
        return [Printer("slow", lambda slip, ctx: self.slips.append(slip) or Printed("printed"))]


def order(clinic: Clinic) -> PrintOrder:
    set_option(clinic, "kiosk.printers", "slow, browser", SYSTEM)
    request = TicketRequest(unit="umum", lane=Lane.GENERAL)
    return PrintOrder(tickets.issue_ticket(clinic, request, KIOSK).code, "id")


def test_a_slip_waits_for_a_printer_that_begins(open_with):
    """In the first second of a server: it comes out of that printer, and nobody is alarmed."""
    slow, found = Slow(), []
    clinic = open_with(slow=slow)
    wanted = order(clinic)
    with living(clinic):
        asking = threading.Thread(target=lambda: found.append(print_slip(clinic, wanted)))
        asking.start()
        asking.join(0.3)
        assert (asking.is_alive(), slow.slips) == (True, [])
        slow.go_on.set()
        asking.join(15)
        assert found == [Printed("printed")]
        assert print_slip(clinic, order(clinic)).state == "printed"
    assert len(slow.slips) == 2
    assert alerts(clinic) == []


def test_a_printer_that_only_begins_is_nothing_to_see_to(open_with, monkeypatch):
    """Where it takes too long the next one prints; no alert is left that nothing would end."""
    monkeypatch.setattr(providers, "BEGIN_S", 0.1)
    slow = Slow()
    clinic = open_with(slow=slow)
    with living(clinic):
        assert print_slip(clinic, order(clinic)).state == "by_page"
        assert (slow.slips, alerts(clinic)) == ([], [])
        slow.go_on.set()


def test_a_printer_whose_start_failed_is_asked(open_with, monkeypatch):
    """Nobody waits for it any more, and staff hear how it fares."""
    monkeypatch.setattr(lives, "STARTUP_DEADLINE_S", 0.2)
    slow = Slow()
    clinic = open_with(slow=slow)
    with living(clinic):
        assert print_slip(clinic, order(clinic)).state == "printed"
        slow.go_on.set()


# Health


def test_hook_register_health_checks(open_with):
    """What a check finds is told; one that fails is itself what is wrong."""

    def fail(ctx):
        raise ValueError("broken")

    checks = [
        HealthCheck("paper", lambda ctx: Health("note", f"little left at {ctx.clinic_name}")),
        HealthCheck("cable", fail),
        HealthCheck("mood", lambda ctx: "fine"),
        HealthCheck("ink", lambda ctx: Health("ok", "%(left)s %% left\x00", {"left": 7})),
        HealthCheck("lid", lambda ctx: Health("ok", "%(left)s left", {"right": 7})),
        HealthCheck("box", lambda ctx: Health("ok", "%(left)s left", {"left": object()})),
    ]
    clinic = open_with(printer=bringing(register_health_checks=lambda ctx: checks))
    found = {one.name: one.health for one in health.plugin_health(clinic, "printer")}
    assert found["paper"] == Health("note", "little left at Puskesmas Uji")
    assert found["cable"].state == "wrong"
    assert found["cable"].text.startswith("ValueError: broken (test_life.py:")
    assert found["mood"] == Health("wrong", "answered 'fine'")
    assert found["ink"].line() == "7 % left "
    assert found["ink"].line(lambda text: "sisa %(left)s") == "sisa 7"
    assert found["lid"] == found["box"] == Health("wrong", "answered a Health")
    assert len(fault_lines(clinic, 4)) == 4


def test_a_check_that_hangs_is_given_up(open_with, monkeypatch):
    """After three the plugin is not asked more."""
    monkeypatch.setattr(health, "CHECK_DEADLINE_S", 0.05)
    forever = threading.Event()
    checks = [HealthCheck(f"c{n}", lambda ctx: forever.wait()) for n in range(5)]
    clinic = open_with(printer=bringing(register_health_checks=lambda ctx: checks))
    texts = [one.health.text for one in health.plugin_health(clinic, "printer")]
    assert [text.partition(" (")[0] for text in texts] == [
        *["no end within 0 s"] * 3,
        *["not asked: 3 earlier calls never ended"] * 2,
    ]
    forever.set()


# What plugins bring


def page(request, ctx):
    return TextAnswer("here")


GOOD = {
    "register_routes": PluginRoute("/rooms/{number}", page, Permission.CALL),
    "register_nav": NavItem("Kamar", "/rooms", Permission.CALL),
    "register_panels": Panel("counter.ticket", "room", "Kamar", page),
    "register_health_checks": HealthCheck("paper", lambda ctx: Health("ok", "there")),
    "register_simulators": Simulator("cloud", lambda folder, port: None),
}
PAGES = {"register_routes": lambda ctx: [PluginRoute("/rooms", page, Permission.CALL)]}
ASK = {
    "register_routes": "routes",
    "register_nav": "nav",
    "register_panels": "panels",
    "register_health_checks": "health_checks",
    "register_simulators": "simulators",
}
BAD = [
    ("register_routes", PluginRoute("/a", page, None), "/a: it declares no permission"),
    ("register_routes", PluginRoute("/a", page, "call"), "/a: it declares no permission"),
    ("register_routes", PluginRoute("/a", page, Permission.SESSION), "it declares no permission"),
    ("register_routes", PluginRoute("/a", page, Permission.DEMO), "it declares no permission"),
    ("register_routes", PluginRoute("a", page, Permission.CALL), "its path must be like"),
    ("register_routes", PluginRoute("/../b", page, Permission.CALL), "must not walk up"),
    ("register_routes", PluginRoute("/{a}/{a}", page, Permission.CALL), "names one part twice"),
    ("register_routes", PluginRoute("//b", page, Permission.CALL), "its path must be like"),
    ("register_routes", PluginRoute("/{a:path}", page, Permission.CALL), "its path must be like"),
    ("register_routes", PluginRoute("/static/x", page, Permission.CALL), "the core's"),
    ("register_routes", PluginRoute("/panels", page, Permission.CALL), "the core's"),
    ("register_routes", PluginRoute("/a", None, Permission.CALL), "cannot be called"),
    ("register_routes", PluginRoute("/a", page, Permission.CALL, ("PUT",)), "methods"),
    ("register_routes", PluginRoute("/a", page, Permission.CALL, "GET"), "methods"),
    ("register_nav", NavItem("", "/rooms", Permission.CALL), "label must be 1 to 60"),
    ("register_nav", NavItem("A\x00", "/rooms", Permission.CALL), "label must be 1 to 60"),
    ("register_nav", NavItem("A", "https://x", Permission.CALL), "its path must be that"),
    ("register_nav", NavItem("A", "/nowhere", Permission.CALL), "no page at its path"),
    ("register_nav", NavItem(7, "/a", Permission.CALL), "its label must be a text"),
    ("register_panels", Panel("kiosk.start", "room", "A", page), "its slot must be one of"),
    ("register_panels", Panel("dashboard", "../x", "A", page), "its name must be"),
    ("register_panels", Panel("dashboard", "a", "A" * 61, page), "title must be 1 to 60"),
    ("register_health_checks", HealthCheck("a", "b"), "cannot be called"),
    ("register_simulators", Simulator("A B", page), "its name must be"),
    ("register_simulators", "cloud", "brought 'cloud'"),
]


@pytest.mark.parametrize("hook", list(GOOD))
def test_what_is_good_is_taken_once(open_with, hook):
    """What is good is taken once, and the plugin is asked once."""
    asked = []

    def bring(ctx):
        asked.append(ctx.clinic_id)
        return [GOOD[hook], GOOD[hook]]

    clinic = open_with(guest=bringing(**{**PAGES, hook: bring}))
    for _ in range(2):
        assert getattr(clinic.contributions, ASK[hook])("guest") == (GOOD[hook],)
    assert asked == ["uji"]
    (line,) = fault_lines(clinic)
    assert "there is another of the same name or path" in line


@pytest.mark.parametrize(("hook", "bad", "reason"), BAD)
def test_what_cannot_be_used_is_left_out(open_with, hook, bad, reason):
    """The rest is used, and the fault says what is wrong with which."""
    clinic = open_with(guest=bringing(**{**PAGES, hook: lambda ctx: [bad, GOOD[hook]]}))
    found = getattr(clinic.contributions, ASK[hook])("guest")
    assert found == (GOOD[hook],)
    (line,) = fault_lines(clinic)
    assert line.startswith(f"guest {hook} nonsense")
    assert reason in line


@pytest.mark.parametrize("answer", [7, "abc", {"a": 1}, [GOOD["register_nav"]] * 101, iter([])])
def test_an_answer_that_is_no_list_is_nonsense(open_with, answer):
    """Nothing of it is used."""
    clinic = open_with(guest=bringing(register_nav=lambda ctx: answer))
    assert clinic.contributions.nav("guest") == ()
    assert len(fault_lines(clinic)) == 1


def test_a_plugin_that_hangs_is_waited_for_once(open_with, monkeypatch):
    """Its further hooks are not asked: a start takes one deadline, not five."""
    monkeypatch.setattr(asking, "REGISTRATION_DEADLINE_S", 1.0)
    monkeypatch.setattr(contributions, "REGISTRATION_DEADLINE_S", 1.0)
    forever, asked = threading.Event(), []

    def hang(ctx):
        asked.append(1)
        forever.wait()

    clinic = open_with(guest=bringing(**dict.fromkeys(GOOD, hang)))
    for name in ASK.values():
        assert getattr(clinic.contributions, name)("guest") == ()
    assert asked == [1]
    forever.set()


def test_decisions_see_no_tables_and_no_files(open_with):
    """A decision is asked inside the line's transaction: it gets no way to other tables."""
    seen = []

    def number(ctx):
        seen.append((ctx.data, ctx.folder, ctx.config))

    clinic = open_with(guest=bringing(format_ticket_number=number))
    clinic.plugin_data["guest"] = object()
    assert issue(clinic) == "A-001"
    assert seen == [(None, None, None)]
    assert clinic.plugin_context("guest").data is clinic.plugin_data.pop("guest")


def test_a_plugin_knows_where_its_files_are(open_with):
    """A folder of its own beside the configuration, which is not there before it needs one."""
    seen = []
    clinic = open_with(diary=bringing(startup=lambda ctx: seen.append(ctx.folder)))
    with living(clinic):
        until(lambda: bool(seen))
    assert seen == [clinic.config.folder / "plugins" / "diary"]
    assert not seen[0].exists()


def test_each_plugin_has_its_own_tables_and_files(open_with):
    """Not another's, whoever is active beside it; none where it brought none."""
    seen = {}

    def noting(name):
        return bringing(startup=lambda ctx: seen.update({name: (ctx.data, ctx.folder)}))

    clinic = open_with(**{name: noting(name) for name in ("diary", "poems", "quiet")})
    url, folder = clinic.config.database.url, clinic.config.folder
    for name in ("diary", "poems"):
        source = FIRST.format(table=f"{name}_seen", more="pass")
        write_migration(folder / name, "0001_first", source)
        clinic.plugin_data[name] = plugin_database(url, name, folder / name)

    with living(clinic):
        until(lambda: len(seen) == 3)
        for name in ("diary", "poems"):
            assert seen[name][0].tables() == {f"{name}_seen": []}
        with pytest.raises(PluginDataUnavailable, match="no such table"):
            seen["poems"][0].read(lambda it: it.execute(text("SELECT * FROM diary_seen")))
    assert seen["quiet"][0] is None
    assert {name: files for name, (_, files) in seen.items()} == {
        name: folder / "plugins" / name for name in seen
    }


# Facts that never end


def test_a_fact_that_computes_for_ever_is_ended_soon_and_left_alone(open_with, monkeypatch):
    """It costs a second of a core, not thirty, and then a pause that grows."""
    monkeypatch.setattr(dispatch, "BUSY_S", 0.2)
    monkeypatch.setattr(rests, "FIRST_REST_S", 60.0)
    told = []

    def spin(fact):
        told.append(fact.id)
        while True:
            pass

    clinic = open_with(spinner=bringing(ticket_issued=spin))
    issue(clinic)
    issue(clinic)
    with living(clinic):
        began = time.monotonic()
        (line,) = fault_lines(clinic)
        assert line.startswith("spinner ticket_issued overran: computed for 0 s (test_life.py:")
        assert time.monotonic() - began < dispatch.FACT_DEADLINE_S / 2
        assert 0 < clinic.hooks.rest_s("spinner") <= 60
        time.sleep(0.5)
        assert len(told) == 1


def test_a_fact_that_waits_is_not_taken_for_one_that_computes(open_with, monkeypatch):
    """Whoever waits for a network has its whole time."""
    monkeypatch.setattr(dispatch, "BUSY_S", 0.05)
    seen = []
    plugin = bringing(ticket_issued=lambda ticket: (time.sleep(0.6), seen.append(ticket.number)))
    clinic = open_with(patient=plugin)
    issue(clinic)
    with living(clinic):
        until(lambda: seen == ["A-001"])
    assert plugin_faults(clinic) == []


# Pages, printers and checks that compute for ever


def test_what_computes_for_ever_is_ended_soon_and_left_alone(open_with, monkeypatch):
    """Asked again and again it would take a core each time: it is refused at once meanwhile."""
    monkeypatch.setattr(rests, "FIRST_REST_S", 60.0)
    clinic = open_with(spinner=bringing())
    asked = []

    def spin():
        asked.append(1)
        while True:
            pass

    began = time.monotonic()
    with pytest.raises(PluginFailed, match="computed for"):
        clinic.hooks.run("spinner", "page /slow", spin, 20, 0.2)
    assert time.monotonic() - began < 10
    for _ in range(3):
        with pytest.raises(PluginFailed, match="rests for"):
            clinic.hooks.run("spinner", "page /slow", spin, 20, 0.2)
    assert len(asked) == 1
    assert clinic.hooks.run("spinner", "page /quick", lambda: 7, 20) == 7
    (line,) = fault_lines(clinic)
    assert line.startswith("spinner page /slow overran: computed for 0 s (test_life.py:")


def test_what_waits_is_asked_again(open_with):
    """A printer that was switched off for a while prints as soon as it is there."""
    clinic = open_with(patient=bringing())
    with pytest.raises(PluginFailed, match="no end within"):
        clinic.hooks.run("patient", "printer", lambda: time.sleep(5), 0.1)

    assert clinic.hooks.run("patient", "printer", lambda: 7, 20) == 7


def test_rests_grow_and_are_forgotten():
    now = [100.0]
    kept = Rests(lambda: now[0])
    lengths = []
    for _ in range(10):
        kept.begin("page")
        lengths.append(kept.left_s("page"))
    assert lengths[:3] == [5, 10, 20]
    assert lengths[-1] == LONGEST_REST_S
    assert kept.left_s("another") == 0
    now[0] += LONGEST_REST_S
    assert kept.left_s("page") == 0
    kept.fared_well("page")
    kept.begin("page")
    assert kept.left_s("page") == FIRST_REST_S


def test_a_plugin_switched_on_elsewhere_decides_again(database_url, clock, tmp_path):
    """The button is pressed in one process, the plugin is asked in all."""
    plugin = bringing(format_ticket_number=lambda prefix: f"{prefix}-X")
    config = make_config(database_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    other = open_clinic(config, clock, [("guest", plugin)])
    try:
        for one in (clinic, other):
            one.hooks.switched_off.add("guest")
        clinic.hooks.report(Fault("guest", "format_ticket_number", "overran", "late", True))
        clinic.faults.flush(10)

        switch_on(clinic, "guest", KIOSK)

        assert clinic.hooks.switched_off == set()
        other.look()
        until(lambda: other.hooks.switched_off == set())
    finally:
        other.close()
        clinic.close()


def test_a_migration_that_hangs_keeps_no_other_from_its_tables(open_with, monkeypatch):
    """It is given up, and its plugin has no tables until the next start."""
    monkeypatch.setattr(lives, "MIGRATION_DEADLINE_S", 3.0)
    forever, began = threading.Event(), []
    clinic = open_with(
        stuck=bringing(startup=lambda ctx: began.append("stuck")),
        words=bringing(startup=lambda ctx: began.append("words")),
    )
    url, folder = clinic.config.database.url, clinic.config.folder
    for name, more in (("stuck", "import builtins; builtins.hang()"), ("words", "pass")):
        write_migration(folder / name, "0001_first", FIRST.format(table=f"{name}_seen", more=more))
        clinic.plugin_data[name] = plugin_database(url, name, folder / name)

    def hang() -> None:
        # The one behind it is not hurried.
        monkeypatch.setattr(lives, "MIGRATION_DEADLINE_S", 60.0)
        forever.wait()

    monkeypatch.setattr("builtins.hang", hang, raising=False)

    with living(clinic):
        until(lambda: began == ["words"])
        assert clinic.plugin_data["words"].tables() == {"words_seen": []}
        with pytest.raises(PluginDataUnavailable, match="did not end"):
            clinic.plugin_data["stuck"].tables()
        assert fault_lines(clinic) == [
            "stuck migrations overran: no end within 3 s (0001_first.py:15)"
        ]
    forever.set()


def test_an_answer_at_the_very_deadline_leaves_no_thread_behind():
    """Whichever comes first, the thread ends."""
    late = []
    for _ in range(100):
        guard = Guard()
        try:
            guard.call(lambda: time.sleep(0.0099), 0.01)
            guard.retire()
        except NoAnswer:
            guard.end()
        late.append(guard)
    until(lambda: not any(guard.is_running for guard in late))


# What it brings


def test_everything_it_brings_is_known_from_the_start(open_with):
    """A printer with a bad name is a fault in the morning, not when the first slip is due."""
    clinic = open_with(
        desk=bringing(register_printers=lambda ctx: [Printer("Bad Name", lambda slip, ctx: None)])
    )

    with living(clinic):
        (line,) = fault_lines(clinic)

    assert line.startswith("desk register_printers nonsense: Bad Name: its name must be")
