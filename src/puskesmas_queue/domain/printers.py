"""Printers as places use them, and what staff should know of one."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PrinterPlace:
    """
    A printer as one place uses it.

    Args:
        zone: The hall.
        place: `kiosk` or `counter`.
        place_name: See `Slip`.
        printer: As `kiosk.printers` names it.
    """

    zone: str
    place: str
    place_name: str
    printer: str


@dataclass(frozen=True, slots=True)
class PrinterAlert:
    """
    That staff should look after a printer.

    Args:
        at: Which, and where.
        plugin: Who brought it; empty where nobody does.
        state: `failed`; `unsure`; or `printed`, but something is the matter.
        detail: What, a text of the plugin's catalogues; may be empty.
        number: Of the latest slip that it is about.
        since: When it began.
        last_at: When a slip met it last.
    """

    at: PrinterPlace
    plugin: str
    state: str
    detail: str
    number: str
    since: datetime
    last_at: datetime
