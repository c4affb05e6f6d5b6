"""The clinic that plugin authors test with."""

import subprocess
import sys
import tomllib

import pytest
from pydantic import BaseModel, SecretStr

from puskesmas_queue.api import (
    Lane,
    Permission,
    PluginFile,
    PluginRoute,
    RedirectAnswer,
    Role,
    TextAnswer,
    hookimpl,
)
from puskesmas_queue.domain.errors import EdgeNotAllowed
from puskesmas_queue.domain.events import FACTS
from puskesmas_queue.storage import migrate
from puskesmas_queue.testing import (
    MORNING,
    ClinicUnderTest,
    FakeAnnouncer,
    FakePrinter,
    MovedClock,
    TicketObjected,
)
from puskesmas_queue.testing.hall import play_morning
from puskesmas_queue.workers import outbox


class Settings(BaseModel):
    greeting: str = "Halo"
    is_on: bool = True
    token: SecretStr | None = None


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def startup(self, ctx):
        self.heard.append("startup")

    @hookimpl
    def shutdown(self):
        self.heard.append("shutdown")

    @hookimpl
    def register_settings(self):
        return Settings

    @hookimpl
    def ticket_issued(self, ticket, ctx):
        self.heard.append((ctx.config.greeting, ticket.number))

    @hookimpl
    def ticket_called(self, fact):
        self.heard.append(fact.attempt)
        if fact.attempt == 1:
            raise ConnectionError("no route")


def test_a_ticket_goes_through_the_hall(puskesmas_clinic):
    first, second = puskesmas_clinic.issue(), puskesmas_clinic.issue("gigi", Lane.PRIORITY)

    called = puskesmas_clinic.call_next()

    assert (first.number, second.number) == ("A-001", "P-001")
    assert called.number == "P-001"
    assert puskesmas_clinic.complete(puskesmas_clinic.serve(called)).state == "completed"
    assert puskesmas_clinic.skip(puskesmas_clinic.call_next()).number == "A-001"
    assert puskesmas_clinic.call_next() is None


def test_a_ticket_that_is_passed_on_keeps_its_number_and_its_hooks_name_the_new_unit(
    puskesmas_clinics,
):
    heard = []

    def hear(fact, ticket):
        heard.append((fact.kind, ticket.number, ticket.unit, ticket.lane))

    facts = ("ticket_called", "ticket_completed")
    plugin = type("P", (), {kind: staticmethod(hookimpl(hear)) for kind in facts})()
    clinic = puskesmas_clinics(units=plugin)
    waiting = clinic.transfer(clinic.issue("umum"), "gigi", Lane.PRIORITY)
    assert (waiting.number, waiting.unit) == ("A-001", "gigi")

    called = clinic.call_next()
    clinic.deliver()
    served = clinic.transfer(clinic.serve(called), "kia")
    assert (served.id, served.state, served.counter) == (called.id, "serving", 1)
    clinic.complete(served)

    clinic.deliver()
    assert heard == [
        ("ticket_called", "A-001", "gigi", "priority"),
        ("ticket_completed", "A-001", "kia", "priority"),
    ]
    with pytest.raises(EdgeNotAllowed):
        clinic.transfer(served, "umum")


def test_facts_wait_for_deliver_and_come_again(puskesmas_clinics, monkeypatch):
    # Longer than this machine may stand still, and less than the life of a call.
    monkeypatch.setattr(outbox, "BACKOFF_S", (60,) * 20)
    plugin = Listener()
    clinic = puskesmas_clinics(listener=plugin)
    clinic.issue()
    clinic.call_next()
    assert plugin.heard == ["startup"]

    assert [one.is_good for one in clinic.deliver()] == [True, False]
    assert clinic.deliver() == []
    clinic.advance(61)
    assert [one.is_good for one in clinic.deliver()] == [True]

    assert plugin.heard == ["startup", ("Halo", "A-001"), 1, 2]
    (fault,) = clinic.faults()
    assert (fault.plugin, fault.hook, fault.kind) == ("listener", "ticket_called", "raised")
    assert clinic.faults() == [fault]


def test_a_call_that_is_old_is_not_delivered(puskesmas_clinics):
    plugin = Listener()
    clinic = puskesmas_clinics(listener=plugin)
    clinic.issue()
    clinic.call_next()
    clinic.advance(91)

    clinic.deliver()

    assert plugin.heard == ["startup", ("Halo", "A-001")]


def test_settings_are_filled_in_and_spoilt(tmp_path):
    plugin = Listener()
    settings = {"listener": {"greeting": "Selamat pagi", "token": "rahasia"}}
    with ClinicUnderTest(tmp_path, [("listener", plugin)], settings=settings) as clinic:
        config = clinic.context("listener").config
        assert (config.greeting, config.is_on) == ("Selamat pagi", True)
        assert config.token.get_secret_value() == "rahasia"
        clinic.spoil_settings("listener")
        assert clinic.context("listener").config is None
    assert plugin.heard[-1] == "shutdown"


def test_a_clinic_goes_on_in_its_folder(tmp_path):
    clock = MovedClock()
    with ClinicUnderTest(tmp_path, clock=clock) as clinic:
        clinic.issue()
    with ClinicUnderTest(tmp_path, clock=clock) as clinic:
        assert clinic.issue().number == "A-002"


@pytest.mark.postgres
def test_a_clinic_on_postgresql_makes_its_tables_and_goes_on(tmp_path, empty_postgres_url):
    plugin, clock = Listener(), MovedClock()
    for number in ("A-001", "A-002"):
        with ClinicUnderTest(
            tmp_path, [("listener", plugin)], clock=clock, url=empty_postgres_url
        ) as clinic:
            assert clinic.issue().number == number
            assert [one.is_good for one in clinic.deliver()] == [True]
    assert migrate.current(empty_postgres_url) == migrate.head()
    assert list(tmp_path.glob("*.db")) == []


def test_a_slip_is_printed_and_a_call_is_spoken(puskesmas_clinics):
    printer, voice = FakePrinter("desk"), FakeAnnouncer("hall")
    clinic = puskesmas_clinics(paper=printer, sound=voice)
    clinic.set("display.language", "en")
    ticket = clinic.issue()

    assert clinic.print_slip(ticket, "desk", language="en").state == "printed"
    assert [slip.ticket.number for slip in printer.slips] == ["A-001"]
    assert clinic.speak(clinic.call_next(), "hall").sound == (b"RIFF",)
    assert [one.language for one in voice.spoken] == ["en"]
    printer.failure = OSError("no paper")
    assert clinic.print_slip(ticket, "desk", "browser").state == "by_page"
    assert [(row.hook, row.kind) for row in clinic.faults()] == [("printer desk", "raised")]


def test_an_objection_can_be_caught_and_an_unknown_plugin_has_no_context(puskesmas_clinics):
    plugin = type("P", (), {})()
    plugin.check_ticket_request = hookimpl(lambda request: "tutup")
    clinic = puskesmas_clinics(strict=plugin)

    with pytest.raises(TicketObjected, match="tutup"):
        clinic.issue()
    with pytest.raises(KeyError, match="strikt"):
        clinic.context("strikt")


def test_time_passes_and_the_clinic_trusts_it(puskesmas_clinic):
    puskesmas_clinic.advance(3 * 3600)
    assert puskesmas_clinic.issue().number == "A-001"
    puskesmas_clinic.end_day()
    assert puskesmas_clinic.issue().number == "A-001"
    assert puskesmas_clinic.clock.now() > MORNING


def hearing(kind: str, heard: set):
    """Make an implementation of one fact; the hook's arguments are in its signature."""

    def hear_ticket(fact, ticket):
        heard.add(fact.kind)

    def hear_day(fact, day):
        heard.add(fact.kind)

    return staticmethod(hookimpl(hear_day if kind == "day_closed" else hear_ticket))


def test_a_morning_has_every_fact(puskesmas_clinics):
    heard: set[str] = set()
    everything = type("Everything", (), {kind: hearing(kind, heard) for kind in FACTS})()
    clinic = puskesmas_clinics(everything=everything)

    play_morning(clinic)

    assert clinic.faults() == []
    assert heard == set(FACTS)


class Pages:
    @hookimpl
    def register_routes(self):
        def change(request, ctx):
            return RedirectAnswer(f"/x/pages/{request.form['to']}")

        return [
            PluginRoute("/", lambda request, ctx: TextAnswer("hello"), Permission.DAY_VIEW),
            PluginRoute("/change", change, Permission.MANAGE_SETTINGS, ("POST",)),
            PluginRoute(
                "/logo",
                lambda request, ctx: TextAnswer(request.files["logo"].content),
                Permission.MANAGE_SETTINGS,
                ("POST",),
                max_upload_bytes=5,
            ),
        ]


def test_pages_are_asked_for_as_somebody(puskesmas_clinics):
    clinic = puskesmas_clinics(pages=Pages())

    assert clinic.get("/kiosk").status_code == 200
    assert clinic.get("/x/pages/").status_code == 303
    assert clinic.get("/x/pages/", Role.KEPALA).text == "hello"
    assert clinic.post("/x/pages/change", {"to": ""}, Role.KEPALA).status_code == 403
    assert clinic.post("/x/pages/change", {"to": ""}, Role.ADMIN).status_code == 303


def test_files_are_sent_with_a_form(puskesmas_clinics):
    clinic = puskesmas_clinics(pages=Pages())

    for content, status in [(b"12345", 200), (b"123456", 413)]:
        files = {"logo": PluginFile("a.png", "image/png", content)}
        assert clinic.post("/x/pages/logo", {}, Role.ADMIN, files).status_code == status


def test_the_pytest_plugin_is_light():
    """It is loaded by every pytest beside a server."""
    code = (
        "import sys, puskesmas_queue.testing.fixtures as f; "
        "print([n for n in ('sqlalchemy', 'starlette', 'pydantic', 'alembic') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_name_that_is_not_there():
    import puskesmas_queue.testing

    with pytest.raises(AttributeError, match="Nothing"):
        _ = puskesmas_queue.testing.Nothing


def test_pytest_finds_the_fixtures(tmp_path):
    """As the entry point loads them, in a project that has nothing else."""
    (tmp_path / "test_it.py").write_text(
        "def test_it(puskesmas_clinic):\n    assert puskesmas_clinic.issue().number == 'A-001'\n"
    )
    plugin = "puskesmas_queue.testing.fixtures"
    command = ["pytest", "-q", "-p", "no:puskesmas_queue", "-p", plugin, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_entry_point_leads_to_the_fixtures(pytestconfig):
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {
        "puskesmas_queue": "puskesmas_queue.testing.fixtures"
    }
