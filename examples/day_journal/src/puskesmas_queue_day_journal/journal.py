"""The plugin's own tables: what happened, which days are over, and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Date,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    delete,
    exists,
    func,
    select,
)

from puskesmas_queue.api import Context, DayFact, Fact, Lane, TicketFact
from puskesmas_queue.plugin_tables import Instant, insert, own_data

LONGEST_NOTE = 500
METADATA = MetaData()


ENTRIES = Table(
    "day_journal_entries",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("fact_id", String(80), primary_key=True),
    Column("service_date", Date, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("ticket_id", Integer, nullable=False),
    Column("number", String(12), nullable=False),
    Column("unit", String(40), nullable=False),
    Column("unit_name", String(80), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("counter", Integer),
)
DAYS = Table(
    "day_journal_days",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("service_date", Date, primary_key=True),
    Column("closed_at", Instant, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("expired", Integer, nullable=False),
)
NOTES = Table(
    "day_journal_notes",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("note_id", String(40), primary_key=True),
    Column("service_date", Date, nullable=False),
    Column("at", Instant, nullable=False),
    Column("author", String(80), nullable=False),
    Column("text", String(LONGEST_NOTE), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Day:
    """
    A day as the journal has it.

    Args:
        entries: What happened, latest first; the latest 200.
        counts: How many tickets each kind of fact was about.
        notes: In the order in which they were written.
        closed: What the server counted when the day ended; None while it goes on.
    """

    entries: Sequence[Row[Any]]
    counts: Mapping[str, int]
    notes: Sequence[Row[Any]]
    closed: Row[Any] | None

    def count(self, kind: str) -> int:
        """Return how many tickets a kind of fact was about."""
        return self.counts.get(kind, 0)


def keep(ctx: Context, fact: Fact, ticket: TicketFact) -> None:
    """Write down what happened; a fact that is there already changes nothing."""
    _add(
        ctx,
        ENTRIES,
        fact_id=fact.id,
        service_date=ticket.service_date,
        at=fact.at,
        kind=fact.kind,
        ticket_id=ticket.id,
        number=ticket.number,
        unit=ticket.unit,
        unit_name=ticket.unit_name,
        lane=ticket.lane.value,
        counter=fact.counter,
    )


def close(ctx: Context, fact: Fact, day: DayFact) -> None:
    """Close a day; what was closed before stays as it is."""
    _add(
        ctx,
        DAYS,
        service_date=day.service_date,
        closed_at=fact.at,
        issued=day.issued,
        completed=day.completed,
        cancelled=day.cancelled,
        expired=day.expired,
    )


def forget(ctx: Context, before: date) -> None:
    """Delete the days before a date."""

    def run(connection: Connection) -> None:
        for table in (ENTRIES, DAYS, NOTES):
            own = table.c.clinic_id == ctx.clinic_id
            connection.execute(delete(table).where(own, table.c.service_date < before))

    own_data(ctx).write(run)


def add_note(ctx: Context, note_id: str, day: date, author: str, text: str) -> None:
    """Add a note; one that is there already, sent by a second click, changes nothing."""
    _add(ctx, NOTES, note_id=note_id, service_date=day, at=ctx.now, author=author, text=text)


def read_day(ctx: Context, day: date, limit: int = 200) -> Day:
    """Return what the journal has about a day."""

    def run(connection: Connection) -> Day:
        entries = connection.execute(
            select(ENTRIES)
            .where(*_of(ENTRIES, ctx, day))
            .order_by(ENTRIES.c.at.desc())
            .limit(limit)
        ).all()
        tickets = func.count(ENTRIES.c.ticket_id.distinct()).label("tickets")
        counts = connection.execute(
            select(ENTRIES.c.kind, tickets).where(*_of(ENTRIES, ctx, day)).group_by(ENTRIES.c.kind)
        )
        by_kind = {row.kind: row.tickets for row in counts}
        notes = connection.execute(
            select(NOTES).where(*_of(NOTES, ctx, day)).order_by(NOTES.c.at, NOTES.c.note_id)
        ).all()
        closed = connection.execute(select(DAYS).where(*_of(DAYS, ctx, day))).first()
        return Day(entries, by_kind, notes, closed)

    return own_data(ctx).read(run)


def latest_days(ctx: Context, limit: int = 7) -> list[date]:
    """Return the latest days that were closed, latest first."""
    query = (
        select(DAYS.c.service_date)
        .where(DAYS.c.clinic_id == ctx.clinic_id)
        .order_by(DAYS.c.service_date.desc())
        .limit(limit)
    )

    def run(connection: Connection) -> list[date]:
        return list(connection.scalars(query))

    return own_data(ctx).read(run)


def waiting(ctx: Context) -> dict[str, int]:
    """Count by unit who took a general number on the present day and was not called yet."""
    own = ENTRIES.c.clinic_id == ctx.clinic_id
    later = ENTRIES.alias()
    went_on = exists().where(
        later.c.clinic_id == ctx.clinic_id,
        later.c.service_date == ENTRIES.c.service_date,
        later.c.ticket_id == ENTRIES.c.ticket_id,
        later.c.kind != "ticket_issued",
    )
    is_over = exists().where(
        DAYS.c.clinic_id == ctx.clinic_id, DAYS.c.service_date == ENTRIES.c.service_date
    )
    present = select(func.max(ENTRIES.c.service_date)).where(own).scalar_subquery()
    query = (
        select(ENTRIES.c.unit, func.count().label("people"))
        .where(
            own,
            ENTRIES.c.service_date == present,
            ENTRIES.c.kind == "ticket_issued",
            ENTRIES.c.lane == Lane.GENERAL.value,
            ~went_on,
            ~is_over,
        )
        .group_by(ENTRIES.c.unit)
    )

    def run(connection: Connection) -> dict[str, int]:
        return {row.unit: row.people for row in connection.execute(query)}

    return own_data(ctx).read(run)


def _of(table: Table, ctx: Context, day: date) -> tuple[ColumnElement[bool], ...]:
    return table.c.clinic_id == ctx.clinic_id, table.c.service_date == day


def _add(ctx: Context, table: Table, **values: object) -> None:
    """Insert a row unless its key is there, in one statement: two processes may try at once."""
    row = {"clinic_id": ctx.clinic_id, **values}

    def run(connection: Connection) -> None:
        connection.execute(insert(connection, table, row).on_conflict_do_nothing())

    own_data(ctx).write(run)
