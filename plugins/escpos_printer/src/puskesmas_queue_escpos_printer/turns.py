"""
One job at a time at a printer, in this process and in every other one of the server.

In the process a note of who has it; between processes a row with an end, so that a process that
dies gives its turn back by itself.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, delete

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue.plugin_tables import insert, own_data
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.tables import TURNS, now_ms
from puskesmas_queue_escpos_printer.transports.base import TransportFailed, rest_s

LEASE_S = 50.0
"""Longer than a job may take from the turn's begin to its end."""
LOOK_S = 0.1

_HOLDERS: dict[str, object] = {}
"""By device. Of the process and no clinic's: two clinics may share a printer."""
_changed = threading.Condition()


@contextmanager
def turn(ctx: Context, device: str, until: float) -> Iterator[None]:
    """
    Have a printer for oneself.

    Args:
        device: Which one.
        until: How long is waited for it, of `time.monotonic`.

    Raises:
        TransportFailed: Others had it all the time.
        PluginDataUnavailable: The tables cannot be reached.
    """
    mine = object()
    # Taken inside of `try`: a job that ran out of time is ended in any line, this one most likely.
    try:
        if not _take(device, mine, until):
            raise TransportFailed(Reason.BUSY)
        holder = _claim(ctx, device, until)
        try:
            yield
        finally:
            # Where the tables are away, the turn ends by itself.
            with suppress(PluginDataUnavailable):
                _give_back(ctx, device, holder)
    finally:
        _give(device, mine)


def release_all(ctx: Context) -> None:
    """Take every turn back where no other process can have one: as a server on SQLite begins."""

    def run(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(delete(TURNS).where(TURNS.c.clinic_id == ctx.clinic_id))

    own_data(ctx).write(run)


def _take(device: str, mine: object, until: float) -> bool:
    with _changed:
        is_free = _changed.wait_for(lambda: device not in _HOLDERS, rest_s(until))
        if is_free:
            _HOLDERS[device] = mine
        return is_free


def _give(device: str, mine: object) -> None:
    with _changed:
        if _HOLDERS.get(device) is mine:
            del _HOLDERS[device]
            _changed.notify_all()


def _claim(ctx: Context, device: str, until: float) -> str:
    holder = secrets.token_hex(8)
    while not _try(ctx, device, holder):
        if time.monotonic() >= until:
            raise TransportFailed(Reason.BUSY, "another process of the server prints")
        time.sleep(LOOK_S)
    return holder


def _try(ctx: Context, device: str, holder: str) -> bool:
    """Take the row where it is free or its time is over, in one statement."""
    now = now_ms()
    row = {
        "clinic_id": ctx.clinic_id,
        "address": device,
        "holder": holder,
        "until_ms": now + int(LEASE_S * 1000),
    }

    def run(connection: Connection) -> bool:
        statement = insert(connection, TURNS, row)
        taken = statement.on_conflict_do_update(
            index_elements=[TURNS.c.clinic_id, TURNS.c.address],
            set_={"holder": row["holder"], "until_ms": row["until_ms"]},
            where=TURNS.c.until_ms < now,
        )
        return connection.execute(taken.returning(TURNS.c.holder)).first() is not None

    return own_data(ctx).write(run)


def _give_back(ctx: Context, device: str, holder: str) -> None:
    def run(connection: Connection) -> None:
        connection.execute(
            delete(TURNS).where(
                TURNS.c.clinic_id == ctx.clinic_id,
                TURNS.c.address == device,
                TURNS.c.holder == holder,
            )
        )

    own_data(ctx).write(run)
