"""`plugin`: list, enable, disable, doctor, new."""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from puskesmas_queue.cli.config_file import with_active
from puskesmas_queue.cli.new_plugin import core_range
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.plugin_host.loading import discover
from puskesmas_queue.plugin_host.outcomes import Fault
from puskesmas_queue.plugin_host.registry import load_plugins
from puskesmas_queue.settings import load_config
from puskesmas_queue.storage import faults, tables
from support.desk import rows_of
from support.distributions import DECIDING, GOOD, shelf_on_path

pytestmark = pytest.mark.usefixtures("no_official_plugins")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shelf(tmp_path):
    """Takes distributions that this test installs."""
    with shelf_on_path(tmp_path / "shelf") as shelf:
        shelf.folder.mkdir()
        yield shelf


@pytest.fixture
def activate(config):
    """Writes names into the file without asking whether they can be used."""

    def activate(*names: str) -> None:
        config.write_text(with_active(config.read_text(), names))

    return activate


@pytest.fixture
def switch_off(config):
    """Counts a fault of a plugin's decision that ran out of time."""

    def switch_off(name: str) -> None:
        opened = open_clinic(load_config(config))
        try:
            fault = Fault(name, "estimate_wait", "overran", "no answer", is_switched_off=True)
            opened.db.write(lambda tx: faults.count(tx, [fault]))
        finally:
            opened.close()

    return switch_off


def active(config) -> tuple[str, ...]:
    """Read which plugins the file names."""
    return load_config(config, {}).plugins.active


# List


def test_list_shows_every_plugin_with_its_reason(run, config, shelf, activate):
    shelf.install("good", version="1.2")
    shelf.install("spare")
    shelf.install("broken", "print('loud')\n1/0")
    activate("good", "broken", "gone")

    answer = run("plugin", "list", "--config", config, "--json")

    told = {row["name"]: row for row in json.loads(answer.stdout)}
    assert {name: row["state"] for name, row in told.items()} == {
        "broken": "disabled",
        "gone": "missing",
        "good": "active",
        "spare": "available",
    }
    assert told["good"] == {
        "name": "good",
        "distribution": "puskesmas-queue-good",
        "version": "1.2",
        "state": "active",
        "reason": None,
        "is_switched_off": False,
    }
    lines = run("plugin", "list", "--config", config).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["broken", "disabled"],
        ["gone", "missing"],
        ["good", "active"],
        ["spare", "available"],
    ]
    assert "import raised ZeroDivisionError: division by zero" in lines[0]


def test_list_without_any(run, config, shelf):
    assert run("plugin", "list", "--config", config).stdout == "no plugin is installed\n"


# Enable, disable


def test_enable_and_disable_again_and_again(run, config, shelf):
    shelf.install("good", version="1.2")
    shelf.install("more")

    first = run("plugin", "enable", "good", "--config", config)
    again = run("plugin", "enable", "good", "--config", config)
    run("plugin", "enable", "more", "--config", config)

    assert first.stdout == "good 1.2 is enabled: restart the server to make it so\n"
    assert again.exit_code == 0
    assert again.stdout.startswith("good 1.2 is enabled already; ")
    assert active(config) == ("good", "more")

    first = run("plugin", "disable", "good", "--config", config)
    again = run("plugin", "disable", "good", "--config", config)

    assert first.stdout == "good is disabled: restart the server to make it so\n"
    assert (again.exit_code, again.stdout) == (0, "good is disabled already\n")
    assert active(config) == ("more",)


def test_the_file_stays_as_somebody_wrote_it(run, config, shelf):
    shelf.install("good")
    written = config.read_text() + (
        "\n# Ours:\n[plugins]\nactive = [\n"
        '  "more", # asked for by loket 1\n  # the old one\n  "old",\n]  # end\n'
    )
    config.write_text(written)
    config.chmod(0o640)

    run("plugin", "enable", "good", "--config", config)
    enabled = config.read_text()
    run("plugin", "disable", "good", "--config", config)

    assert tomllib.loads(enabled)["plugins"]["active"] == ["more", "old", "good"]
    assert active(config) == ("more", "old")
    for text in (enabled, config.read_text()):
        assert [line for line in written.splitlines() if "#" in line or "=" in line] == [
            line for line in text.splitlines() if "#" in line or "=" in line
        ]
    assert stat.S_IMODE(config.stat().st_mode) == 0o640 or sys.platform == "win32"
    assert {path.name for path in config.parent.iterdir()} == {
        "data",
        "puskesmas.toml",
        "secret.key",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[server]\nport = 1",
        "plugins.active = []\n[server]\nport = 1\n",
        'plugins = {active = ["more"]}\n',
        "[plugins]\n",
        '[plugins]\nactive = "more, old"\n',
        '[plugins]\r\nactive = ["more"] # x\r\n',
        '[plugins]\nactive = ["more", "more"]\n',
    ],
)
def test_however_the_names_are_written(text):
    names = tomllib.loads(text).get("plugins", {}).get("active", [])
    kept = names if isinstance(names, list) else ["more", "old"]

    longer = with_active(text, [*kept, "good"])

    assert tomllib.loads(longer)["plugins"]["active"] == [*kept, "good"] or "," in text
    assert tomllib.loads(with_active(longer, []))["plugins"]["active"] == []
    for line in text.splitlines():
        assert "active" in line or line in longer.splitlines()


def test_a_link_to_the_file_stays_a_link(run, config, shelf, tmp_path):
    shelf.install("good")
    link = tmp_path / "linked.toml"
    link.symlink_to(config)

    # Relative paths start at the link.
    (tmp_path / "data").symlink_to(config.parent / "data")
    assert run("plugin", "enable", "good", "--config", link).exit_code == 0

    assert link.is_symlink()
    assert active(config) == ("good",)


@pytest.mark.parametrize(
    ("code", "requires", "words"),
    [
        ("1/0", (), "import raised ZeroDivisionError"),
        (GOOD, ["puskesmas-queue>=99"], "it needs puskesmas-queue >=99, but this is"),
        (GOOD, ["nowhere-to-be-found"], "it needs nowhere-to-be-found, which is not installed"),
    ],
)
def test_what_cannot_be_used_is_not_enabled(code, requires, words, run, refused, config, shelf):
    shelf.install("broken", code, requires=requires)

    refused(run("plugin", "enable", "broken", "--config", config), "plugin broken", words)

    assert active(config) == ()


def test_what_broke_later_is_refused_too(run, refused, config, shelf, activate):
    shelf.install("broken", "1/0")
    activate("broken")

    refused(run("plugin", "enable", "broken", "--config", config), "ZeroDivisionError")
    assert run("plugin", "disable", "broken", "--config", config).exit_code == 0
    assert active(config) == ()


def test_what_is_not_installed(run, refused, config, shelf, activate):
    shelf.install("printer")

    for command in ("enable", "disable", "doctor"):
        answer = run("plugin", command, "prinetr", "--config", config)
        refused(answer, "prinetr", "not installed", '"printer"')
    activate("gone")
    assert run("plugin", "disable", "gone", "--config", config).exit_code == 0
    assert active(config) == ()


def test_the_environment_wins_and_is_said_to(run, refused, config, shelf, monkeypatch):
    shelf.install("good")
    monkeypatch.setenv("PUSKESMAS__PLUGINS__ACTIVE", "gone")
    before = config.read_text()

    for command, name in (("enable", "good"), ("disable", "gone")):
        answer = run("plugin", command, name, "--config", config)
        refused(answer, "PUSKESMAS__PLUGINS__ACTIVE")
    assert config.read_text() == before


def test_a_file_that_cannot_be_written(run, refused, config, shelf, monkeypatch):
    shelf.install("good")
    before = config.read_text()

    def no_space(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    answer = run("plugin", "enable", "good", "--config", config)

    refused(answer, "No space left on device")
    assert config.read_text() == before
    assert {path.name for path in config.parent.iterdir()} == {
        "data",
        "puskesmas.toml",
        "secret.key",
    }


def test_enable_lets_it_decide_again(run, config, shelf, switch_off):
    shelf.install("good", DECIDING)
    run("plugin", "enable", "good", "--config", config)
    switch_off("good")

    answer = run("plugin", "enable", "good", "--config", config)
    again = run("plugin", "enable", "good", "--config", config)

    assert answer.stdout == "good 1.0 is enabled again: restart the server to make it so\n"
    assert again.stdout.startswith("good 1.0 is enabled already; ")
    opened = open_clinic(load_config(config))
    try:
        assert opened.hooks.switched_off == set()
        assert opened.db.read(faults.load) == []
        audited = [row for row in rows_of(opened, tables.audit) if row.action == "switch_on_plugin"]
        assert [row.record_id for row in audited] == ["good"]
    finally:
        opened.close()


# Doctor


def test_doctor_of_a_plugin_that_is_well(run, config, shelf, activate):
    shelf.install("good")
    shelf.install("spare", "raise SystemExit")
    activate("good")

    answer = run("plugin", "doctor", "--config", config, "--json")

    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    good, spare = told["plugins"]
    assert (good["hooks"], good["faults"], good["deliveries"]) == (["ticket_called"], [], {})
    assert (spare["state"], spare["hooks"]) == ("available", [])
    assert told["database"] == "ok"
    text = run("plugin", "doctor", "--config", config).stdout
    assert "  hooks       ticket_called\n" in text


def test_doctor_of_one_that_is_broken(run, config, shelf, activate):
    shelf.install("good")
    shelf.install("broken", "1/0")
    activate("good", "broken")

    assert run("plugin", "doctor", "--config", config).exit_code == 1
    assert run("plugin", "doctor", "broken", "--config", config).exit_code == 1
    answer = run("plugin", "doctor", "good", "--config", config)
    assert answer.exit_code == 0
    assert "broken" not in answer.stdout


def test_doctor_of_one_that_is_not_active_says_whether_it_could_be(run, config, shelf):
    shelf.install("good")
    shelf.install("broken", "1/0")

    answer = run("plugin", "doctor", "good", "--config", config, "--json")

    assert answer.exit_code == 0
    (row,) = json.loads(answer.stdout)["plugins"]
    assert (row["state"], row["reason"], row["hooks"]) == ("available", None, ["ticket_called"])
    assert run("plugin", "doctor", "--config", config).exit_code == 0
    answer = run("plugin", "doctor", "broken", "--config", config)
    assert answer.exit_code == 1
    assert "available" in answer.stdout
    assert "ZeroDivisionError" in answer.stdout


def test_doctor_of_one_whose_decisions_are_switched_off(run, config, shelf, activate, switch_off):
    shelf.install("good", DECIDING)
    switch_off("good")

    # What is not used needs nobody to look after it.
    assert run("plugin", "doctor", "--config", config).exit_code == 0
    activate("good")
    answer = run("plugin", "doctor", "--config", config)

    assert answer.exit_code == 1
    (line,) = [line for line in answer.stdout.splitlines() if "estimate_wait overran" in line]
    assert re.search(r"once, last [0-9-]{10} [0-9:]{5}: no answer; its decisions are sw", line)
    assert "plugin enable good" in answer.stdout
    assert "switched off" in run("plugin", "list", "--config", config).stdout
    told = json.loads(run("plugin", "doctor", "--config", config, "--json").stdout)
    (fault,) = told["plugins"][0]["faults"]
    assert (fault["hook"], fault["kind"], fault["count"]) == ("estimate_wait", "overran", 1)
    assert "plugin" not in fault


def test_doctor_counts_deliveries(run, config, shelf, activate, monkeypatch):
    shelf.install("good")
    activate("good")
    monkeypatch.setattr(
        "puskesmas_queue.services.facts.delivery_counts",
        lambda clinic: {("good", "open"): 3, ("good", "dead"): 1, ("other", "dead"): 9},
    )

    answer = run("plugin", "doctor", "--config", config)

    assert "  deliveries  1 dead, 3 open\n" in answer.stdout


def test_doctor_without_a_database_still_tells_of_plugins(run, config, shelf, clinic_folder):
    shelf.install("good")
    (clinic_folder / "data/puskesmas.db").unlink()

    answer = run("plugin", "doctor", "--config", config)

    assert answer.exit_code == 1
    assert "good" in answer.stdout
    assert "no database at" in answer.stdout
    assert run("plugin", "doctor", "--config", config, "--json").exit_code == 1


def test_the_doctor_of_the_clinic_names_disabled_plugins(run, config, shelf, activate):
    shelf.install("good")
    shelf.install("spare")
    shelf.install("broken", "print('loud')\n1/0")
    activate("good", "broken", "gone")

    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 1
    found = {
        row["name"]: (row["state"], row["text"])
        for row in json.loads(answer.stdout)["findings"]
        if row["name"].startswith("plugin ")
    }
    assert found == {
        "plugin broken": (
            "wrong",
            "disabled: import raised ZeroDivisionError: division by zero "
            "(puskesmas_queue_broken.py:2)",
        ),
        "plugin gone": ("wrong", "missing: it is not installed"),
        "plugin good": ("ok", "puskesmas-queue-good 1.0 is active"),
    }


# New


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory):
    """What mypy knows of the core: it is looked through once."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["abc", "family_numbers", "a" + "_b" * 19 + "c"])
def test_a_new_plugin_passes_every_check_at_once(name, run, tmp_path, mypy_cache):
    answer = run("plugin", "new", name, "--dir", tmp_path / "deep/below")

    assert answer.exit_code == 0, answer.output
    made = tmp_path / f"deep/below/puskesmas-queue-{name.replace('_', '-')}"
    assert str(made) in answer.stdout
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    check(made, "ruff", "check", "--no-cache", ".")
    check(made, "ruff", "format", "--no-cache", "--check", ".")
    check(made, "pytest", "-q", "-p", "no:cacheprovider")
    check(made, "mypy", "--cache-dir", mypy_cache)


def test_a_new_plugin_is_loaded_and_works(run, tmp_path, monkeypatch, shelf):
    run("plugin", "new", "family_numbers")
    made = tmp_path / "puskesmas-queue-family-numbers"
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    (point,) = project["entry-points"]["puskesmas_queue.plugins"].items()
    monkeypatch.syspath_prepend(made / "src")
    shelf.install(
        point[0],
        distribution=project["name"],
        target=point[1],
        version=project["version"],
        requires=project["dependencies"],
        below="info",
    )
    for module in (shelf.folder / "info").glob("*.py"):
        module.unlink()

    (found,) = discover()
    plugins = load_plugins(["family_numbers"], ())

    assert (found.problems, found.distribution) == ((), "puskesmas-queue-family-numbers")
    assert plugins.listens("family_numbers", "ticket_called")
    assert "puskesmas_queue_family_numbers.plugin" in sys.modules


def test_the_readme_of_a_new_plugin_holds_a_decision_that_works(run, tmp_path):
    run("plugin", "new", "family_numbers")
    readme = (tmp_path / "puskesmas-queue-family-numbers/README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict = {}

    exec(compile(code, "README.md", "exec"), names)

    assert names["format_ticket_number"]("A", 7) == "A0007"
    plugins = load_plugins([], (), [("family_numbers", type("Plugin", (), names)())])
    assert plugins.hooks("family_numbers") == ("format_ticket_number",)
    assert "$" not in readme


def test_a_new_plugin_cannot_be_anything(run, refused, tmp_path):
    (tmp_path / "puskesmas-queue-good").mkdir()
    (tmp_path / "file").touch()

    refused(run("plugin", "new", "good"), "puskesmas-queue-good exists already")
    refused(run("plugin", "new", "Good-one"), "Good-one", "3 to 40 small letters")
    refused(run("plugin", "new", "queue"), "by the core")
    assert run("plugin", "new", "fine", "--dir", tmp_path / "file").exit_code == 2
    refused(run("plugin", "new", "fine", "--dir", tmp_path / "file/below"), "cannot write")
    assert {path.name for path in tmp_path.iterdir()} == {"puskesmas-queue-good", "file"}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0.dev0", ">=0.1.0.dev0,<0.2"),
        ("0.9.3", ">=0.9.3,<0.10"),
        ("1.4.0", ">=1.4.0,<2"),
        ("2.0.0rc1+local", ">=2.0.0rc1,<3"),
    ],
)
def test_the_range_of_the_core_that_a_new_plugin_wants(version, expected):
    assert core_range(version) == expected


def check(folder: Path, *command: object) -> None:
    """Run a tool as the author of a plugin would, on this very core."""
    source = str(ROOT / "src")
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source, "MYPYPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
