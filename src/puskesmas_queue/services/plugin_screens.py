"""What the screens of plugins are told about the core's things."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.domain.events import TicketFact
from puskesmas_queue.domain.tickets import Ticket, TicketState
from puskesmas_queue.services.line import all_units
from puskesmas_queue.storage import tickets


def ticket_now(clinic: Clinic, ticket_id: int) -> TicketFact:
    """
    Return a ticket of this clinic as plugins see it, as it stands now.

    Raises:
        NotFound: There is no such ticket.
    """
    ticket = clinic.db.read(lambda tx: tickets.by_id(tx, ticket_id))
    if ticket is None:
        raise NotFound("no such ticket")
    return as_fact(clinic, ticket, ticket.state)


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
