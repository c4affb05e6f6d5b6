"""The plugin's own table: which calls were reported."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, select

from puskesmas_queue.api import Context, Fact, TicketFact
from puskesmas_queue.plugin_tables import own_data

CALLS = Table(
    "family_units_calls",
    MetaData(),
    Column("clinic_id", String(36), primary_key=True),
    Column("fact_id", String(80), primary_key=True),
    Column("ticket_id", Integer, nullable=False),
    Column("number", String(12), nullable=False),
    Column("counter", Integer),
    Column("called_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Reported:
    """A call that the receiver took."""

    number: str
    counter: int | None
    called_at: datetime


def is_known(ctx: Context, fact_id: str) -> bool:
    """Say whether a call was reported already."""
    query = select(CALLS.c.number).where(
        CALLS.c.clinic_id == ctx.clinic_id, CALLS.c.fact_id == fact_id
    )

    def run(connection: Connection) -> bool:
        return connection.execute(query).first() is not None

    return own_data(ctx).read(run)


def remember(ctx: Context, fact: Fact, ticket: TicketFact) -> None:
    """Keep that a call was reported."""
    row = {
        "clinic_id": ctx.clinic_id,
        "fact_id": fact.id,
        "ticket_id": ticket.id,
        "number": ticket.number,
        "counter": fact.counter,
        "called_at": fact.at,
    }

    def run(connection: Connection) -> None:
        connection.execute(CALLS.insert(), row)

    own_data(ctx).write(run)


def latest(ctx: Context, ticket_id: int | None = None, limit: int = 50) -> list[Reported]:
    """Return the calls that were reported, newest first; those of one ticket, if it is given."""
    query = select(CALLS.c.number, CALLS.c.counter, CALLS.c.called_at).where(
        CALLS.c.clinic_id == ctx.clinic_id
    )
    if ticket_id is not None:
        query = query.where(CALLS.c.ticket_id == ticket_id)
    query = query.order_by(CALLS.c.called_at.desc()).limit(limit)

    def run(connection: Connection) -> list[Reported]:
        return [
            Reported(row.number, row.counter, _utc(row.called_at))
            for row in connection.execute(query)
        ]

    return own_data(ctx).read(run)


def _utc(at: datetime) -> datetime:
    """SQLite keeps no zone; what was stored is UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
