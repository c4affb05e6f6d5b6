"""
Every hook that is asked once in the life of a process, and every way to go wrong in it.

Tickets issued equal requests, and the line is called to its end.
"""

import inspect
import logging

import pytest

from faults.misbehaving import WAYS, faulty, life
from puskesmas_queue import hookspecs, plugin_config
from puskesmas_queue.app import make_app
from puskesmas_queue.hookspecs import PROJECT
from puskesmas_queue.plugin_host import asking, contributions
from puskesmas_queue.services import calling
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.workers import plugins as lives
from puskesmas_queue.workers.outbox import Outbox
from support.clinics import make_clinic, make_config
from support.desk import STAFF, open_all, take
from support.waiting import until

# What is raised while a faulty thread collects garbage, Python can only print.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HOOKS = [
    name
    for group in (hookspecs.RegistrationHooks, hookspecs.LifeHooks)
    for name, member in inspect.getmembers(group, inspect.isfunction)
    if hasattr(member, f"{PROJECT}_spec")
]
"""By inspection, so that a new hook is among them."""
SHORT_S, PATIENT_S = 0.3, 20.0
"""How long what never ends by itself is waited for, and what does."""
WAIT_S = 60
REQUESTS = "PAAP"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_goes_wrong(sqlite_url, clock, tmp_path, caplog, monkeypatch, hook, name):
    """The fault is stored with its plugin and hook, and is in the log once."""
    deadline_s = SHORT_S if WAYS[name].is_endless else PATIENT_S
    for module in (asking, contributions, plugin_config):
        monkeypatch.setattr(module, "REGISTRATION_DEADLINE_S", deadline_s, raising=False)
    monkeypatch.setattr(asking.ask_plugin, "__defaults__", (deadline_s,))
    for limit in ("STARTUP_DEADLINE_S", "SHUTDOWN_DEADLINE_S"):
        monkeypatch.setattr(lives, limit, deadline_s)
    with life() as shared:
        guest = faulty(WAYS[name], shared, hook)
        clinic = make_clinic(make_config(sqlite_url, tmp_path), clock, plugins=[("guest", guest)])
        life_of_plugins = lives.PluginLives(clinic, Outbox(clinic))
        make_app(clinic)
        life_of_plugins.start()

        issued = take(clinic, REQUESTS)
        open_all(clinic, 1)
        called = []
        while (ticket := calling.call_next(clinic, 1, STAFF)) is not None:
            calling.serve(clinic, ticket.id, STAFF, 1)
            called.append(ticket.number)

        clinic.contributions.ask("guest")
        is_seen = WAYS[name].kind is not None and not (
            # Nobody looks at what is answered to these.
            WAYS[name].kind == "nonsense" and hook in ("startup", "shutdown")
        )
        if hook == "startup":
            # It has a thread of its own, for which nobody waits.
            until(lambda: shared.called > 0)
            until(lambda: not is_seen or plugin_faults(clinic) != [])
        if hook == "register_commands":
            clinic.contributions.command("guest")
        life_of_plugins.stop()
        clinic.faults.flush(WAIT_S)
        faults = {(row.plugin, row.hook) for row in plugin_faults(clinic)}
        clinic.close()

    assert len(issued) == len(REQUESTS)
    assert sorted(called) == sorted(one.number for one in issued)
    assert shared.called > 0
    assert faults == ({("guest", hook)} if is_seen else set())
    told = [row for row in caplog.records if row.levelno >= logging.ERROR]
    assert len(told) == len(faults), [row.getMessage() for row in told]
