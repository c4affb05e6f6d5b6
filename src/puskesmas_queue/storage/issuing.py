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

from sqlalchemy import Connection, Date, bindparam, text
from sqlalchemy.exc import IntegrityError

from puskesmas_queue.domain import tickets
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import KeyReused, QuotaFull, StorageUnavailable
from puskesmas_queue.domain.events import lifetime
from puskesmas_queue.domain.line import TIE_STEP
from puskesmas_queue.domain.tickets import (
    NUMBER_DIGITS,
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    Ticket,
    TicketState,
)
from puskesmas_queue.storage import tickets as rows
from puskesmas_queue.storage.engine import (
    Database,
    PostgresDatabase,
    Reading,
    Tx,
    channel,
    quick,
)
from puskesmas_queue.storage.tables import Instant, Json


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
        if isinstance(error.__cause__, IntegrityError | sqlite3.IntegrityError):
            raise DuplicateTicket from error
        raise


def find_repeat(tx: Reading, holder: str, key: str, request_hash: str) -> Ticket | None:
    """
    Find the ticket that this key made before.

    Raises:
        KeyReused: The key came with another request.
    """
    row = tx.conn.execute(
        _FIND_KEY, {"clinic_id": tx.clinic_id, "holder": holder, "key": key}
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
    taken = quick(tx.conn, _TAKE_KEY[tx.dialect], parameters)
    found = None if taken else _repeat_of(tx, new)
    if found is not None:
        return Issued(found, is_repeat=True)
    ticket_id: int = taken[0][0]
    most = 2**31 - 1 if new.most_places is None else new.most_places
    if most < 1:
        raise QuotaFull(new.unit)
    counted = quick(tx.conn, _COUNT[tx.dialect], {**parameters, "most": most})
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
    quick(tx.conn, _INSERT, {**parameters, **drawn})
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
        row = conn.execute(_ONE_STATEMENT, parameters).one_or_none()
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


_TYPED = (
    bindparam("now", type_=Instant),
    bindparam("service_date", type_=Date),
)
_KEY_COLUMNS = "clinic_id, holder, key, request_hash, created_at"
_TICKET_COLUMNS = (
    "clinic_id, id, service_date, number, prefix, sequence, unit, unit_sequence, zone, lane, "
    "priority_reason, payment_type, source, state, code, order_key, order_tie, calls, skips, "
    "issued_at, estimated_time, created_by, device"
)
_TICKET_VALUES = ":zone, :lane, :priority_reason, :payment_type, :source, 'waiting', :code"
_TICKET_END = "0, 0, :now, :estimated_time, :created_by, :device"
_ESTIMATED = bindparam("estimated_time", type_=Instant)

_FIND_KEY = text(
    "SELECT request_hash, ticket_id FROM idempotency_keys "
    "WHERE clinic_id = :clinic_id AND holder = :holder AND key = :key"
)
_NEXT_ID = {
    "sqlite": "coalesce(max(id), 0) + 1 FROM tickets WHERE clinic_id = :clinic_id",
    "postgresql": "nextval(pg_get_serial_sequence('tickets', 'id'))",
}
_TAKE_KEY = {
    dialect: text(
        f"INSERT INTO idempotency_keys ({_KEY_COLUMNS}, ticket_id) "
        f"SELECT :clinic_id, :holder, :key, :request_hash, :now, {next_id} "
        "ON CONFLICT DO NOTHING RETURNING ticket_id"
    ).bindparams(bindparam("now", type_=Instant))
    for dialect, next_id in _NEXT_ID.items()
}
# Who draws the later number also stands later, though its request may have come a moment earlier.
_NEXT_KEY = {
    dialect: f"{larger}(day_counts.last_key + 1, excluded.last_key)"
    for dialect, larger in {"sqlite": "max", "postgresql": "greatest"}.items()
}
_COUNT = {
    dialect: text(
        "INSERT INTO day_counts (clinic_id, service_date, kind, name, value, last_key) VALUES "
        "(:clinic_id, :service_date, 'place', :unit, 1, 0), "
        "(:clinic_id, :service_date, 'number', :prefix, 1, :order_key), "
        "(:clinic_id, :service_date, 'unit', :unit, 1, 0) "
        "ON CONFLICT (clinic_id, service_date, kind, name) "
        f"DO UPDATE SET value = day_counts.value + 1, last_key = {next_key} "
        "WHERE day_counts.kind <> 'place' OR day_counts.value < :most "
        "RETURNING kind, value, last_key"
    ).bindparams(bindparam("service_date", type_=Date))
    for dialect, next_key in _NEXT_KEY.items()
}
_INSERT = text(
    f"INSERT INTO tickets ({_TICKET_COLUMNS}) "
    "VALUES (:clinic_id, :id, :service_date, :number, :prefix, :sequence, :unit, "
    f":unit_sequence, {_TICKET_VALUES}, :order_key, :id * {TIE_STEP}, {_TICKET_END})"
).bindparams(*_TYPED, _ESTIMATED)
_UP = (
    "ON CONFLICT (clinic_id, service_date, kind, name) "
    "DO UPDATE SET value = day_counts.value + 1 RETURNING value"
)
# The number is written as domain.tickets.format_number does; a test holds the two together.
_ONE_STATEMENT = text(
    f"""
    WITH fresh AS (
        INSERT INTO idempotency_keys ({_KEY_COLUMNS}, ticket_id)
        VALUES (:clinic_id, :holder, :key, :request_hash, :now,
                nextval(pg_get_serial_sequence('tickets', 'id')))
        ON CONFLICT DO NOTHING RETURNING ticket_id AS id
    ), place AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value)
        SELECT :clinic_id, :service_date, 'place', :unit, 1 FROM fresh {_UP}
    ), numbered AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value, last_key)
        SELECT :clinic_id, :service_date, 'number', :prefix, 1, :order_key FROM place
        ON CONFLICT (clinic_id, service_date, kind, name)
        DO UPDATE SET value = day_counts.value + 1, last_key = {_NEXT_KEY["postgresql"]}
        RETURNING value, last_key
    ), in_unit AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value)
        SELECT :clinic_id, :service_date, 'unit', :unit, 1 FROM numbered {_UP}
    ), ticket AS (
        INSERT INTO tickets ({_TICKET_COLUMNS})
        SELECT :clinic_id, fresh.id, :service_date,
               CAST(:prefix AS text) || '-' || lpad(
                   numbered.value::text,
                   greatest({NUMBER_DIGITS}, length(numbered.value::text)), '0'),
               :prefix, numbered.value, :unit, in_unit.value,
               {_TICKET_VALUES}, numbered.last_key, fresh.id * {TIE_STEP}, {_TICKET_END}
        FROM fresh, numbered, in_unit
        RETURNING id, number, sequence, unit_sequence, order_key
    ), told AS (
        INSERT INTO events (clinic_id, occurred_at, kind, zone, ticket_id, actor_id, device, data)
        SELECT :clinic_id, :now, :event_kind, :zone, id, :created_by, :device, :facts FROM ticket
        RETURNING id, ticket_id
    ), queued AS (
        INSERT INTO deliveries (clinic_id, event_id, plugin, order_key, state, created_at,
                                next_at, expires_at)
        SELECT :clinic_id, told.id, plugin, 'ticket:' || told.ticket_id, 'open', :now, :now,
               :expires_at
        FROM told, unnest(CAST(:plugins AS text[])) AS plugin
    ), audited AS (
        INSERT INTO audit (clinic_id, occurred_at, user_id, action, table_name, record_id,
                           new_values, device, ip_address, user_agent)
        SELECT :clinic_id, :now, :created_by, 'issue_ticket', 'tickets', id::text,
               CAST(:facts AS jsonb) || jsonb_build_object('number', number),
               :device, :ip_address, :user_agent FROM ticket
    ), touched AS (
        INSERT INTO topic_versions (clinic_id, topic, version, changed_at)
        SELECT :clinic_id, :topic, 1, :now FROM ticket
        ON CONFLICT (clinic_id, topic) DO UPDATE
        SET version = topic_versions.version + 1,
            changed_at = greatest(topic_versions.changed_at, excluded.changed_at)
        RETURNING topic, version
    )
    SELECT ticket.*, touched.version,
           pg_notify(:channel, touched.topic || ':' || touched.version)
    FROM ticket, touched
    """
).bindparams(
    *_TYPED, _ESTIMATED, bindparam("facts", type_=Json), bindparam("expires_at", type_=Instant)
)
