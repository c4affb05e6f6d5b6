"""Threads that run foreign code end wherever they are, and nothing is raised anywhere else."""

import _imp
import io
import logging
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import pytest

from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host import guard as guards
from puskesmas_queue.plugin_host import handovers
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


@contextmanager
def log_of_its_own():
    """Give a log and what writes its lines."""
    handler, log = logging.StreamHandler(io.StringIO()), logging.getLogger("guest")
    log.addHandler(handler)
    log.propagate = False
    try:
        yield log, handler
    finally:
        log.propagate = True
        log.removeHandler(handler)


@contextmanager
def line_written():
    """Somebody writes a line of the log."""
    with log_of_its_own() as (log, handler), handler.lock:
        yield lambda: log.error("told"), handler.lock


@contextmanager
def condition_changed():
    """Somebody changes what others wait for."""
    lock = threading.Lock()
    changed = threading.Condition(lock)

    def change() -> None:
        with changed:
            pass

    with lock:
        yield change, lock


@contextmanager
def module_looked_for():
    """Somebody looks which modules are being imported."""
    lock = ImportLock()
    lock.acquire()
    try:
        yield lambda: import_module("puskesmas_queue.no_such_module"), lock
    finally:
        lock.release()


class ImportLock:
    """That of the interpreter, as a lock."""

    release = staticmethod(_imp.release_lock)

    def acquire(self, timeout: float = 0) -> bool:
        """Take it unless another has it."""
        if _imp.lock_held():
            return False
        _imp.acquire_lock()
        return True


def is_free(lock) -> bool:
    """Say whether nobody has a lock."""
    return lock.acquire(timeout=0.1) and lock.release() is None


@pytest.mark.parametrize("in_use", [line_written, condition_changed, module_looked_for])
def test_no_lock_of_all_is_lost_with_what_waited_for_it(in_use):
    """It is told to end while it waits, and comes to have the lock a moment later."""
    guard = Guard()
    with in_use() as (task, lock):
        with pytest.raises(NoAnswer):
            guard.call(task, 0.05)
        guard.end()

    until(lambda: not guard.is_running)
    until(lambda: is_free(lock))


LIBRARY = """
import threading

lock = threading.Lock()

def use():
    lock.acquire()
    try:
        pass
    finally:
        lock.release()
"""


def test_no_lock_of_a_library_is_lost_with_what_waited_for_it(tmp_path, monkeypatch):
    """Babel takes one in this way, on which each date of the hall waits."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(handovers, "OWN_S", 0.0)
    (tmp_path / "library_of_test.py").write_text(LIBRARY)
    library, guard = import_module("library_of_test"), Guard()

    def plugin() -> None:
        library.use()

    with library.lock:
        with pytest.raises(NoAnswer):
            guard.call(plugin, 0.05)
        guard.end()
        time.sleep(0.1)

    until(lambda: not guard.is_running)
    assert is_free(library.lock)
    del sys.modules["library_of_test"]


def test_no_lock_of_all_is_lost_with_what_takes_it_all_the_time():
    """The hall logs as well: whoever logs mostly waits, and is to end at another moment."""
    over, told = threading.Event(), []

    def hall(log) -> None:
        while not over.is_set():
            log.error("hall")
            told.append(1)

    def spin(log) -> None:
        while True:
            log.error("plugin")

    with log_of_its_own() as (log, _):
        threading.Thread(target=hall, args=(log,), daemon=True).start()
        try:
            for _ in range(3):
                guard = Guard()
                with pytest.raises(NoAnswer):
                    guard.call(partial(spin, log), 0.05)
                guard.end()
                until(lambda guard=guard: not guard.is_running)
                before = len(told)
                until(lambda before=before: len(told) > before + 10)
        finally:
            over.set()


def test_what_takes_a_lock_for_ever_is_ended_all_the_same(monkeypatch):
    """After a while: it may be the plugin's own."""
    monkeypatch.setattr(handovers, "OWN_S", 0.3)
    lock, guard = threading.Lock(), Guard()

    def spin() -> None:
        while True:
            lock.acquire(blocking=False)

    with pytest.raises(NoAnswer):
        guard.call(spin, 0.05)
    began = time.monotonic()
    guard.end()

    until(lambda: not guard.is_running)
    assert time.monotonic() - began >= 0.3


def test_an_import_is_not_broken_off(tmp_path, monkeypatch):
    """A compiled module would not be there again until the server starts anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(threading, "gate_of_test", gate := threading.Event(), raising=False)
    monkeypatch.setattr(handovers, "OWN_S", PATIENCE_S)
    code = f"import threading\nthreading.gate_of_test.wait({PATIENCE_S})\n"
    (tmp_path / "slow_module_of_test.py").write_text(code)
    guard = Guard()
    with pytest.raises(NoAnswer):
        guard.call(partial(import_module, "slow_module_of_test"), 0.2)
    guard.end()
    gate.set()

    until(lambda: not guard.is_running)
    assert sys.modules.pop("slow_module_of_test", None) is not None


def test_what_is_ended_has_time_to_clean_up():
    guard, cleaned = Guard(), []

    def work() -> None:
        try:
            while True:
                pass
        finally:
            time.sleep(0.4)
            cleaned.append(1)

    with pytest.raises(NoAnswer):
        guard.call(work, 0.05)
    guard.end()

    until(lambda: not guard.is_running)
    assert cleaned == [1]


class NoThread(threading.Thread):
    """What a system gives that has none left."""

    def start(self):
        raise RuntimeError("can't start new thread")


def test_no_thread_left_to_insist_is_no_reason_to_fail(monkeypatch):
    guard = Guard()

    def spin() -> None:
        while True:
            pass

    with pytest.raises(NoAnswer):
        guard.call(spin, 0.05)
    monkeypatch.setattr(guards.threading, "Thread", NoThread)
    guard.end()

    until(lambda: not guard.is_running)


def test_no_thread_left_is_a_fault_of_the_plugin_and_no_refusal(
    sqlite_url, clock, tmp_path, monkeypatch
):
    """One that leaks threads takes the last of them, and numbers are given by the core."""
    plugin = SimpleNamespace(
        format_ticket_number=hookimpl(lambda prefix, sequence: f"X{sequence}"),
        ticket_issued=hookimpl(lambda ticket: None),
    )
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    worker = OutboxWorker(clinic, "guest")
    try:
        with monkeypatch.context() as patched:
            patched.setattr(guards.threading, "Thread", NoThread)
            (ticket,) = take(clinic, "A")
            (outcome,) = worker.deliver_due()
            with pytest.raises(PluginFailed, match="can't start new thread"):
                clinic.hooks.run("guest", "page /x", lambda: 7, PATIENCE_S)
        assert ticket.number == "A-001"
        assert (outcome.is_good, outcome.detail) == (False, "can't start new thread")
        assert [one.number for one in take(clinic, "A")] == ["X2"]
    finally:
        clinic.close()


def test_what_waits_again_and_again_ends_and_leaves_whole_what_it_waits_for():
    gate, guard = threading.Event(), Guard()

    def wait() -> None:
        while not gate.wait(0.01):
            pass

    with pytest.raises(NoAnswer):
        guard.call(wait, 0.05)
    guard.end()

    until(lambda: not guard.is_running)
    assert not gate.is_set()
    assert is_free(gate._cond)


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
