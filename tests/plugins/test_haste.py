"""While a plugin computes, the hall has its turns sooner."""

import sys
import threading
import time

import pytest

from puskesmas_queue.plugin_host import guard as guards
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.plugin_host.haste import HASTE_S, haste
from support.waiting import until

USUAL_S = 0.003


@pytest.fixture(autouse=True)
def usual():
    """Another interval than Python's own, so that it is seen to be put back."""
    # What a test before this one left behind may be in haste as long as it is told to end.
    until(lambda: not any(one.name == "hook-guard-end" for one in threading.enumerate()), 150)
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL_S)
    yield
    sys.setswitchinterval(before)


def interval() -> float:
    return pytest.approx(sys.getswitchinterval(), abs=1e-6)


def seen_during(task, busy_s=1.0) -> set[float]:
    """Return the intervals that hold while a guard runs a task, which is given what was seen."""
    seen, over = set(), threading.Event()

    def look() -> None:
        seen.add(round(sys.getswitchinterval(), 6))

    def watch() -> None:
        while not over.wait(0.002):
            look()

    watcher = threading.Thread(target=watch)
    guard = Guard()
    look()
    watcher.start()
    try:
        guard.call(lambda: task(seen), 30, busy_s)
        guard.retire()
    except NoAnswer:
        guard.end()
        until(lambda: not guard.is_running)
    finally:
        over.set()
        watcher.join()
    return seen


def compute(seen: set[float]) -> None:
    """Compute until it is noticed."""
    ends = time.monotonic() + 20
    while HASTE_S not in seen and time.monotonic() < ends:
        pass


def spin() -> None:
    while True:
        pass


def test_whoever_computes_gives_way_sooner_until_it_is_done():
    assert seen_during(compute, busy_s=20) == {USUAL_S, HASTE_S}
    assert interval() == USUAL_S


def test_whoever_waits_changes_nothing():
    assert seen_during(lambda _: time.sleep(0.1)) == {USUAL_S}


def test_what_never_ends_by_itself_gives_way_until_it_was_ended():
    assert seen_during(lambda _: spin(), busy_s=0.4) == {USUAL_S, HASTE_S}
    until(lambda: interval() == USUAL_S)


def test_what_does_not_let_itself_be_ended_gives_way_as_long_as_it_is_told(monkeypatch):
    """It swallows what is raised in it; only once it ends is the interval as before."""
    monkeypatch.setattr(guards, "AGAIN_S", (0.1,) * 200)
    swallowed, is_seen = [], threading.Event()

    def stubborn() -> None:
        while len(swallowed) < 2 or not is_seen.is_set():
            try:
                spin()
            except BaseException as error:
                swallowed.append(type(error))
        spin()

    guard = Guard()
    with pytest.raises(NoAnswer):
        guard.call(stubborn, 0.1, 0.05)
    guard.end()
    until(lambda: interval() == HASTE_S)
    is_seen.set()
    until(lambda: not guard.is_running)
    until(lambda: interval() == USUAL_S)
    assert len(swallowed) >= 2


def test_what_is_left_behind_in_c_changes_nothing_while_it_waits(monkeypatch):
    """Nothing ends it; it may be there for as long as the server is, and holds nobody up."""
    monkeypatch.setattr(guards, "AGAIN_S", (0.1, 0.1, 30))
    lock = threading.Lock()
    guard = Guard()
    with lock:
        with pytest.raises(NoAnswer):
            guard.call(lambda: lock.acquire(timeout=20), 0.1, 0.05)
        guard.end()
        until(lambda: interval() == USUAL_S)
        assert guard.is_running
        time.sleep(0.3)
        assert interval() == USUAL_S
    until(lambda: not guard.is_running)


def test_what_wakes_up_and_computes_gives_way_again(monkeypatch):
    """The one that was left behind waits in C first, and swallows what is raised in it."""
    monkeypatch.setattr(guards, "AGAIN_S", (0.1,) * 200)
    lock, swallowed, is_seen = threading.Lock(), [], threading.Event()

    def stubborn() -> None:
        while not is_seen.is_set():
            try:
                if not swallowed:
                    lock.acquire(timeout=60)
                spin()
            except BaseException as error:
                swallowed.append(type(error))
        spin()

    guard = Guard()
    with lock:
        with pytest.raises(NoAnswer):
            guard.call(stubborn, 0.1, 0.05)
        guard.end()
        until(lambda: interval() == USUAL_S)
    until(lambda: interval() == HASTE_S)
    is_seen.set()
    until(lambda: not guard.is_running)
    until(lambda: interval() == USUAL_S)


def test_the_last_of_several_puts_it_back():
    with haste.while_computing():
        with haste.while_computing():
            assert interval() == HASTE_S
        assert interval() == HASTE_S
    assert interval() == USUAL_S
