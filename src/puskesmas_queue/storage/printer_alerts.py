"""What is wrong with the printers of each hall, by the place that asked them for a slip."""

from dataclasses import astuple, fields
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, select

from puskesmas_queue.domain.printers import PrinterAlert, PrinterPlace
from puskesmas_queue.storage.tables import printer_alerts
from puskesmas_queue.storage.transaction import Reading, Tx, upsert

_TABLE = printer_alerts
_KEY = [_TABLE.c[field.name] for field in fields(PrinterPlace)]
_REST = [_TABLE.c[field.name] for field in fields(PrinterAlert) if field.name != "at"]


def load(tx: Reading) -> list[PrinterAlert]:
    """Read all of them, by place."""
    rows = tx.conn.execute(
        select(*_KEY, *_REST).where(_TABLE.c.clinic_id == tx.clinic_id).order_by(*_KEY)
    )
    size = len(_KEY)
    return [PrinterAlert(PrinterPlace(*row[:size]), *row[size:]) for row in rows]


def store(tx: Tx, at: PrinterPlace, plugin: str, state: str, detail: str, number: str) -> None:
    """Note what a slip met; what was so before began before."""
    statement = upsert(tx, _TABLE).values(
        clinic_id=tx.clinic_id,
        zone=at.zone,
        place=at.place,
        place_name=at.place_name,
        printer=at.printer,
        plugin=plugin,
        state=state,
        detail=detail,
        number=number,
        since=tx.now,
        last_at=tx.now,
    )
    new = statement.excluded
    is_same = (_TABLE.c.state == new.state) & (_TABLE.c.detail == new.detail)
    tx.conn.execute(
        statement.on_conflict_do_update(
            index_elements=["clinic_id", *(column.name for column in _KEY)],
            set_={
                "plugin": new.plugin,
                "state": new.state,
                "detail": new.detail,
                "number": new.number,
                "since": case((is_same, _TABLE.c.since), else_=new.since),
                "last_at": new.last_at,
            },
        )
    )


def remove(tx: Tx, at: PrinterPlace) -> bool:
    """Forget what was wrong with a printer; returns whether anything was."""
    same = [column == value for column, value in zip(_KEY, astuple(at), strict=True)]
    return _delete(tx, *same) > 0


def remove_old(tx: Tx, before: datetime) -> None:
    """Forget what no slip met since."""
    _delete(tx, _TABLE.c.last_at < before)


def _delete(tx: Tx, *which: ColumnElement[bool]) -> int:
    return tx.conn.execute(
        delete(_TABLE).where(_TABLE.c.clinic_id == tx.clinic_id, *which)
    ).rowcount
