"""The timers follow the clinic's clock, and sweep up after the pages."""

import gc
import time
import weakref
from datetime import timedelta

import pytest

from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import calling, devices
from puskesmas_queue.services.tickets import find_ticket
from puskesmas_queue.storage import tables
from puskesmas_queue.workers import timers as timers_module
from puskesmas_queue.workers.timers import Timers
from support.desk import STAFF, open_all, rows_of, take
from support.machines import pair_machine


def test_an_hour_that_the_clock_skips_is_an_hour(sqlite_clinic, clock):
    """A held ticket is skipped at the next tick, not when this machine's ten seconds are over."""
    timers = Timers(sqlite_clinic)
    timers.start()
    try:
        open_all(sqlite_clinic, 1)
        take(sqlite_clinic, "A")
        ticket = calling.call_next(sqlite_clinic, 1, STAFF)
        calling.serve(sqlite_clinic, ticket.id, STAFF, 1)
        calling.hold(sqlite_clinic, ticket.id, STAFF, 1)
        ends = time.monotonic() + 60
        clock.advance(timedelta(minutes=61))
        sqlite_clinic.guard.rebase()

        while find_ticket(sqlite_clinic, ticket.id).state is not TicketState.SKIPPED:
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        timers.stop()


def test_when_machines_were_seen_is_written_by_every_process(sqlite_clinic, monkeypatch):
    """The leader's too: a request notes it in memory only."""
    monkeypatch.setattr(timers_module, "SIGHTINGS_S", 0.0)
    monkeypatch.setattr(timers_module, "TICK_S", 0.02)
    device = pair_machine(sqlite_clinic, DeviceKind.KIOSK).device
    timers = Timers(sqlite_clinic)
    monkeypatch.setattr(timers, "_leader", NoLeader())
    devices.saw_device(sqlite_clinic, device, "192.168.1.31")
    timers.start()
    try:
        ends = time.monotonic() + 60
        while rows_of(sqlite_clinic, tables.devices)[0].seen_address != "192.168.1.31":
            assert time.monotonic() < ends
            time.sleep(0.02)
    finally:
        timers.stop()


class NoLeader:
    """What a process that does not lead knows of the leader."""

    def is_leading(self) -> bool:
        return False

    def resign(self) -> None: ...


class Cycle:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture
def no_collections():
    """Python collects nothing by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_what_a_page_leaves_behind_is_swept(sqlite_clinic, clock, no_collections):
    """Young garbage every ten minutes; what an old collection took for alive, in the night."""
    timers = Timers(sqlite_clinic)
    timers.start()
    try:
        old = Cycle()
        gc.collect()
        old_one, young_one = weakref.ref(old), weakref.ref(Cycle())
        del old
        clock.advance(timedelta(minutes=11))
        wait_until(lambda: young_one() is None)
        assert old_one() is not None
        clock.advance(timedelta(days=1))
        wait_until(lambda: old_one() is None)
    finally:
        timers.stop()


def wait_until(is_so):
    ends = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.05)
