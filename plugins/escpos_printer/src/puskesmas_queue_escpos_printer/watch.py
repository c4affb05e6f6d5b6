"""Looks after the printers all day, so that staff hear of an empty roll before a patient does."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue_escpos_printer import jobs, printers, talking
from puskesmas_queue_escpos_printer.printers import Printer
from puskesmas_queue_escpos_printer.printing import tell_change
from puskesmas_queue_escpos_printer.tables import now_ms
from puskesmas_queue_escpos_printer.transports.base import TransportFailed
from puskesmas_queue_escpos_printer.turns import turn

EVERY_S = 60.0
TROUBLED_S = 10.0
"""A printer in trouble is looked at more often: somebody stands before it, and waits."""
MOST_AT_ONCE = 8
TURN_S = 0.5


def look(ctx: Context, printer: Printer) -> None:
    """See how a printer is and keep it; one that is printing is left alone."""
    try:
        with turn(ctx, printer.device, time.monotonic() + TURN_S):
            status = talking.see(printer)
    except TransportFailed:
        return  # no turn
    tell_change(printer, status)
    printers.note(ctx, printer.printer_id, status)


def look_at_all(ctx: Context, chosen: Sequence[Printer]) -> None:
    """
    See how some printers are, several at once: each takes three seconds at most.

    Raises:
        PluginDataUnavailable: The tables cannot be reached.
    """
    if not chosen:
        return
    with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="escpos-look") as pool:
        for seen in [pool.submit(look, ctx, printer) for printer in chosen]:
            seen.result()


class Watch:
    """
    The look-out of one clinic.

    Args:
        ctx: Of the plugin's start; its tables stay the same.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="escpos-watch", daemon=True)

    def start(self) -> None:
        """Look at once, then every minute."""
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """End it."""
        self._is_over.set()
        self._thread.join(wait_s)

    def _keep(self) -> None:
        while True:
            pause_s = self._look()
            if self._is_over.wait(pause_s):
                return

    def _look(self) -> float:
        """Look at what was not seen lately, by a job or by another process; return the pause."""
        try:
            jobs.release_lost(self._ctx)
            known = self._active()
            old = now_ms() - int(self._pause_s(known) * 1000) // 2
            look_at_all(self._ctx, [one for one in known if one.seen_ms < old])
            return self._pause_s(self._active())
        except PluginDataUnavailable:
            # `doctor` says so; a printer that nobody looks at still prints.
            return TROUBLED_S

    def _active(self) -> list[Printer]:
        return [one for one in printers.all_printers(self._ctx) if one.is_active]

    def _pause_s(self, known: Sequence[Printer]) -> float:
        return TROUBLED_S if any(one.is_in_trouble for one in known) else EVERY_S
