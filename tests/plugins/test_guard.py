"""Threads that run foreign code end wherever they are, and nothing is raised anywhere else."""

import sys
import threading
import time
from types import SimpleNamespace

import pytest

from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host import guard as guards
from puskesmas_queue.plugin_host.dispatch import MOST_STUCK
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.plugin_host.outcomes import PluginFailed
from puskesmas_queue.workers.outbox import OutboxWorker
from support.clinics import make_clinic, make_config
from support.desk import take
from support.waiting import until

PATIENCE_S = 30.0


@pytest.fixture
def said(monkeypatch):
    """Takes what threads say that ended by an exception, or while they were beginning or ending."""
    found = []
    monkeypatch.setattr(threading, "excepthook", found.append)
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


def test_one_that_is_told_again_while_it_leaves(monkeypatch, said):
    """Python's own code for threads runs then, which no exception may end half-way."""
    monkeypatch.setattr(guards, "AGAIN_S", (0.05,) * 400)
    gate, leaving = threading.Event(), []

    class Slow(Guard):
        def _close(self):
            leaving.append(1)
            ends = time.monotonic() + PATIENCE_S
            while len(leaving) == 1 and time.monotonic() < ends:
                time.sleep(0.01)
            super()._close()

    guard = Slow()
    with pytest.raises(NoAnswer):
        guard.call(gate.wait, 0.01)
    guard.end()
    gate.set()

    until(lambda: not guard.is_running)
    assert len(leaving) == 2
    assert said == []
    assert guard._thread not in threading.enumerate()


def test_one_that_had_no_turn_before_its_time_was_over_does_nothing(said):
    """Nothing is raised in it while it only begins, and what it was to do is not done too late."""
    turn, done = threading.Event(), []

    class Waiting(Guard):
        def _opens(self):
            turn.wait(PATIENCE_S)
            return super()._opens()

    guard = Waiting()
    with pytest.raises(NoAnswer, match="no end within") as late:
        guard.call(lambda: done.append(1), 0.01)
    guard.end()
    turn.set()

    until(lambda: not guard.is_running)
    assert (done, said) == ([], [])
    assert late.value.places == ()


def test_a_thread_with_the_number_of_one_that_is_gone_is_left_alone(said):
    """The system gives it to the next one that begins."""
    guard = Guard()
    number = guard._thread.ident
    guard.retire()
    until(lambda: not guard.is_running)
    over, ended = threading.Event(), []

    def innocent() -> None:
        while not over.wait(0.01):
            pass
        ended.append(threading.get_ident())

    others = []
    while number not in [thread.ident for thread in others]:
        assert len(others) < 100
        others.append(threading.Thread(target=innocent))
        others[-1].start()

    guard.end()
    time.sleep(0.2)
    over.set()
    for thread in others:
        thread.join()

    assert number in ended
    assert said == []


def test_whoever_is_retired_ends():
    guard = Guard()
    assert guard.call(lambda: 7, PATIENCE_S) == 7

    guard.retire()

    until(lambda: not guard.is_running)


def test_a_clinic_that_is_closed_leaves_no_thread(sqlite_url, clock, tmp_path):
    """Those that waited for the next decision or fact of a plugin."""
    before = set(threading.enumerate())
    plugin = SimpleNamespace(
        format_ticket_number=hookimpl(lambda prefix, sequence: None),
        ticket_issued=hookimpl(lambda ticket: None),
    )
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    take(clinic, "A")
    assert OutboxWorker(clinic, "guest").deliver_due()[0].is_good
    assert any(thread.name == "hook-guard" for thread in set(threading.enumerate()) - before)

    clinic.close()

    until(lambda: set(threading.enumerate()) <= before)


def test_what_never_ends_is_counted_though_others_are_asked_meanwhile(sqlite_clinic):
    """After three calls of a plugin that are left behind it is not asked more."""
    hooks, gate = sqlite_clinic.hooks, threading.Event()
    hanging, failures = threading.Semaphore(0), []

    def hang() -> None:
        hanging.release()
        gate.wait()

    def ask() -> None:
        try:
            hooks.run("guest", "page /slow", hang, 1.0)
        except PluginFailed as failure:
            failures.append(str(failure))

    try:
        for _ in range(MOST_STUCK):
            slow = threading.Thread(target=ask)
            slow.start()
            assert hanging.acquire(timeout=PATIENCE_S)
            assert hooks.run("guest", "page /quick", lambda: 7, PATIENCE_S) == 7
            slow.join()
        assert len(failures) == MOST_STUCK

        with pytest.raises(PluginFailed, match="3 earlier calls never ended"):
            hooks.run("guest", "page /quick", lambda: 7, PATIENCE_S)
    finally:
        gate.set()
