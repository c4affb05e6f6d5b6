"""What the database counts for those who watch the server: a few queries, no person."""

from collections.abc import Mapping
from dataclasses import dataclass

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.services.line import today
from puskesmas_queue.storage import faults, measures, outbox
from puskesmas_queue.storage.engine import DatabaseLoad
from puskesmas_queue.storage.faults import FaultRow
from puskesmas_queue.storage.measures import TicketCount


@dataclass(frozen=True, slots=True)
class Measures:
    """
    Counts as of now.

    Args:
        tickets: Of the clinic's present day.
        counters: How many are in each state.
        deliveries: By plugin and state; of those that were made none is counted.
        faults: Of hooks of plugins.
    """

    tickets: tuple[TicketCount, ...]
    counters: Mapping[str, int]
    deliveries: Mapping[tuple[str, str], int]
    faults: tuple[FaultRow, ...]


def measure(clinic: Clinic) -> Measures:
    """
    Count.

    Raises:
        StorageUnavailable: The database cannot be asked.
    """
    day = today(clinic)
    return clinic.db.read(
        lambda tx: Measures(
            tickets=tuple(measures.tickets_of(tx, day)),
            counters=measures.counters_of(tx),
            deliveries=outbox.counts(tx),
            faults=tuple(faults.load(tx)),
        )
    )


def database_load(clinic: Clinic) -> DatabaseLoad:
    """Return how busy this process's way to the database is; asks no database."""
    return clinic.db.load()
