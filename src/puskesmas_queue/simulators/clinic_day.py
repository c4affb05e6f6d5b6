"""Plays a clinic's morning inside the demo: people come, counters call and serve."""

import logging
import threading
from datetime import timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import calling, counters, tickets
from puskesmas_queue.services.line import all_units
from puskesmas_queue.simulators.arrivals import dice, draw_request
from puskesmas_queue.storage import line

STEP_S = 0.2
ARRIVALS_PER_MIN = 0.5
NO_SHOW_SHARE = 0.08
KIOSK = Actor("device", name="demo", device="demo-kiosk")
log = logging.getLogger(__name__)


class ClinicDay:
    """
    A morning that goes on by itself.

    Args:
        clinic: The demo's clinic.
        clock: Its clock, moved on faster than time.
        speed: Clinic seconds per real second, >= 1.
        staff: One actor per counter, in the order of the counters.
    """

    def __init__(
        self, clinic: Clinic, clock: ShiftedClock, speed: float, staff: list[Actor]
    ) -> None:
        self._clinic = clinic
        self._clock = clock
        self._speed = speed
        self._staff = staff
        self._rng = dice(2026)
        self._busy_until: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clinic-day", daemon=True)

    def start(self) -> None:
        """Open the counters and begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the morning."""
        self._stop.set()
        self._thread.join(timeout=5)

    @staticmethod
    def leave(clinic: Clinic, actor: Actor) -> None:
        """Close the counters that an earlier morning left open, however it ended."""
        for counter in counters.all_counters(clinic):
            if counter.session_id == _session(counter.number):
                counters.close_counter(clinic, _session(counter.number), actor)

    def _run(self) -> None:
        numbers = [counter.number for counter in counters.all_counters(self._clinic)]
        desks = list(zip(numbers, self._staff, strict=False))
        for number, actor in desks:
            try:
                counters.open_counter(self._clinic, number, _session(number), actor)
            except QueueError as error:
                log.info("counter %s: %s", number, error)
        played_s = 0.0
        while not self._stop.wait(STEP_S):
            step_s = STEP_S * self._speed
            # Time passes by itself as well; only the rest is added.
            self._clock.advance(timedelta(seconds=step_s - STEP_S))
            played_s += step_s
            try:
                if self._rng.random() < ARRIVALS_PER_MIN * step_s / 60:
                    request = draw_request(self._rng, all_units(self._clinic))
                    tickets.issue_ticket(self._clinic, request, KIOSK)
                for number, actor in desks:
                    self._work(number, actor, played_s)
            except QueueError as error:
                log.info("the demo's day: %s", error)

    def _work(self, number: int, actor: Actor, played_s: float) -> None:
        if played_s < self._busy_until.get(number, 0.0):
            return
        current = self._clinic.db.read(lambda tx: line.at_counter(tx, number))
        if current is not None and current.state is TicketState.CALLED:
            if self._rng.random() < NO_SHOW_SHARE and current.calls < 3:
                calling.recall(self._clinic, current.id, actor)
                wait_s = 30.0
            else:
                calling.serve(self._clinic, current.id, actor, number)
                wait_s = self._rng.lognormvariate(5.2, 0.5)
        else:
            calling.call_next(self._clinic, number, actor)
            wait_s = 25.0
        self._busy_until[number] = played_s + wait_s


def _session(number: int) -> str:
    return f"demo-day-{number}"
