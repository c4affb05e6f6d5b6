"""What the screens of plugins are told about the core's things."""

from dataclasses import dataclass

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.domain.events import TicketFact, order_key
from puskesmas_queue.domain.tickets import Ticket, TicketState
from puskesmas_queue.services.line import all_units
from puskesmas_queue.storage import outbox, tickets
from puskesmas_queue.storage.transaction import Reading


@dataclass(frozen=True, slots=True)
class AtCounter:
    """
    A ticket as plugins see it, and where it is.

    Args:
        counter: Where it was called to; None where it was not.
        is_owed: Whether the plugin was not yet told everything about it.
    """

    ticket: TicketFact
    counter: int | None
    is_owed: bool


def at_counter(clinic: Clinic, ticket_id: int, plugin: str) -> AtCounter:
    """
    Return a ticket of this clinic, as it stands now, for a panel of a plugin.

    Raises:
        NotFound: There is no such ticket.
    """

    def look(tx: Reading) -> tuple[Ticket | None, bool]:
        key = order_key("", ticket_id)
        return tickets.by_id(tx, ticket_id), outbox.is_owed(tx, plugin, key)

    ticket, is_owed = clinic.db.read(look)
    if ticket is None:
        raise NotFound("no such ticket")
    return AtCounter(as_fact(clinic, ticket, ticket.state), ticket.counter, is_owed)


def as_fact(clinic: Clinic, ticket: Ticket, state: TicketState) -> TicketFact:
    """Return a ticket as plugins see it, in the state that it is told about."""
    unit = next(unit for unit in all_units(clinic) if unit.code == ticket.unit)
    return TicketFact(
        id=ticket.id,
        service_date=ticket.service_date,
        number=ticket.number,
        prefix=ticket.prefix,
        sequence=ticket.sequence,
        unit=ticket.unit,
        unit_name=unit.name,
        unit_sequence=ticket.unit_sequence,
        zone=ticket.zone,
        lane=ticket.lane,
        payment_type=ticket.payment_type,
        source=ticket.source,
        state=state,
        code=ticket.code,
        calls=ticket.calls,
        issued_at=ticket.issued_at,
    )
