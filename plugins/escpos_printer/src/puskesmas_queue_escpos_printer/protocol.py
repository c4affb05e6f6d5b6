"""
What is said to a printer: how it is, the job, and whether the job is out.

ESC/POS as Epson describes it. `DLE EOT n` is answered at once, with one byte in which bits 1 and 4
are set; `GS r 1` is answered when everything before it was printed, with one byte in which bits 4
to 7 are clear. So the two cannot be mistaken for each other. That a system took the bytes says
nothing: a printer without paper takes them too.
"""

import time
from dataclasses import dataclass
from typing import Literal

from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import (
    LIMITS,
    Limits,
    Transport,
    TransportFailed,
)

ASK = b"\x10\x04"
"""DLE EOT, followed by what is asked for: 1 the printer, 2 why offline, 3 which error, 4 paper."""
BARRIER = b"\x1dr\x01"
BARRIER_ANSWERS = {0x00, 0x03, 0x0C, 0x0F}
"""Paper there or nearly at its end (bits 0 and 1), out (bits 2 and 3)."""
OUT_AT_BARRIER = 0x0C
NEAR_AT_BARRIER = 0x03
MOST_GARBAGE = 64

State = Literal[
    "ready", "no_paper", "cover_open", "error", "offline", "unknown", "away", "cannot_tell"
]


@dataclass(frozen=True, slots=True)
class Status:
    """
    How a printer is.

    Args:
        state: `unknown`: it was reached and says nothing of use. `away`: it was not reached.
            `cannot_tell`: nothing can come back from it.
        reason: Why it is not ready.
        detail: What the system or the printer said.
        is_near_end: Whether the roll is nearly at its end.
    """

    state: State
    reason: Reason | None = None
    detail: str = ""
    is_near_end: bool = False

    @property
    def may_print(self) -> bool:
        """Whether a job is sent to it."""
        return self.state in ("ready", "unknown", "cannot_tell")


@dataclass(frozen=True, slots=True)
class Sent:
    """
    How a job fared.

    Args:
        state: `printed`: the printer said so. `unsure`: something of it may be out. `failed`:
            nothing of it is.
        reason: Why it is not printed; or what staff should see to though it is.
        detail: What the system or the printer said.
    """

    state: Literal["printed", "unsure", "failed"]
    reason: Reason | None = None
    detail: str = ""


def ask_status(transport: Transport, limits: Limits = LIMITS) -> Status:
    """
    Ask a printer how it is.

    Raises:
        TransportFailed: The connection broke.
    """
    if not transport.can_answer:
        return Status("cannot_tell", Reason.CANNOT_TELL)
    # A cable still holds what was answered after the last job was given up.
    transport.receive(time.monotonic())
    answers: dict[int, int] = {}
    for topic in (1, 2, 3, 4):
        answer = _ask(transport, topic, limits)
        if isinstance(answer, Reason):
            if topic == 1:
                return Status("unknown", answer)
            break  # some printers know the first questions only; what they said counts
        answers[topic] = answer
    return _read(answers)


def send_job(transport: Transport, data: bytes, status: Status, limits: Limits = LIMITS) -> Sent:
    """
    Send a job and wait until it is out.

    Args:
        transport: The way to the printer.
        data: The job.
        status: How the printer was just before.
        limits: How long it has.
    """
    until = time.monotonic() + limits.whole_s
    answers = transport.can_answer and status.state != "cannot_tell"
    try:
        transport.send(data + BARRIER if answers else data, until)
    except TransportFailed as error:
        state: Literal["unsure", "failed"] = "unsure" if error.has_begun else "failed"
        return Sent(state, error.reason, error.detail)
    if not answers:
        return Sent("unsure", Reason.CANNOT_TELL)
    wait_s = limits.silent_s if status.state == "unknown" else limits.barrier_s
    until = min(until, time.monotonic() + wait_s)
    try:
        return _await_barrier(transport, status, limits, until)
    except TransportFailed as error:
        return Sent("unsure", error.reason, error.detail)


def _await_barrier(transport: Transport, status: Status, limits: Limits, until: float) -> Sent:
    garbage = b""
    asked = False
    while (now := time.monotonic()) < until:
        data = transport.receive(min(until, now + limits.look_s))
        for byte in data:
            if byte in BARRIER_ANSWERS:
                return _at_barrier(byte, status)
            if not _is_answer(byte):
                garbage += bytes([byte])
        if len(garbage) > MOST_GARBAGE:
            break
        if not data and status.state == "ready":
            # Nothing was heard: it prints, or it cannot. It tells at once which.
            found, barrier = _look(transport, limits)
            if barrier is not None:
                return _at_barrier(barrier, status)
            if found is not None and not found.may_print:
                return Sent("unsure", found.reason, found.detail)
            asked = True
    if garbage:
        return Sent("unsure", Reason.GARBAGE, garbage[:16].hex(" "))
    return Sent("unsure", Reason.NO_ANSWER, "asked in vain" if asked else "")


def _at_barrier(byte: int, status: Status) -> Sent:
    if byte & OUT_AT_BARRIER:
        # Where the roll ended, nobody knows: before the last line or after it.
        return Sent("unsure", Reason.NO_PAPER, "the paper ended with this job")
    is_near_end = status.is_near_end or bool(byte & NEAR_AT_BARRIER)
    return Sent("printed", Reason.NEAR_END if is_near_end else None)


def _look(transport: Transport, limits: Limits) -> tuple[Status | None, int | None]:
    """Ask again while a job is printed; the job's own answer may come in between."""
    answers: dict[int, int] = {}
    for topic in (1, 2, 3, 4):
        transport.send(ASK + bytes([topic]), time.monotonic() + limits.status_s)
        until = time.monotonic() + limits.status_s
        while topic not in answers:
            data = transport.receive(until)
            if not data:
                return (_read(answers) if answers else None), None
            for byte in data:
                if byte in BARRIER_ANSWERS:
                    return None, byte
                if _is_answer(byte):
                    answers[topic] = byte
    return _read(answers), None


def _ask(transport: Transport, topic: int, limits: Limits) -> int | Reason:
    until = time.monotonic() + limits.status_s
    transport.send(ASK + bytes([topic]), until)
    data = transport.receive(until)
    if not data:
        return Reason.SILENT
    if len(data) != 1 or not _is_answer(data[0]):
        return Reason.GARBAGE
    return data[0]


def _is_answer(byte: int) -> bool:
    """Whether it is the answer to a question: bits 1 and 4 set, 0 and 7 clear."""
    return byte & 0b1001_0011 == 0b0001_0010


def _read(answers: dict[int, int]) -> Status:
    """Make one state of what was answered; a printer that says nothing of a topic is well there."""
    printer, cause, error, paper = (answers.get(topic, 0) for topic in (1, 2, 3, 4))
    told = " ".join(f"{topic}:{byte:02x}" for topic, byte in answers.items())
    if cause & 0x04:
        # An open cover lets the paper look as if it had ended: it goes first.
        return Status("cover_open", Reason.COVER_OPEN, told)
    if paper & 0x60 or cause & 0x20:
        return Status("no_paper", Reason.NO_PAPER, told)
    if error & 0x68 or cause & 0x40:
        return Status("error", Reason.PRINTER_ERROR, _error_words(error) or told)
    if printer & 0x08:
        return Status("offline", Reason.OFFLINE, told)
    return Status("ready", None, "", is_near_end=bool(paper & 0x0C))


def _error_words(error: int) -> str:
    if error & 0x08:
        return "cutter"
    if error & 0x20:
        return "unrecoverable"
    return "recovers by itself" if error & 0x40 else ""
