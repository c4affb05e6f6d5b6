"""The official plugins' wheels beside the core's in a clean environment: used, and taken away."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from support.server import Server, running
from support.wheels import ROOT, build, clean_environment, environment, pip

PLUGINS = {"escpos_printer": "escpos", "tts": "tts"}
"""Each folder below `plugins/`, which is the plugin's name too, and what it brings."""
ORDERS = {"escpos_printer": "kiosk.printers", "tts": "display.announcers"}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The plugins' wheels by name."""
    return {name: build(ROOT / "plugins" / name, tmp_path_factory.mktemp(name)) for name in PLUGINS}


@pytest.fixture(scope="module")
def scripts(wheel: Path, wheels: dict[str, Path], tmp_path_factory) -> Path:
    """The commands of a clean environment with all three, as requirements.txt has them."""
    voice = f"{wheels['tts']}[espeak]"
    return environment(tmp_path_factory.mktemp("all"), wheel, wheels["escpos_printer"], voice)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demo of this test lives."""
    return tmp_path / "demo"


@pytest.fixture
def demo(scripts: Path, folder: Path, tmp_path: Path, monkeypatch) -> Iterator:
    """Starts the clean environment's demo; its plugins are those that were enabled."""
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    start = ("demo", "--no-plugins", "--json", "--port", 0, "--dir", folder)
    return lambda: running(*start, folder=tmp_path)


def run(scripts: Path, *arguments: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of the clean environment on that demo."""
    return subprocess.run(
        [scripts / "puskesmas-queue", *map(str, arguments), "--config", folder / "puskesmas.toml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=clean_environment(),
    )


def enable_all(scripts: Path, folder: Path) -> None:
    """Use both plugins, each before the browser."""
    for name, provider in PLUGINS.items():
        for words in (["plugin", "enable", name], ["settings", "set", ORDERS[name]]):
            more = [f"{provider}, browser"] if words[0] == "settings" else []
            done = run(scripts, *words, *more, folder=folder)
            assert done.returncode == 0, done.stderr


def print_slip(server: Server) -> str:
    """Take a number at the kiosk and have its slip printed; returns how that fared."""
    form = {"unit": "kia", "lane": "general", "payment": "umum", "f": secrets.token_urlsafe(16)}
    with httpx.Client(base_url=server.url, headers=SAME_ORIGIN, timeout=30) as kiosk:
        answer = kiosk.post("/kiosk/tickets", data=form)
        assert answer.status_code == 303
        path = answer.headers["location"].partition("?")[0]
        told = kiosk.post(f"{path}/print", data={"job": f"first-print-{path[-8:]}"}).json()
    return str(told["state"])


def print_until(server: Server, state: str) -> None:
    """Print until it fares so: a plugin's tables are made while the hall already works."""
    until = time.monotonic() + 90
    while (found := print_slip(server)) != state:
        assert time.monotonic() < until, found
        time.sleep(0.5)


def call(server: Server) -> str:
    """Call the next number at counter 1; returns it."""
    login = server.login("petugas_loket")
    form = {"username": login["username"], "password": login["password"]}
    with httpx.Client(
        base_url=server.url, headers=SAME_ORIGIN, timeout=30, follow_redirects=True
    ) as desk:
        desk.post("/login", data=form)
        desk.post("/loket/open", data={"counter": "1"})
        desk.post("/loket/call-next")
    announced = httpx.get(f"{server.url}/demo/announced", timeout=30).json()["announced"]
    return str(announced[0]["number"])


def sound_of_newest_call(server: Server) -> dict:
    """Ask for the sound of call 1 as the TV does, until its voice has begun."""
    until = time.monotonic() + 90
    while True:
        told: dict = httpx.get(f"{server.url}/display/sound/1", timeout=30).json()
        if told["sound"] or time.monotonic() > until:
            return told
        time.sleep(0.5)


def test_every_plugin_is_among_them():
    """A folder with a distribution is built, installed and tested here."""
    assert sorted(PLUGINS) == sorted(
        file.parent.name for file in ROOT.glob("plugins/*/pyproject.toml")
    )


@pytest.mark.parametrize("name", PLUGINS)
def test_the_wheel_holds_every_file_of_the_package(scripts, name):
    """Templates, catalogues, migrations and fonts too; and it says that it is typed."""
    source = ROOT / "plugins" / name / "src"
    package = next(scripts.parent.rglob(f"site-packages/puskesmas_queue_{name}")).parent
    there = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert Path(f"puskesmas_queue_{name}/py.typed") in there
    assert [path for path in sorted(there) if not (package / path).is_file()] == []


def test_a_number_is_printed_and_spoken(scripts, folder, demo):
    """Enabled as the guide says: `plugin doctor` is content, the simulated printer has the slip."""
    with demo():
        pass
    enable_all(scripts, folder)
    with demo() as server:
        print_until(server, "printed")
        printer = httpx.get(f"{server.told['simulators']['printer']}/state", timeout=30).json()
        assert len(printer["slips"]) == 1
        assert call(server) == "C-001"
        assert sound_of_newest_call(server)["sound"]
        examined = run(scripts, "plugin", "doctor", "--json", folder=folder)
    told = {one["name"]: one for one in json.loads(examined.stdout)["plugins"]}
    assert {name: told[name]["state"] for name in PLUGINS} == dict.fromkeys(PLUGINS, "active")
    assert [one["faults"] for one in told.values()] == [[]] * len(told)


@pytest.mark.parametrize("name", PLUGINS)
def test_uninstalling_one_leaves_the_hall_working(scripts, folder, demo, wheels, name):
    """Numbers are given, printed or left to the page, called; `doctor` says what lacks."""
    with demo():
        pass
    enable_all(scripts, folder)
    distribution = f"puskesmas-queue-{name.replace('_', '-')}"
    pip(scripts / "python", "uninstall", "--yes", distribution)
    try:
        with demo() as server:
            print_until(server, "by_page" if name == "escpos_printer" else "printed")
            assert call(server) == "C-001"
            examined = run(scripts, "doctor", "--json", folder=folder)
    finally:
        pip(scripts / "python", "install", "--no-deps", wheels[name])
    assert examined.returncode == 1
    found = {one["name"]: one for one in json.loads(examined.stdout)["findings"]}
    assert found[f"plugin {name}"]["state"] == "wrong"
    assert found[f"plugin {name}"]["text"].startswith("missing: ")
    assert found[ORDERS[name]]["text"].startswith(f'nobody brings "{PLUGINS[name]}"')
    with demo() as server:
        print_until(server, "printed")
