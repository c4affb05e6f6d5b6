"""People at the desk: who asks, and the few steps that most tests begin with."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.clock import SystemClock
from puskesmas_queue.domain.access import Actor, Role
from puskesmas_queue.domain.tickets import Lane, PaymentType, PriorityReason, Ticket, TicketRequest
from puskesmas_queue.services import counters
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.transaction import Tx

KIOSK = Actor("device", name="kiosk", device="k" * 22, address="192.168.1.30")
STAFF = Actor("user", 7, "Budi", "s" * 22, "192.168.1.20", "Firefox", Role.PETUGAS_LOKET)


class PassingClock(SystemClock):
    """A clock that stands still until a test lets time pass, on the wall and in truth."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.ran_s = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ran_s

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by
        self.ran_s += by.total_seconds()

    def move(self, by: timedelta) -> None:
        """Set the wall clock alone, as a person or a time server would."""
        self.at += by


def general(unit: str = "umum", **more: Any) -> TicketRequest:
    """Ask for a general ticket."""
    return TicketRequest(unit, Lane.GENERAL, PaymentType.BPJS, **more)


def priority(unit: str = "umum", **more: Any) -> TicketRequest:
    """Ask for a priority ticket."""
    return TicketRequest(unit, Lane.PRIORITY, PaymentType.BPJS, PriorityReason.LANSIA, **more)


def take(clinic: Clinic, numbers: str, unit: str = "umum") -> list[Ticket]:
    """Take tickets at the kiosk: `PPA` is two of priority and a general one."""
    ask = {"P": priority, "A": general}
    return [issue_ticket(clinic, ask[letter](unit), KIOSK) for letter in numbers]


def open_all(clinic: Clinic, *numbers: int) -> None:
    """Open counters, each for a session of its own."""
    for number in numbers:
        counters.open_counter(clinic, number, session(number), STAFF)


def session(number: int) -> str:
    """Name the session that works at a counter."""
    return f"session-{number}"


def add_counters(clinic: Clinic, *numbers: int) -> None:
    """Put more counters into the hall."""
    rows = [{"clinic_id": clinic.id, "number": number, "zone": "main"} for number in numbers]
    execute(clinic, tables.counters.insert(), rows)


def execute(clinic: Clinic, statement: Any, *parameters: Any) -> None:
    """Run a statement of the test's own in a transaction."""

    def run(tx: Tx) -> None:
        tx.conn.execute(statement, *parameters)

    clinic.db.write(run)


def rows_of(clinic: Clinic, table: Any) -> list[Any]:
    """Read a table as it is stored, in the order of its key."""
    statement = select(table).where(table.c.clinic_id == clinic.id)
    statement = statement.order_by(*table.primary_key.columns)
    return clinic.db.read(lambda tx: list(tx.conn.execute(statement)))


def places(clinic: Clinic) -> dict[str, int]:
    """Read how many quota places are taken, by unit, over all days."""
    taken: dict[str, int] = {}
    for row in rows_of(clinic, tables.day_counts):
        if row.kind == "place":
            taken[row.name] = taken.get(row.name, 0) + row.value
    return taken


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run tasks at the same moment, each in its thread, and return answers or refusals."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        gate.wait(timeout=30)
        try:
            return task()
        except Exception as refusal:
            return refusal

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))
