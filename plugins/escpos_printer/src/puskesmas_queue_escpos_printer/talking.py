"""One conversation with one printer: how it is, and a job if it may have one."""

from collections.abc import Callable
from dataclasses import dataclass

from puskesmas_queue_escpos_printer.printers import Printer
from puskesmas_queue_escpos_printer.protocol import Sent, State, Status, ask_status, send_job
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import (
    LIMITS,
    Limits,
    Transport,
    TransportFailed,
)
from puskesmas_queue_escpos_printer.transports.opening import open_transport

AFTERWARDS: dict[Reason, State] = {
    Reason.NO_PAPER: "no_paper",
    Reason.COVER_OPEN: "cover_open",
    Reason.PRINTER_ERROR: "error",
    Reason.OFFLINE: "offline",
    Reason.CANNOT_TELL: "cannot_tell",
}
"""How a printer is after a job that ended for such a reason; for any other nobody knows."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What came of it: how the job fared, and how the printer is now."""

    sent: Sent
    status: Status


def see(printer: Printer, limits: Limits = LIMITS) -> Status:
    """Look how a printer is, without printing."""
    try:
        transport = open_transport(printer.setup.kind, printer.setup.address, limits)
        try:
            return _ask(printer, transport, limits)
        finally:
            transport.close()
    except TransportFailed as error:
        return Status("away", error.reason, error.detail)


def send(printer: Printer, data: bytes, begin: Callable[[], bool], limits: Limits = LIMITS) -> Talk:
    """
    Send a job to a printer that may print.

    Args:
        printer: Which one; whoever calls has its turn.
        data: The job.
        begin: Called just before the first byte; False: the job is not sent after all.
        limits: How long the printer has.
    """
    try:
        transport = open_transport(printer.setup.kind, printer.setup.address, limits)
    except TransportFailed as error:
        return _away(error)
    try:
        status = _ask(printer, transport, limits)
        if not status.may_print:
            return Talk(Sent("failed", status.reason, status.detail), status)
        if not begin():
            return Talk(Sent("failed", Reason.LATE), status)
        sent = send_job(transport, data, status, limits)
        if sent.reason is Reason.CANNOT_TELL and not printer.setup.is_answering:
            # The clinic knows it, and has the paper in sight.
            sent = Sent("printed", Reason.CANNOT_TELL)
        return Talk(sent, _afterwards(sent))
    except TransportFailed as error:
        return _away(error)
    finally:
        transport.close()


def _ask(printer: Printer, transport: Transport, limits: Limits) -> Status:
    if not printer.setup.is_answering:
        return Status("cannot_tell", Reason.CANNOT_TELL)
    return ask_status(transport, limits)


def _away(error: TransportFailed) -> Talk:
    """Nothing of the job was sent."""
    status = Status("away", error.reason, error.detail)
    return Talk(Sent("failed", error.reason, error.detail), status)


def _afterwards(sent: Sent) -> Status:
    if sent.reason is None or sent.reason is Reason.NEAR_END:
        return Status("ready", is_near_end=sent.reason is Reason.NEAR_END)
    return Status(AFTERWARDS.get(sent.reason, "unknown"), sent.reason, sent.detail)
