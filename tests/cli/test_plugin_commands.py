"""Commands and simulators that plugins bring."""

import os
import signal
import sys
import threading
from pathlib import Path

import httpx2 as httpx
import pytest

from puskesmas_queue.cli.config_file import with_active
from puskesmas_queue.cli.demo_plugins import simulating
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.services import simulators
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.settings import load_config
from support.distributions import shelf_on_path
from support.server import running

URL = "http://127.0.0.1:1"
COMMANDS = """
import click
from puskesmas_queue.hookspecs import hookimpl

@click.group()
def rooms():
    "What rooms there are."

@rooms.command()
@click.pass_obj
def count(ctx):
    click.echo(f"two at {ctx.clinic_name}")

@hookimpl
def register_commands(ctx):
    return rooms
"""
SIMULATORS = """
import threading
from pydantic import BaseModel
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from puskesmas_queue.extensions import Simulator
from puskesmas_queue.hookspecs import hookimpl

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass

def start(folder, port):
    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop():
        server.shutdown()
        server.server_close()
        with open({path!r}, "w") as file:
            file.write(str(folder))

    url = f"http://127.0.0.1:{{server.server_port}}"
    return SimpleNamespace(url=url, stop=stop, settings={settings})

@hookimpl
def register_simulators(ctx):
    return [Simulator("cloud", start)]

class Settings(BaseModel):
    address: str = ""

@hookimpl
def register_settings():
    return Settings
"""


def simulator_code(path, settings="{}"):
    """Return the plugin's code; `settings` is what its simulator has of them."""
    return SIMULATORS.format(path=str(path), settings=settings)


@pytest.fixture
def shelf(tmp_path):
    with shelf_on_path(tmp_path / "shelf") as shelf:
        shelf.folder.mkdir()
        yield shelf


@pytest.fixture
def activate(config):
    def activate(*names: str) -> None:
        config.write_text(with_active(config.read_text(), names))

    return activate


def test_hook_register_commands(run, config, shelf, activate):
    """The plugin's name is a command; its object is the plugin's context."""
    shelf.install("rooms", COMMANDS)
    activate("rooms")

    answer = run("--config", config, "rooms", "count")

    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "two at Puskesmas Gladak Pakem\n"


def test_a_plugin_that_is_not_active_has_no_command(run, config, shelf):
    shelf.install("rooms", COMMANDS)

    answer = run("--config", config, "rooms", "count")

    assert answer.exit_code == 2
    assert "No such command 'rooms'" in answer.stderr


def test_without_a_clinic_it_says_where_to_name_it(run, config, shelf, activate):
    """`--config` behind the name comes too late: nobody knows yet which plugins are active."""
    shelf.install("rooms", COMMANDS)
    activate("rooms")

    answer = run("rooms", "count", "--config", config)

    assert answer.exit_code == 2
    assert "puskesmas-queue --config FILE rooms" in answer.stderr
    assert "FILE" not in run("--config", config, "romms").stderr


def test_a_plugin_without_commands_says_so(run, refused, config, shelf, activate):
    shelf.install("quiet")
    activate("quiet")

    refused(run("--config", config, "quiet"), "has no commands", "plugin doctor quiet")


def test_a_broken_plugin_says_why(run, refused, config, shelf, activate):
    shelf.install("rooms", "1/0")
    activate("rooms")

    refused(run("--config", config, "rooms", "count"), "cannot be used", "ZeroDivisionError")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_hook_register_simulators(run, config, shelf, activate, tmp_path, monkeypatch):
    """A real server until it is told to stop; then it is stopped and its folder is gone."""
    ended = tmp_path / "ended"
    shelf.install("weather", simulator_code(ended))
    activate("weather")
    monkeypatch.setenv("PYTHONPATH", str(shelf.folder), prepend=os.pathsep)
    command = ("simulate", "--config", config, "cloud")

    assert "cloud" in run("simulate", "--config", config, "--help").stdout
    with running(*command, folder=tmp_path) as simulator:
        assert httpx.get(simulator.url, timeout=30).status_code == 204
        simulator.process.send_signal(signal.SIGTERM)
        assert simulator.process.wait(20) == 0
    assert not Path(ended.read_text()).exists()


def test_a_simulator_whose_port_is_taken(
    run, refused, config, shelf, activate, tmp_path, monkeypatch
):
    shelf.install("weather", simulator_code(tmp_path / "ended"))
    activate("weather")
    monkeypatch.setenv("PYTHONPATH", str(shelf.folder), prepend=os.pathsep)
    with running("simulate", "--config", config, "cloud", folder=tmp_path) as simulator:
        port = simulator.url.rpartition(":")[2]

        answer = run("simulate", "--config", config, "cloud", "--port", port)

    refused(answer, "simulator cloud did not start")


def test_an_unknown_simulator(run, config):
    answer = run("simulate", "--config", config, "cloud")

    assert answer.exit_code == 2
    assert "No such command 'cloud'" in answer.stderr


BAD_SIMULATORS = """
import threading
from puskesmas_queue.extensions import Simulator
from puskesmas_queue.hookspecs import hookimpl

go_on = threading.Event()

class Odd:
    url = "http://127.0.0.1:9"
    settings = {"address": 9}

    def stop(self):
        pass

def fail(folder, port):
    raise OSError("no cable")

def leave(folder, port):
    raise SystemExit(3)

def hang(folder, port):
    go_on.wait(60)

@hookimpl
def register_simulators(ctx):
    return [
        Simulator("failing", fail),
        Simulator("leaving", leave),
        Simulator("empty", lambda folder, port: None),
        Simulator("odd", lambda folder, port: Odd()),
        Simulator("hanging", hang),
    ]
"""


def test_a_demo_begins_whatever_its_simulators_do(
    config, shelf, activate, tmp_path, monkeypatch, capfd
):
    """Those that start are named, the others are left out with one line."""
    shelf.install("broken", BAD_SIMULATORS)
    shelf.install("weather", simulator_code(tmp_path / "ended"))
    activate("broken", "weather")
    # Long enough for the one that starts, on a busy machine too.
    monkeypatch.setattr(simulators, "START_DEADLINE_S", 4.0)

    with simulating(load_config(config)) as urls:
        sys.modules["puskesmas_queue_broken"].go_on.set()
        assert list(urls) == ["cloud"]
        assert httpx.get(urls["cloud"], timeout=30).status_code == 204

    assert (tmp_path / "ended").exists()
    told = capfd.readouterr().err
    for name in ("failing", "leaving", "empty", "odd", "hanging"):
        assert f"simulator {name} did not start" in told


def test_a_demo_lets_plugins_use_their_simulators(config, shelf, activate, tmp_path, capfd):
    """The settings that a simulator tells are stored at each start; what cannot be is named."""
    told = '{"address": url, "gone": "x"}'
    shelf.install("weather", simulator_code(tmp_path / "ended", told))
    activate("weather")
    for _ in range(2):
        with simulating(load_config(config)) as urls:
            clinic = open_clinic(load_config(config))
            try:
                assert clinic.configs.get("weather").address == urls["cloud"]
            finally:
                clinic.close()
        assert "simulator cloud is not used: gone: " in capfd.readouterr().err


def test_two_simulators_of_one_name(config, shelf, activate, tmp_path):
    """The first keeps it; the second plugin is named."""
    for name in ("weather", "wind"):
        shelf.install(name, simulator_code(tmp_path / name))
    activate("weather", "wind")
    clinic = open_clinic(load_config(config))
    try:
        found = simulators.simulators(clinic)
        clinic.faults.flush(10)
        (row,) = plugin_faults(clinic)
        first, second = clinic.plugins.names
    finally:
        clinic.close()

    assert found["cloud"][0] == first
    assert (row.plugin, row.detail) == (second, f"cloud: {first} has a simulator of this name")


def test_a_simulator_that_stops_badly_holds_up_nobody(monkeypatch, caplog):
    go_on = threading.Event()

    with monkeypatch.context() as hasty:
        hasty.setattr(simulators, "STOP_DEADLINE_S", 0.1)
        simulators.Running("slow", "weather", URL, lambda: go_on.wait(60), {}).end()
    # It is left behind: it waits for this.
    go_on.set()
    simulators.Running("odd", "weather", URL, lambda: 1 / 0, {}).end()

    told = [row for row in caplog.records if row.name == simulators.log.name]
    assert [row.getMessage().split(":")[0] for row in told] == [
        "simulator slow did not stop",
        "simulator odd stopped badly",
    ]
