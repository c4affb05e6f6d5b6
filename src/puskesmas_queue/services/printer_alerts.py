"""
What staff are told of printers: stored, so that every process and the next start know it.

A slip that comes out as it should costs no query: what is stored is remembered per version of a
topic, and only a printer that was in trouble has something to take away.
"""

import logging
from datetime import timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.domain.printers import PrinterAlert, PrinterPlace
from puskesmas_queue.plugin_ports import Printed
from puskesmas_queue.services.topics import PRINTERS_TOPIC
from puskesmas_queue.storage import printer_alerts as rows
from puskesmas_queue.storage.transaction import Tx

SHOWN_FOR = timedelta(hours=24)
"""A kiosk that was taken away, or renamed, asks for no slip that would end its alert."""
log = logging.getLogger(__name__)


def note(clinic: Clinic, at: PrinterPlace, plugin: str, result: Printed, number: str) -> None:
    """
    Tell staff of what a slip met, or that all is well again.

    Never raises: the slip fared as it did, whether that can be stored or not.

    Args:
        clinic: Whose printer.
        at: Which printer, and where.
        plugin: Who brought it; empty where nobody does.
        result: How the slip fared.
        number: Whose slip it was.
    """
    try:
        known = next((one for one in _stored(clinic) if one.at == at), None)
        if result.state in ("printed", "by_page") and not result.detail:
            if known is not None and clinic.db.write(lambda tx: _end(tx, at)):
                log.warning("printer %s prints again at %s", at.printer, _where(at))
            return
        clinic.db.write(lambda tx: _begin(tx, at, plugin, result, number))
    except StorageUnavailable as error:
        log.warning("printer %s: what staff should know was not stored: %s", at.printer, error)
        return
    if known is None or (known.state, known.detail) != (result.state, result.detail):
        # When it begins, not for every slip of a morning.
        told = result.detail or "no reason given"
        log.warning("printer %s at %s, %s: %s", at.printer, _where(at), result.state, told)


def alerts(clinic: Clinic, zone: str | None = None) -> list[PrinterAlert]:
    """Return what staff of a hall, None for all halls, should know of the printers in use."""
    order: tuple[str, ...] = clinic.settings.get("kiosk.printers")
    after = clinic.clock.now() - SHOWN_FOR
    return [
        one
        for one in _stored(clinic)
        if zone in (None, one.at.zone) and one.at.printer in order and one.last_at > after
    ]


def dismiss(clinic: Clinic, at: PrinterPlace, actor: Actor) -> None:
    """Show an alert no more, since somebody saw to the printer; without one nothing happens."""

    def run(tx: Tx) -> None:
        if _end(tx, at):
            where = f"{at.printer} {_where(at)}"
            tx.audit("dismiss_printer_alert", actor=actor, table="printer_alerts", record=where)

    clinic.db.write(run)


def _stored(clinic: Clinic) -> list[PrinterAlert]:
    return clinic.remembered(
        "printer_alerts", PRINTERS_TOPIC, 0.0, lambda: clinic.db.read(rows.load)
    )


def _begin(tx: Tx, at: PrinterPlace, plugin: str, result: Printed, number: str) -> None:
    rows.remove_old(tx, tx.now - SHOWN_FOR)
    rows.store(tx, at, plugin, result.state, result.detail, number)
    tx.touch(PRINTERS_TOPIC)


def _end(tx: Tx, at: PrinterPlace) -> bool:
    is_gone = rows.remove(tx, at)
    if is_gone:
        tx.touch(PRINTERS_TOPIC)
    return is_gone


def _where(at: PrinterPlace) -> str:
    return f"{at.place} {at.place_name}".strip()
