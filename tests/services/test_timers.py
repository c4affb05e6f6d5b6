"""The timers follow the clinic's clock."""

import time
from datetime import timedelta

from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import calling
from puskesmas_queue.services.tickets import find_ticket
from puskesmas_queue.workers.timers import Timers
from support.desk import STAFF, open_all, take


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
