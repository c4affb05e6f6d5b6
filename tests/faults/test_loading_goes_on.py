"""A plugin that cannot be loaded: the clinic starts without it, issues and calls."""

import logging
from dataclasses import replace
from functools import partial

import pytest

from puskesmas_queue import clinic as clinics
from puskesmas_queue.plugin_host.registry import load_plugins
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.settings import PluginsConfig
from support.clinics import make_clinic, make_config
from support.desk import STAFF, open_all, take
from support.distributions import DECIDING, shelf_on_path

HEAD = "import threading, time\n"
BLOCKED = {
    "sleeps": "time.sleep(5)",
    "spins": "while True:\n    pass",
    "waits in a lock": "lock = threading.Lock()\nwith lock:\n    lock.acquire(timeout=5)",
}


@pytest.fixture
def shelf(tmp_path):
    """Takes distributions that this test installs."""
    with shelf_on_path(tmp_path) as shelf:
        yield shelf


@pytest.fixture
def opened(sqlite_url, clock, tmp_path, monkeypatch):
    """Open a clinic that shall use `bad` and `good`, and that does not wait long for them."""
    monkeypatch.setattr(clinics, "load_plugins", partial(load_plugins, deadline_s=1.0))
    opened = []

    def open_one():
        config = replace(make_config(sqlite_url, tmp_path), plugins=PluginsConfig(("bad", "good")))
        opened.append(make_clinic(config, clock))
        opened[0].hooks._deadline_s = 20.0
        return opened[0]

    yield open_one
    opened[0].close()


def check(clinic, reason):
    """Tickets come with the numbers of the plugin that is good, and are called to the end."""
    status = clinic.plugins.status("bad")
    assert status.state == "disabled"
    assert reason in status.reason
    issued = [ticket.number for ticket in take(clinic, "PAAP")]
    assert issued == ["P1", "A1", "A2", "P2"]
    open_all(clinic, 1)
    called = []
    while (ticket := call_next(clinic, 1, STAFF)) is not None:
        called.append(serve(clinic, ticket.id, STAFF, 1).number)
    assert sorted(called) == sorted(issued)


@pytest.mark.parametrize("how", BLOCKED)
def test_an_import_that_blocks(shelf, opened, how):
    shelf.install("good", DECIDING)
    # A module of its own: what is left behind keeps the lock of its import.
    shelf.install("bad", HEAD + BLOCKED[how], distribution=f"bad-{how.replace(' ', '-')}")

    check(opened(), "import did not finish in 1 s")


def test_a_plugin_that_silences_the_log(shelf, opened):
    """As `logging.config.dictConfig` does with every logger that it is not told of."""
    name = "puskesmas_queue.plugin_host.dispatch"
    shelf.install(
        "good", f"import logging\nlogging.getLogger({name!r}).disabled = True\n{DECIDING}"
    )

    assert opened().plugins.status("good").state == "active"
    assert not logging.getLogger(name).disabled


def test_a_plugin_that_is_half_installed(shelf, opened):
    shelf.install("good", DECIDING)
    (shelf.install("bad", DECIDING) / "METADATA").unlink()

    check(opened(), "is only half installed")


def test_a_plugin_whose_module_is_missing(shelf, opened):
    shelf.install("good", DECIDING)
    shelf.install("bad", target="puskesmas_queue_nowhere")

    check(opened(), "import raised ModuleNotFoundError")


def test_a_plugin_whose_requirement_is_missing(shelf, opened):
    shelf.install("good", DECIDING)
    shelf.install("bad", DECIDING, requires=["nowhere-to-be-found>=2"])

    check(opened(), "which is not installed")
