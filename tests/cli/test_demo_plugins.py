"""A demo with the plugins that come with the product; `init` leaves them to the administrator."""

import json
import os

import httpx2 as httpx
import pytest

from puskesmas_queue.cli.demo_plugins import OFFICIAL
from puskesmas_queue.settings import load_config
from support.distributions import shelf_on_path
from support.server import run_command, running

BROKEN = "raise RuntimeError('no such library')\n"


def told(*arguments, config):
    """Return what a command of the clinic says."""
    done = run_command(*arguments, "--config", config)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def start(tmp_path):
    """What runs the demo of this test."""
    return ("demo", "--port", 0, "--json", "--dir", tmp_path / "demo")


def test_a_new_demo_speaks_and_prints(tmp_path, start):
    """Both plugins are active and come before the browser; the printer is the simulated one."""
    with running(*start, folder=tmp_path) as server:
        config = server.told["config"]
        states = json.loads(told("plugin", "list", "--json", config=config))
        assert {one["name"]: one["state"] for one in states if one["name"] != "extra"} == {
            one.plugin: "active" for one in OFFICIAL
        }
        for one in OFFICIAL:
            order = told("settings", "get", one.setting, config=config).strip()
            assert order == f"{one.provider}, browser"
        printer = server.told["simulators"]["printer"]
        assert httpx.get(printer, timeout=30).status_code == 200
        assert printer in httpx.get(server.pages["demo"], timeout=30).text
        (ticket,) = httpx.post(f"{server.url}/demo/arrivals", json={"count": 1}, timeout=30).json()[
            "numbers"
        ]
        listed = httpx.get(f"{server.url}/demo/printed", timeout=30).json()["printed"]
        assert listed[0]["number"] == ticket


def test_what_was_chosen_in_a_demo_stays(tmp_path, start):
    """The next start of the same demo neither enables plugins again nor changes orders."""
    with running(*start, folder=tmp_path) as first:
        config = first.told["config"]
    told("plugin", "disable", "tts", config=config)
    told("settings", "set", "kiosk.printers", "browser", config=config)
    with running(*start, folder=tmp_path):
        states = json.loads(told("plugin", "list", "--json", config=config))
        assert {one["name"]: one["state"] for one in states}["tts"] == "available"
        assert told("settings", "get", "kiosk.printers", config=config).strip() == "browser"


def test_a_broken_plugin_is_left_out(tmp_path, start):
    """It is named, and there is a demo with the other one."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with shelf_on_path(shelf) as plugins:
        # A second distribution of this name: neither can be used.
        plugins.install("tts", BROKEN, distribution="puskesmas-queue-tts-fork")
    env = {"PYTHONPATH": os.pathsep.join([str(shelf), os.environ.get("PYTHONPATH", "")])}
    with running(*start, folder=tmp_path, env=env) as server:
        assert httpx.get(server.pages["kiosk"], timeout=30).status_code == 200
        config = server.told["config"]
        order = told("settings", "get", "display.announcers", config=config).strip()
        assert order == "browser"
    assert "without plugin tts: " in (tmp_path / "server.log").read_text()
    assert 'active = ["escpos_printer"]' in (tmp_path / "demo/puskesmas.toml").read_text()


def test_init_leaves_them_to_the_administrator(run, tmp_path):
    """Installed is not enabled: it says how."""
    answer = run("init", "clinic")
    assert answer.exit_code == 0
    config = tmp_path / "clinic/puskesmas.toml"
    for one in OFFICIAL:
        assert f"puskesmas-queue plugin enable {one.plugin} --config {config}" in answer.stdout
        order = f'settings set {one.setting} "{one.provider}, browser" --config {config}'
        assert order in answer.stdout
    assert load_config(config, {}).plugins.active == ()
    assert told("settings", "get", "kiosk.printers", config=config).strip() == "browser"
