"""A ticket as programs see it."""

from datetime import datetime

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain import tickets as domain
from puskesmas_queue.domain.line import rounded_minutes
from puskesmas_queue.domain.tickets import STANDING, Lane
from puskesmas_queue.rest.schemas import Ticket
from puskesmas_queue.services.line import places_in_line


def document_of(
    clinic: Clinic,
    ticket: domain.Ticket,
    *,
    is_staff: bool,
    people_ahead: int | None = None,
    estimate_minutes: int | None = None,
) -> Ticket:
    """
    Write a ticket.

    Args:
        clinic: Its times are the clinic's.
        ticket: The ticket.
        is_staff: Whether the reason of a priority ticket may be seen: it is health data.
        people_ahead: Calls before it, if it stands in line.
        estimate_minutes: Until its call, rounded.
    """

    def local(at: datetime | None) -> datetime | None:
        return None if at is None else at.astimezone(clinic.timezone)

    return Ticket(
        id=ticket.id,
        number=ticket.number,
        prefix=ticket.prefix,
        sequence=ticket.sequence,
        unit_sequence=ticket.unit_sequence,
        unit=ticket.unit,
        lane=ticket.lane,
        priority_reason=ticket.priority_reason if is_staff else None,
        payment_type=ticket.payment_type,
        source=ticket.source,
        service_date=ticket.service_date,
        status=ticket.state,
        journey_status=ticket.journey_status,
        code=ticket.code,
        slot_start=None,
        counter=ticket.counter,
        people_ahead=people_ahead,
        estimate_minutes=estimate_minutes,
        issued_at=ticket.issued_at.astimezone(clinic.timezone),
        confirmed_at=None,
        called_at=local(ticket.called_at),
        serving_at=local(ticket.serving_at),
        completed_at=local(ticket.completed_at),
        calls=ticket.calls,
    )


def document_of_new(
    clinic: Clinic, ticket: domain.Ticket, people_ahead: int, *, is_staff: bool
) -> Ticket:
    """Write a ticket that was issued just now: what it was told is known without asking."""
    estimated = ticket.estimated_time
    minutes = None if estimated is None else rounded_minutes(estimated - ticket.issued_at)
    return document_of(
        clinic, ticket, is_staff=is_staff, people_ahead=people_ahead, estimate_minutes=minutes
    )


def documents_of(clinic: Clinic, tickets: list[domain.Ticket], *, is_staff: bool) -> list[Ticket]:
    """Write tickets with their places in the line; each line is read once until it changes."""
    standing = [one for one in tickets if one.state in STANDING and one.lane is not Lane.EMERGENCY]
    places = {
        place.id: place
        for zone in {one.zone for one in standing}
        for place in places_in_line(clinic, zone).values()
    }
    return [
        document_of(
            clinic,
            one,
            is_staff=is_staff,
            people_ahead=places[one.id].people_ahead if one.id in places else None,
            estimate_minutes=places[one.id].estimate_min if one.id in places else None,
        )
        for one in tickets
    ]
