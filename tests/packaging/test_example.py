"""The example plugins' wheels beside the core's, in a clean environment and in a real browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from browser.hall import Hall
from support.chromium import Pages
from support.server import Server, running
from support.wheels import ROOT, build, clean_environment, environment

NAME = "family_units"
FILES = {
    "day_journal": {
        "locale/en/LC_MESSAGES/messages.po",
        "migrations/versions/0001_journal.py",
        "py.typed",
        "static/style.css",
        "templates/journal.html",
    },
    "family_units": {
        "locale/en/LC_MESSAGES/messages.po",
        "migrations/versions/0001_calls.py",
        "py.typed",
        "templates/panel.html",
    },
}
"""Each example, and what no import of it asks for."""

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a clean environment with all wheels, and what a plugin is tested with."""
    examples = [build(ROOT / "examples" / name, tmp_path_factory.mktemp(name)) for name in FILES]
    folder = tmp_path_factory.mktemp("environment")
    return environment(folder, f"{wheel}[testing]", *examples)


def test_every_example_is_among_them():
    """A folder with a distribution is built, installed and tested here."""
    assert sorted(FILES) == sorted(
        file.parent.name for file in ROOT.glob("examples/*/pyproject.toml")
    )


@pytest.mark.parametrize("name", FILES)
def test_the_wheel_holds_what_no_import_asks_for(scripts, name):
    """Templates, catalogues and migrations are there all the same."""
    package = next(scripts.parent.rglob(f"site-packages/puskesmas_queue_{name}"))
    there = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert there >= FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_its_own_tests_pass_on_the_wheels(scripts, tmp_path, name):
    """The contract and the rest, with nothing of the source folder in reach but its tests."""
    tests = tmp_path / "tests"
    tests.mkdir()
    for file in (ROOT / "examples" / name / "tests").glob("*.py"):
        (tests / file.name).write_text(file.read_text())
    done = subprocess.run(
        [scripts / "python", "-m", "pytest", "-q", "--import-mode=importlib", tests],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert re.search(r"\d\d passed", done.stdout)


@pytest.fixture
def demo(scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A demo of the clean environment in which the plugin is enabled."""
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    folder = tmp_path / "demo"
    with running("demo", "--no-plugins", "--json", "--port", 0, "--dir", folder, folder=tmp_path):
        pass
    for command in (["plugin", "enable", NAME], ["db", "check"]):
        subprocess.run(
            [scripts / "puskesmas-queue", *command, "--config", folder / "puskesmas.toml"],
            check=True,
            env=clean_environment(),
        )
    with running(
        "demo", "--no-plugins", "--json", "--port", 0, "--dir", folder, folder=tmp_path
    ) as server:
        yield server


@pytest.mark.browser
def test_a_call_reaches_the_webhook_and_the_counter_sees_it(demo: Server, pages: Pages, scripts):
    """An administrator sets it up; a number is taken, called and reported."""
    hall = Hall(demo, pages)
    webhook = demo.told["simulators"]["webhook"]
    admin = pages.open(f"{demo.url}/admin/plugins/{NAME}")
    login = demo.login("admin")
    admin.fill("[name=username]", login["username"])
    admin.fill("[name=password]", login["password"])
    admin.keyboard.press("Enter")
    admin.get_by_label("Alamat webhook").fill(webhook)
    admin.get_by_label("Izinkan alamat di jaringan sendiri").check()
    admin.get_by_role("button", name="Simpan pengaturan").click()
    expect(admin.get_by_role("status")).to_contain_text("tersimpan")

    tv = hall.tv()
    desk = hall.counter(1, "siti")
    assert hall.arrive("general", unit="kia") == ["KIA-001"]
    desk.keyboard.press("F2")

    expect(desk.locator("#lk-desk")).to_contain_text("KIA-001")
    expect(desk.get_by_role("region", name="Laporan panggilan")).to_contain_text("Dilaporkan pukul")
    expect(tv.locator("body")).to_contain_text("KIA-001")
    (told,) = httpx.get(webhook, timeout=10).json()
    assert (told["number"], told["counter"]) == ("KIA-001", 1)
    desk.get_by_role("link", name="Laporan panggilan").click()
    expect(desk.locator("table")).to_contain_text("KIA-001")
    listed = subprocess.run(
        [scripts / "puskesmas-queue", "--config", demo.told["config"], NAME, "calls"],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    assert "KIA-001  counter 1" in listed.stdout
