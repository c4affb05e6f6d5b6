"""The latest days that were closed, so that their slips can be printed."""

import json
from dataclasses import asdict
from datetime import date, timedelta

from sqlalchemy import Column, Connection, Date, MetaData, String, Table, Text, delete, select

from puskesmas_queue.api import Context, DayFact, DayShare
from puskesmas_queue.plugin_tables import insert, own_data

KEPT = timedelta(days=31)
DAYS = Table(
    "escpos_printer_days",
    MetaData(),
    Column("clinic_id", String(36), primary_key=True),
    Column("service_date", Date, primary_key=True),
    Column("totals", Text, nullable=False),
)


def keep(ctx: Context, day: DayFact) -> bool:
    """
    Keep a day's totals, and let go of what is over a month old.

    Returns:
        Whether it is new: a fact comes twice now and then.

    Raises:
        PluginDataUnavailable: It was not kept.
    """
    row = {
        "clinic_id": ctx.clinic_id,
        "service_date": day.service_date,
        "totals": json.dumps(asdict(day), default=str),
    }
    own = DAYS.c.clinic_id == ctx.clinic_id

    def run(connection: Connection) -> bool:
        kept = connection.execute(insert(connection, DAYS, row).on_conflict_do_nothing())
        old = DAYS.c.service_date < day.service_date - KEPT
        connection.execute(delete(DAYS).where(own, old))
        return kept.rowcount == 1

    return own_data(ctx).write(run)


def latest(ctx: Context, limit: int = 14) -> list[DayFact]:
    """
    Return the days that were closed last, latest first.

    Raises:
        PluginDataUnavailable: The tables cannot be read.
    """
    query = (
        select(DAYS.c.totals)
        .where(DAYS.c.clinic_id == ctx.clinic_id)
        .order_by(DAYS.c.service_date.desc())
        .limit(limit)
    )

    def run(connection: Connection) -> list[DayFact]:
        return [_read(text) for text in connection.scalars(query)]

    return own_data(ctx).read(run)


def find(ctx: Context, day: date) -> DayFact | None:
    """
    Return a day's totals, None where it was not closed or is too long ago.

    Raises:
        PluginDataUnavailable: The tables cannot be read.
    """
    query = select(DAYS.c.totals).where(
        DAYS.c.clinic_id == ctx.clinic_id, DAYS.c.service_date == day
    )

    def run(connection: Connection) -> DayFact | None:
        text = connection.scalar(query)
        return None if text is None else _read(text)

    return own_data(ctx).read(run)


def _read(text: str) -> DayFact:
    totals = json.loads(text)
    return DayFact(
        service_date=date.fromisoformat(totals["service_date"]),
        issued=totals["issued"],
        completed=totals["completed"],
        cancelled=totals["cancelled"],
        expired=totals["expired"],
        lanes=tuple(DayShare(**one) for one in totals["lanes"]),
        units=tuple(DayShare(**one) for one in totals["units"]),
    )
