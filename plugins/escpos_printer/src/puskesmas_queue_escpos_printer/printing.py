"""
Prints a job once, by the first of some printers that takes it.

Until the first byte of a job left, the next printer may be tried, and the same one again. From
then on the job is this printer's: it is out, or nobody knows, and it is not sent a second time.
Sending runs on a thread of its own, since a slow printer may take longer than whoever waits.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue_escpos_printer import jobs, printers, talking
from puskesmas_queue_escpos_printer.jobs import Order
from puskesmas_queue_escpos_printer.printers import Printer
from puskesmas_queue_escpos_printer.protocol import Sent, Status
from puskesmas_queue_escpos_printer.reasons import PASSING, WORDS, Reason
from puskesmas_queue_escpos_printer.tables import now_ms
from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, TransportFailed
from puskesmas_queue_escpos_printer.turns import turn

log = logging.getLogger(__name__)
Encode = Callable[[Printer], bytes]
LOOK_S = 0.1
TO_SEE_TO = (Reason.NEAR_END, Reason.SPARE_PRINTER)
"""With what a paper comes out all the same."""
FRESH_MS = 30_000
"""A state that was seen just before and is the same is not written down again."""

_RUNNING: dict[str, set[threading.Thread]] = {}
"""By clinic: what is being sent, for the end of the server to wait for."""
_listing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Times:
    """
    How long things may take, in seconds. The server gives a printer 10 s.

    Args:
        turn_s: To wait for other jobs at one printer.
        again_s: Pause before every printer is tried once more.
        again_until_s: After which none is: whoever waits has the browser, or a pen.
        start_s: After which no job is begun.
        answer_s: After which whoever waits is answered.
        limits: What a printer itself has.
    """

    turn_s: float = 3.0
    again_s: float = 0.5
    again_until_s: float = 2.0
    start_s: float = 6.5
    answer_s: float = 8.5
    limits: Limits = LIMITS


TIMES = Times()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a job fared, as far as is known.

    Args:
        state: `printed`, `unsure` or `failed`.
        reason: Why it is not printed.
        printer_name: Where it is out, or would be.
        detail: What the system or the printer said.
    """

    state: Literal["printed", "unsure", "failed"]
    reason: Reason | None = None
    printer_name: str = ""
    detail: str = ""

    @property
    def words(self) -> str:
        """What staff should know, a text of the catalogues; empty where all is well."""
        is_well = self.state == "printed" and self.reason not in TO_SEE_TO
        return "" if is_well or self.reason is None else WORDS[self.reason]


def print_job(
    ctx: Context,
    order: Order,
    choice: Sequence[Printer],
    encode: Encode,
    times: Times = TIMES,
    began: float | None = None,
) -> Outcome:
    """
    Print a job, unless it was asked for before: then say how it fares.

    Args:
        ctx: Of the plugin.
        order: What is printed.
        choice: By which printers, first choice first.
        encode: Makes what is sent to a printer.
        times: How long it may take.
        began: Since when somebody waits for it, of `time.monotonic`; None: from now on.

    Raises:
        PluginDataUnavailable: The tables cannot be reached; nothing was printed.
    """
    began = time.monotonic() if began is None else began
    until = began + times.answer_s
    mine = jobs.claim(ctx, order)
    if mine is None:
        return _await(ctx, order, until)
    run = _Run(ctx, order, mine, choice, encode, times, began)
    run.thread.start()
    return run.outcome(until)


def join_all(clinic_id: str, wait_s: float) -> None:
    """Wait for the jobs of a clinic that are being sent, so that none ends as unsure."""
    until = time.monotonic() + wait_s
    with _listing:
        threads = list(_RUNNING.get(clinic_id, ()))
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))


def _await(ctx: Context, order: Order, until: float) -> Outcome:
    """Wait for a job that somebody else prints, and say how it fared."""
    jobs.release_lost(ctx)
    while True:
        job = jobs.find(ctx, order.subject, order.job)
        if job is None:
            return Outcome("failed", Reason.LATE, detail="the job was cleared")
        match job.state:
            case "sending" if time.monotonic() >= until:
                return Outcome("unsure", Reason.STILL_PRINTING, job.printer_name)
            case "waiting" if time.monotonic() >= until:
                return Outcome("failed", Reason.BUSY)
            case "printed" | "unsure" | "failed" as state:
                return Outcome(state, job.reason, job.printer_name, job.detail)
        time.sleep(LOOK_S)


class _Run:
    """A job on its thread."""

    def __init__(
        self,
        ctx: Context,
        order: Order,
        mine: str,
        choice: Sequence[Printer],
        encode: Encode,
        times: Times,
        began: float,
    ) -> None:
        self._ctx = ctx
        self._order = order
        self._mine = mine
        self._choice = choice
        self._encode = encode
        self._times = times
        # Slow tables take of the same time: whoever waits is told that nothing comes any more.
        self._start_until = began + times.start_s
        self._again_until = began + times.again_until_s
        self._encoded: dict[str, bytes] = {}
        self._begun_at: Printer | None = None
        self._outcome: Outcome | None = None
        self._is_over = threading.Event()
        self.thread = threading.Thread(target=self._go, name="escpos-job", daemon=True)

    def outcome(self, until: float) -> Outcome:
        """Return how the job fared; where it is not over until then, what is known."""
        self._is_over.wait(max(until - time.monotonic(), 0))
        if self._outcome is not None:
            return self._outcome
        printer = self._begun_at
        if printer is not None:
            return Outcome("unsure", Reason.STILL_PRINTING, printer.name)
        return Outcome("failed", Reason.LATE)

    def _go(self) -> None:
        with _listing:
            _RUNNING.setdefault(self._ctx.clinic_id, set()).add(self.thread)
        try:
            self._outcome = self._print()
        except Exception:
            log.exception("job %s", self._order.job)
            self._outcome = self._end(Sent("unsure" if self._begun_at else "failed"), None)
        finally:
            self._is_over.set()
            with _listing:
                _RUNNING[self._ctx.clinic_id].discard(self.thread)

    def _print(self) -> Outcome:
        """Try the printers until one has begun, or the time to begin is over."""
        failures: dict[str, tuple[Printer, Sent]] = {}
        while True:
            for printer in self._choice:
                sent = self._try(printer)
                if sent.state == "printed" and printer.printer_id != self._choice[0].printer_id:
                    told = f"{self._choice[0].name}: {_words(failures[self._choice[0].printer_id])}"
                    sent = Sent("printed", Reason.SPARE_PRINTER, told)
                if sent.state != "failed":
                    return self._end(sent, printer)
                failures[printer.printer_id] = (printer, sent)
                if time.monotonic() >= self._start_until:
                    return self._fail(failures)
            is_passing = any(sent.reason in PASSING for _, sent in failures.values())
            if not is_passing or time.monotonic() + self._times.again_s >= self._again_until:
                return self._fail(failures)
            time.sleep(self._times.again_s)

    def _try(self, printer: Printer) -> Sent:
        try:
            data = self._data_for(printer)
        except Exception as error:
            log.exception("laying out for %s", printer.name)
            return Sent("failed", Reason.ENCODING, type(error).__name__)
        until = min(time.monotonic() + self._times.turn_s, self._start_until)
        try:
            with turn(self._ctx, printer.device, until):
                talk = talking.send(printer, data, lambda: self._begin(printer), self._times.limits)
                self._note(printer, talk.status)
        except TransportFailed as error:
            return Sent("failed", error.reason, error.detail)
        except PluginDataUnavailable as error:
            # Asked for before the job began: nothing was sent.
            return Sent("failed", Reason.NO_TABLES, str(error))
        if talk.sent.state == "failed":
            self._begun_at = None
        return talk.sent

    def _data_for(self, printer: Printer) -> bytes:
        if printer.printer_id not in self._encoded:
            self._encoded[printer.printer_id] = self._encode(printer)
        return self._encoded[printer.printer_id]

    def _begin(self, printer: Printer) -> bool:
        """Store that it is being sent. Whoever waits was told that it failed, once it is late."""
        if time.monotonic() >= self._start_until:
            return False
        is_mine = jobs.begin(self._ctx, self._order, self._mine, printer.printer_id, printer.name)
        if not is_mine or time.monotonic() >= self._start_until:
            return False
        self._begun_at = printer
        return True

    def _note(self, printer: Printer, status: Status) -> None:
        is_old = now_ms() - printer.seen_ms > FRESH_MS
        if is_old or status != printer.status:
            tell_change(printer, status)
            try:
                printers.note(self._ctx, printer.printer_id, status)
            except PluginDataUnavailable:
                # How the job fared is what counts; the printer is looked at again.
                log.warning("how printer %s is could not be stored", printer.name)

    def _fail(self, failures: dict[str, tuple[Printer, Sent]]) -> Outcome:
        """Nothing printed: what the first choice said is what staff should look after."""
        if not failures:
            return self._end(Sent("failed", Reason.NO_PRINTER), None)
        told = [f"{one[0].name}: {_words(one)}" for one in failures.values()]
        first, sent = next(iter(failures.values()))
        detail = sent.detail if len(told) == 1 else "; ".join(told)
        return self._end(Sent("failed", sent.reason, detail), first)

    def _end(self, sent: Sent, printer: Printer | None) -> Outcome:
        where = ("", "") if printer is None else (printer.printer_id, printer.name)
        try:
            jobs.end(self._ctx, self._order, self._mine, sent, where)
        except PluginDataUnavailable:
            # Left as it is, it counts as interrupted, which is as little as is known.
            log.exception("the end of job %s", self._order.job)
        return Outcome(sent.state, sent.reason, where[1], sent.detail)


def tell_change(printer: Printer, status: Status) -> None:
    """Say in the log when a printer begins to be in trouble, and when it is well again."""
    was_well = printer.status.state in ("ready", "cannot_tell") or not printer.seen_ms
    is_well = status.state in ("ready", "cannot_tell")
    if was_well and not is_well:
        words = status.reason.words if status.reason else status.state
        log.warning("printer %s: %s %s", printer.name, words, status.detail)
    elif is_well and not was_well:
        log.warning("printer %s is well again", printer.name)


def _words(failure: tuple[Printer, Sent]) -> str:
    sent = failure[1]
    return sent.reason.words if sent.reason else sent.state
