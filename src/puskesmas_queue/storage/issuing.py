"""
The hot write: number, ticket, quota place, event, audit and topic in one transaction.

On SQLite the one writer runs it as a few statements. On PostgreSQL it is one statement, so one
round trip, unless a plugin formats numbers or the unit has a quota: then the number or the
refusal must be known in between.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from puskesmas_queue.domain import tickets
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import KeyReused, QuotaFull, StorageUnavailable
from puskesmas_queue.domain.events import lifetime
from puskesmas_queue.domain.line import TIE_STEP
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    Ticket,
    TicketState,
)
from puskesmas_queue.storage import issuing_sql as sql
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage.engine import Database, PostgresDatabase
from puskesmas_queue.storage.transaction import Reading, Tx, channel

TAKEN = (IntegrityError, sqlite3.IntegrityError, psycopg.IntegrityError)


class DuplicateTicket(Exception):
    """The number or the code is taken; the transaction left nothing behind."""


@dataclass(frozen=True, slots=True)
class NewTicket:
    """
    A ticket that is asked for, with everything but its numbers.

    Args:
        holder: Whose idempotency keys these are, a device or a user.
        key: The request's idempotency key.
        request_hash: What the request said, to know a key that comes with another one.
        most_places: Places of the unit today, None without limit.
        topic: The line's topic.
        order_key: When it was asked for, microseconds since the epoch; the ticket's own is later
            than that of the number before it.
    """

    holder: str
    key: str
    request_hash: str
    service_date: date
    prefix: str
    unit: str
    zone: str
    lane: Lane
    priority_reason: PriorityReason | None
    payment_type: PaymentType | None
    source: Source
    code: str
    order_key: int
    issued_at: datetime
    estimated_time: datetime | None
    most_places: int | None
    exceed_reason: str | None
    topic: str


@dataclass(frozen=True, slots=True)
class Issued:
    """The ticket, and whether it was there before (a retry, a double tap)."""

    ticket: Ticket
    is_repeat: bool


def issue(
    db: Database,
    new: NewTicket,
    actor: Actor,
    format_number: Callable[[str, int], str] | None,
) -> Issued:
    """
    Issue one ticket.

    Args:
        db: The clinic's rows.
        new: What is asked for.
        actor: Who asks.
        format_number: Makes the number of prefix and sequence; None for the core's own way.

    Raises:
        KeyReused: The key came with another request before.
        QuotaFull: No place is left.
        DuplicateTicket: Number or code is taken: try again with others.
    """
    try:
        if isinstance(db, PostgresDatabase) and format_number is None and new.most_places is None:
            return _in_one_statement(db, new, actor)
        return db.write(lambda tx: _step_by_step(tx, new, actor, format_number))
    except StorageUnavailable as error:
        if isinstance(error.__cause__, TAKEN):
            raise DuplicateTicket from error
        raise


def find_repeat(tx: Reading, holder: str, key: str, request_hash: str) -> Ticket | None:
    """
    Find the ticket that this key made before.

    Raises:
        KeyReused: The key came with another request.
    """
    row = tx.conn.execute(
        sql.FIND_KEY, {"clinic_id": tx.clinic_id, "holder": holder, "key": key}
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise KeyReused(row.ticket_id)
    return rows.by_id(tx, row.ticket_id)


def pass_over(tx: Tx, new: NewTicket) -> None:
    """Count past numbers that tickets bear already, since a plugin gave them out of turn."""
    day, prefix = new.service_date, new.prefix
    counts = rows.day_values(tx, day, ("number",))
    sequence = counts.get(("number", prefix), 0) + 1
    while rows.by_number(tx, day, tickets.format_number(prefix, sequence)) is not None:
        rows.count_up(tx, day, "number", prefix, sequence)
        sequence += 1


def _repeat_of(tx: Reading, new: NewTicket) -> Ticket | None:
    return find_repeat(tx, new.holder, new.key, new.request_hash)


def _ticket(
    new: NewTicket, ticket_id: int, number: str, sequence: int, in_unit: int, order_key: int
) -> Ticket:
    return Ticket(
        id=ticket_id,
        service_date=new.service_date,
        number=number,
        prefix=new.prefix,
        sequence=sequence,
        unit=new.unit,
        unit_sequence=in_unit,
        zone=new.zone,
        lane=new.lane,
        priority_reason=new.priority_reason,
        payment_type=new.payment_type,
        source=new.source,
        state=TicketState.WAITING,
        code=new.code,
        order_key=order_key,
        order_tie=ticket_id * TIE_STEP,
        counter=None,
        calls=0,
        skips=0,
        issued_at=new.issued_at,
        estimated_time=new.estimated_time,
        called_at=None,
        last_called_at=None,
        serving_at=None,
        held_at=None,
        completed_at=None,
    )


def _parameters(new: NewTicket, clinic_id: str, actor: Actor) -> dict[str, Any]:
    return {
        "clinic_id": clinic_id,
        "holder": new.holder,
        "key": new.key,
        "request_hash": new.request_hash,
        "service_date": new.service_date,
        "prefix": new.prefix,
        "unit": new.unit,
        "zone": new.zone,
        "lane": new.lane.value,
        "priority_reason": None if new.priority_reason is None else new.priority_reason.value,
        "payment_type": None if new.payment_type is None else new.payment_type.value,
        "source": new.source.value,
        "code": new.code,
        "order_key": new.order_key,
        "now": new.issued_at,
        "estimated_time": new.estimated_time,
        "created_by": actor.id,
        "device": actor.device,
    }


def _facts(new: NewTicket) -> dict[str, Any]:
    return {"unit": new.unit, "lane": new.lane.value, "source": new.source.value}


def event_kind(lane: Lane) -> str:
    """Name the event of a new ticket."""
    return "emergency_announced" if lane is Lane.EMERGENCY else "ticket_issued"


def _step_by_step(
    tx: Tx, new: NewTicket, actor: Actor, format_number: Callable[[str, int], str] | None
) -> Issued:
    parameters = _parameters(new, tx.clinic_id, actor)
    # Taking the key first makes a second request with it wait for this one.
    (taken,) = tx.ask((sql.TAKE_KEY[tx.dialect], parameters))
    found = None if taken else _repeat_of(tx, new)
    if found is not None:
        return Issued(found, is_repeat=True)
    ticket_id: int = taken[0][0]
    most = 2**31 - 1 if new.most_places is None else new.most_places
    if most < 1:
        raise QuotaFull(new.unit)
    (counted,) = tx.ask((sql.COUNT[tx.dialect], {**parameters, "most": most}))
    counts = {kind: (value, last_key) for kind, value, last_key in counted}
    if "place" not in counts:
        raise QuotaFull(new.unit)
    (sequence, order_key), (in_unit, _) = counts["number"], counts["unit"]
    number = (format_number or tickets.format_number)(new.prefix, sequence)
    drawn = {
        "id": ticket_id,
        "number": number,
        "sequence": sequence,
        "unit_sequence": in_unit,
        "order_key": order_key,
    }
    tx.later(sql.INSERT, {**parameters, **drawn})
    tx.event(
        event_kind(new.lane),
        actor=actor,
        zone=new.zone,
        ticket_id=ticket_id,
        reason=new.exceed_reason,
        data=_facts(new),
    )
    tx.audit(
        "issue_ticket",
        actor=actor,
        table="tickets",
        record=ticket_id,
        new={"number": number, **_facts(new)},
        reason=new.exceed_reason,
    )
    tx.touch(new.topic)
    ticket = _ticket(new, ticket_id, number, sequence, in_unit, order_key)
    return Issued(ticket, is_repeat=False)


def _in_one_statement(db: PostgresDatabase, new: NewTicket, actor: Actor) -> Issued:
    parameters = {
        **_parameters(new, db.clinic_id, actor),
        "event_kind": event_kind(new.lane),
        "facts": _facts(new),
        "ip_address": actor.address,
        "user_agent": actor.user_agent,
        "plugins": list(db.audience(event_kind(new.lane))),
        "expires_at": new.issued_at + lifetime(event_kind(new.lane)),
        "topic": new.topic,
        "channel": channel(db.clinic_id),
    }

    def run(conn: Connection) -> Issued | None:
        row = conn.execute(sql.ONE_STATEMENT, parameters).one_or_none()
        if row is None:
            return None
        ticket = _ticket(new, row.id, row.number, row.sequence, row.unit_sequence, row.order_key)
        db.committed({new.topic: row.version})
        return Issued(ticket, is_repeat=False)

    issued = db.write_single(run)
    if issued is not None:
        return issued
    found = db.read(lambda tx: _repeat_of(tx, new))
    if found is None:
        raise StorageUnavailable("the key was taken and given back, try again")
    return Issued(found, is_repeat=True)
