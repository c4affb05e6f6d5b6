"""The timers follow the clinic's clock."""

import time
from datetime import timedelta

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
        ends = time.monotonic() + 8
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
        ends = time.monotonic() + 8
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
