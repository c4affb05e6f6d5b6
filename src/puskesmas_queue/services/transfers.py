"""Moving a ticket to another unit or lane; its number and its time stay."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import (
    InvalidRequest,
    QuotaFull,
    UnitClosed,
)
from puskesmas_queue.domain.tickets import (
    AT_COUNTER,
    Action,
    Lane,
    Ticket,
    next_state,
)
from puskesmas_queue.services.line import (
    all_units,
)
from puskesmas_queue.services.quota import exceeded
from puskesmas_queue.services.tickets import given_reason, known_unit, locked
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import counters
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage.transaction import Reading, Tx
from puskesmas_queue.storage.units import Unit


def transfer_ticket(
    clinic: Clinic,
    ticket_id: int,
    unit: str | None,
    lane: Lane | None,
    reason: str,
    actor: Actor,
) -> Ticket:
    """
    Change a ticket's unit or lane; its number and its time stay.

    Where its counter takes the new unit the ticket stays there, else it goes back to the line. A
    change of unit moves the quota place, up to 10 % over the quota.

    Raises:
        NotFound, EdgeNotAllowed, ReasonRequired, UnknownName, QuotaFull: See there.
    """
    reason = given_reason(reason)
    target = None if unit is None else known_unit(clinic, unit)
    known = {one.code: one for one in all_units(clinic)}

    def run(tx: Tx) -> Ticket:
        ticket = locked(tx, ticket_id)
        new_unit = target or known[ticket.unit]
        new_lane = lane or ticket.lane
        if not new_unit.is_active:
            raise UnitClosed(f"unit {new_unit.code} takes no patients")
        if new_lane is Lane.EMERGENCY or new_unit.is_emergency:
            raise InvalidRequest("a ticket cannot be transferred to the emergency unit")
        if new_unit.code == ticket.unit and new_lane is ticket.lane:
            return ticket
        state = next_state(ticket.number, ticket.state, Action.TRANSFER_AWAY, ticket.lane)
        changes: dict[str, object] = {"lane": new_lane}
        if new_lane is not Lane.PRIORITY:
            changes["priority_reason"] = None
        if new_unit.code != ticket.unit:
            changes |= {"unit": new_unit.code, "zone": new_unit.zone}
            changes["unit_sequence"] = _move_place(tx, ticket, new_unit)
        if ticket.state in AT_COUNTER and _is_taken_by(tx, ticket, new_unit):
            state = ticket.state
        else:
            changes["counter"] = None
        changed = rows.change(tx, ticket, state=state, **changes)
        told = {"unit": changed.unit, "lane": changed.lane.value}
        old = {"unit": ticket.unit, "lane": ticket.lane.value}
        tx.event(
            "ticket_transferred",
            actor=actor,
            zone=changed.zone,
            ticket_id=ticket.id,
            counter=ticket.counter,
            reason=reason,
            data={"from": old, "to": told},
        )
        tx.audit(
            "transfer_ticket",
            actor=actor,
            table="tickets",
            record=ticket.id,
            old=old,
            new=told,
            reason=reason,
        )
        tx.touch(line_topic(ticket.zone), line_topic(changed.zone))
        return changed

    return clinic.db.write(run)


def _move_place(tx: Tx, ticket: Ticket, unit: Unit) -> int:
    most = None if unit.quota_per_day is None else exceeded(unit.quota_per_day)
    # Two transfers in opposite directions lock the two places in the same order.
    for code in sorted((ticket.unit, unit.code)):
        if code == ticket.unit:
            rows.give_place_back(tx, ticket.service_date, code)
        elif rows.count_up(tx, ticket.service_date, "place", code, most) is None:
            raise QuotaFull(unit.code)
    sequence = rows.count_up(tx, ticket.service_date, "unit", unit.code, None)
    assert sequence is not None
    return sequence


def _is_taken_by(tx: Reading, ticket: Ticket, unit: Unit) -> bool:
    """Say whether the ticket's own counter takes that unit."""
    counter = None if ticket.counter is None else counters.by_number(tx, ticket.counter)
    return (
        counter is not None
        and counter.zone == unit.zone
        and (not counter.units or unit.code in counter.units)
    )
