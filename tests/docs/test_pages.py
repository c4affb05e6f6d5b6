"""The documentation says what is."""

import importlib
import inspect
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from click import Group
from click.testing import CliRunner

from puskesmas_queue.cli import main, simulate
from puskesmas_queue.cli.root import COMMANDS
from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.events import TICKET_FACTS, Fact
from puskesmas_queue.domain.line import Head, LaneChoice, LineHeads, Ratio, RatioState
from puskesmas_queue.domain.tickets import Lane, Source, TicketRequest
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import (
    DecisionHooks,
    FactHooks,
    LifeHooks,
    RegistrationHooks,
    VetoHooks,
)
from puskesmas_queue.plugin_host import asking, dispatch, loading
from puskesmas_queue.plugin_host.manager import make_manager
from puskesmas_queue.services import plugin_health, providers, simulators
from puskesmas_queue.settings import SECTIONS
from puskesmas_queue.testing import PluginContract
from puskesmas_queue.web import plugin_screens
from puskesmas_queue.workers import plugins as lives
from support.clinics import make_clinic, make_config

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_readme_commands_are_what_ci_runs():
    readme = (ROOT / "README.md").read_text()
    demo, test = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)

    assert demo.endswith("puskesmas-queue demo")
    assert (ROOT / ".ci/run").read_text().strip().splitlines()[-1] == test
    for name in re.findall(r"requirements[-a-z]*\.txt|scripts/\w+\.py", demo + test):
        assert (ROOT / name).exists()


def test_every_command_is_described():
    row = r"^\| `([a-z -]+?)(?: \[?[A-Z].*?)?` \|"
    listed = set(re.findall(row, page("commands"), re.MULTILINE))

    commands = set()
    for name in COMMANDS:
        command = main.get_command(None, name)
        below = list(command.commands) if isinstance(command, Group) else []
        commands.update(f"{name} {one}" for one in below)
        if not below:
            commands.add(name)
    commands.update(f"simulate {one}" for one in simulate.OWN)
    assert listed == commands


@pytest.mark.parametrize(
    "name", ["demo", "init", "serve", *(f"simulate {one}" for one in simulate.OWN)]
)
def test_every_option_is_described(name):
    row = next(line for line in page("commands").splitlines() if line.startswith(f"| `{name}"))
    help_text = CliRunner().invoke(main, [*name.split(), "--help"]).output

    options = set(re.findall(r"--[a-z-]+", help_text)) - {"--help", "--config"}
    assert {option for option in options if f"`{option}" not in row} == set()


def test_settings_page_equals_the_registry():
    written = runpy.run_path(str(ROOT / "scripts/write_settings_page.py"))["page"]()

    assert page("settings") == written, "run scripts/write_settings_page.py"


def test_page_of_the_api_equals_its_docstrings():
    written = runpy.run_path(str(ROOT / "scripts/write_plugin_api_page.py"))["page"]()

    assert page("plugin-api") == written, "run scripts/write_plugin_api_page.py"
    assert [line for line in written.splitlines() if line.endswith("|  |")] == []


def test_settings_of_the_file_are_described():
    rows = re.findall(r"^\| `(\w+\.\w+)` \|", page("install"), re.MULTILINE)

    assert rows == [f"{name}.{one.name}" for name, kind in SECTIONS.items() for one in fields(kind)]


def test_every_decision_is_listed():
    records = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))

    assert re.findall(r"\]\((\d{4}-[^)]+)\)", page("decisions/index")) == records


# Hooks


def signature(name: str) -> str:
    """Write a hook's signature as the page's heading does."""
    hook = next(getattr(kind, name) for kind in KINDS if name in vars(kind))
    text = str(inspect.signature(hook, eval_str=False)).replace("(self, ", "(")
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", f"{name}{text}").replace("'", "")


KINDS = (DecisionHooks, VetoHooks, FactHooks, RegistrationHooks, LifeHooks)
HOOKS = [name for kind in KINDS for name, one in vars(kind).items() if callable(one)]


def test_hook_headings_are_the_exact_signatures():
    headings = re.findall(r"^### `(.+)`$", page("hooks"), re.MULTILINE)

    assert headings == [signature(name) for name in HOOKS]


def test_every_hook_has_a_test_of_its_name():
    names = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def test_hook_(\w+)\(", file.read_text("utf-8"), re.MULTILINE)
    }

    assert [hook for hook in HOOKS if hook not in names] == []


def examples() -> dict[str, dict]:
    """Run every example of the page and return its names, by hook."""
    found = {}
    text, _, _ = page("hooks").partition("## Tables of its own")
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        names: dict = {}
        exec(compile(code, "docs/hooks.md", "exec"), names)
        brought = [name for name in HOOKS if name in names]
        # A link needs a page: an example is that of the first hook that it shows.
        found[min(brought, key=code.index)] = names
    return found


@pytest.fixture(scope="module")
def hooks():
    """The hook callers, with every example of the page registered."""
    plugins = [(name, SimpleNamespace(**names)) for name, names in examples().items()]
    return make_manager([], plugins).hook


@pytest.mark.parametrize("name", ["hooks", "first-plugin"])
def test_examples_pass_the_linter_of_a_new_plugin(name, tmp_path):
    """Whoever copies one finds nothing to mend; a piece of a file has no heading of its own."""
    template = (ROOT / "src/puskesmas_queue/cli/plugin_template/pyproject.toml.txt").read_text()
    lint = template[template.index("[tool.ruff]") : template.index("[tool.mypy]")]
    (tmp_path / "pyproject.toml").write_text(lint)
    (tmp_path / "src/puskesmas_queue_short_numbers").mkdir(parents=True)
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)):
        (tmp_path / f"example_{number}.py").write_text(code)

    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--extend-ignore", "D100", "--no-cache", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_hook_has_an_example():
    assert list(examples()) == HOOKS


def test_every_hook_has_a_user():
    """What nobody uses was never tried: a built-in or example plugin implements each hook."""
    sources = [
        *ROOT.glob("src/puskesmas_queue/defaults/*.py"),
        *ROOT.glob("examples/*/src/**/*.py"),
    ]
    marked = re.compile(r"^@hookimpl.*\n(?:async )?def (\w+)", re.MULTILINE)

    used = {name for file in sources for name in marked.findall(file.read_text("utf-8"))}

    assert used == set(HOOKS)


def test_examples_answer(hooks):
    now = int(datetime(2026, 2, 26, tzinfo=UTC).timestamp() * 1_000_000)
    heads = LineHeads(Head(now, 0), Head(now - 3_600_000_000, 0), Ratio("full"), RatioState())

    number = hooks.format_ticket_number(
        prefix="A", sequence=7, service_date=date(2026, 2, 26), ctx=None
    )
    assert number == "A0007"
    assert hooks.choose_lane(heads=heads, ctx=None) == LaneChoice(Lane.GENERAL, RatioState())
    wait = hooks.estimate_wait(people_ahead=2, service_s=[60, 90], open_counters=1, ctx=None)
    assert wait == timedelta(seconds=180)
    said = hooks.format_announcement(call=Call("P-003", "P", 3, 2, "id"), ctx=None)
    assert said == Announcement("Nomor P-003.", "Silakan ke meja B.")


@pytest.mark.parametrize("kind", TICKET_FACTS)
def test_examples_hear_a_fact_twice_and_keep_it_once(kind):
    example = examples()[kind]
    fact = Fact("clinic-1", kind, datetime(2026, 2, 26, tzinfo=UTC), "main", 1, None, 1)
    for _ in range(2):
        example[kind](fact=fact, ticket=SimpleNamespace(number="A-001"))
    assert example["SEEN"] == {"clinic-1": "A-001"}


def test_example_of_a_veto_objects_or_not():
    check = examples()["check_ticket_request"]["check_ticket_request"]
    # Four in the evening of Tuesday in UTC is Wednesday morning in Jayapura.
    zone = ZoneInfo("Asia/Jayapura")
    now = datetime(2026, 2, 24, 16, tzinfo=UTC)
    wednesday = Context("uji", "Puskesmas Uji", SimpleNamespace(), now, zone)
    general = TicketRequest("gigi", Lane.GENERAL)
    assert check(TicketRequest("umum", Lane.GENERAL), Source.KIOSK, wednesday) is None
    assert check(TicketRequest("gigi", Lane.PRIORITY), Source.KIOSK, wednesday) is None
    assert check(general, Source.COUNTER, wednesday) is None
    assert check(general, Source.KIOSK, wednesday)


@pytest.mark.parametrize(
    ("hook", "bring"),
    [
        ("register_printers", "printers"),
        ("register_announcers", "announcers"),
        ("register_routes", "routes"),
        ("register_nav", "nav"),
        ("register_panels", "panels"),
        ("register_health_checks", "health_checks"),
        ("register_simulators", "simulators"),
    ],
)
def test_examples_bring_what_can_be_used(clinic_with, hook, bring):
    """Each example of something that is brought along is taken by the server."""
    clinic = clinic_with(guest=SimpleNamespace(**examples()[hook]))

    found = getattr(clinic.contributions, bring)
    if bring in ("printers", "announcers"):
        assert [name for name in found() if found()[name][0] == "guest"] != []
    else:
        assert len(found("guest")) == 1


def test_example_with_tables_keeps_the_contract(database_url, tmp_path, monkeypatch):
    """The files of the page, put where it says, are a plugin with tables."""
    _, _, text = page("hooks").partition("## Tables of its own")
    files = re.findall(r"`(src/[\w/]+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert len(files) == text.count("```python") == 2
    for path, code in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "src")
    plugin = importlib.import_module("clinic_calls.plugin")

    class Contract(PluginContract):
        name = "calls"

        def database_url(self, folder):
            return None if database_url.startswith("sqlite") else database_url

    Contract.plugin = plugin
    Contract().test_redelivery_after_a_restart_changes_nothing(tmp_path / "clinic")
    with Contract().opened(tmp_path / "clinic") as clinic:
        number, at = plugin.latest_call(clinic.context("calls"))
        assert (number, at.utcoffset()) == ("B-001", timedelta())
    Contract().test_migrations_go_up_and_down(tmp_path / "clinic")
    for name in [name for name in sys.modules if name.startswith("clinic_calls")]:
        del sys.modules[name]


@pytest.fixture
def clinic_with(sqlite_url, tmp_path):
    """Opens a clinic with these plugins, by name."""
    opened = []

    def open_clinic(**plugins):
        clinic = make_clinic(make_config(sqlite_url, tmp_path), plugins=plugins.items())
        opened.append(clinic)
        return clinic

    yield open_clinic
    for clinic in opened:
        clinic.close()


def page(name: str) -> str:
    """Read a page of the documentation."""
    return (DOCS / f"{name}.md").read_text()


def test_tests_named_in_the_security_page_exist():
    """The checklist names no test that is not there."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    written = {
        name
        for folder in (ROOT / "tests", *ROOT.glob("plugins/*/tests"))
        for file in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named <= written


def test_times_of_plugins_are_what_the_code_gives_them():
    page = (DOCS / "hooks.md").read_text("utf-8").partition("## How long each may take")[2]
    told = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE))
    seconds = {
        "the plugin's import": loading.IMPORT_DEADLINE_S,
        "what a plugin brings (`register_…`)": asking.REGISTRATION_DEADLINE_S,
        "an announcer": providers.SPEAK_DEADLINE_S,
    }
    busy = {
        "a fact": (dispatch.FACT_DEADLINE_S, dispatch.BUSY_S),
        "migrations of its tables": (lives.MIGRATION_DEADLINE_S, dispatch.LIFE_BUSY_S),
        "`startup`": (lives.STARTUP_DEADLINE_S, dispatch.STARTUP_BUSY_S),
        "`shutdown`": (lives.SHUTDOWN_DEADLINE_S, dispatch.LIFE_BUSY_S),
        "a page or a panel": (plugin_screens.PAGE_DEADLINE_S, plugin_screens.PAGE_BUSY_S),
        "a health check": (plugin_health.CHECK_DEADLINE_S, dispatch.BUSY_S),
        "a printer": (providers.PRINT_DEADLINE_S, dispatch.BUSY_S),
        "a simulator": (simulators.START_DEADLINE_S, dispatch.LIFE_BUSY_S),
    }
    limits = {
        **{what: f"{limit:.0f} s" for what, limit in seconds.items()},
        **{
            what: f"{limit:.0f} s, of which {computing:.0f} s may be computing"
            for what, (limit, computing) in busy.items()
        },
        "a decision, a veto": f"{dispatch.DEADLINE_S * 1000:.0f} ms",
    }
    assert told == {"What": "Time", **limits}
