"""The printer behind its socket: a buffer, and what comes out of it when nothing stops it."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from puskesmas_queue_escpos_printer.interpreter.commands import Command, read
from puskesmas_queue_escpos_printer.interpreter.drawing import Paper
from puskesmas_queue_escpos_printer.interpreter.pages import as_png
from puskesmas_queue_escpos_printer.simulator.faults import Faults

BUFFER = 131_072
"""Bytes that a printer takes before they are printed; then its sender waits."""
LONGEST_COMMAND = BUFFER
"""A picture that claims to be larger is no picture."""
MOST_SLIPS = 300
LOOK_S = 0.05
"""How soon a fault that was switched takes effect."""
Answer = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class PrintedSlip:
    """
    What came out of the printer in one piece.

    Args:
        number: Counts them, from 1.
        at: When it was cut off.
        picture: Its PNG.
        sent: The bytes it was made of.
        text: What it says in the printer's own letters.
        complaints: What was not understood or does not look as meant.
        is_cut: False where it was torn off since its sender went away.
    """

    number: int
    at: datetime
    picture: Path
    sent: Path
    text: str
    complaints: tuple[str, ...]
    is_cut: bool


@dataclass(slots=True)
class _Part:
    """Bytes of one sender; `is_last` when it went away."""

    answer: Answer
    data: bytearray
    is_last: bool = False


class Mechanism:
    """
    Prints what it is given, in order, while no fault stops it.

    Args:
        folder: Where slips are kept.
        dots: Of a line.
        faults: Looked at before each command.
        answer_to: Turns an answer into what is sent, by the faults.
    """

    def __init__(
        self, folder: Path, dots: int, faults: Faults, answer_to: Callable[[Answer, int], None]
    ) -> None:
        self.slips: deque[PrintedSlip] = deque(maxlen=MOST_SLIPS)
        self._folder = folder
        self._faults = faults
        self._answer_to = answer_to
        self._parts: deque[_Part] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._paper = Paper(dots)
        self._sent = bytearray()
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="simulated-printer", daemon=True)

    @property
    def waiting(self) -> int:
        """How many bytes were received and are not printed yet."""
        return self._waiting

    def start(self) -> None:
        """Begin to print; what an earlier run left in the folder goes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in (*self._folder.glob("*.png"), *self._folder.glob("*.bin")):
            old.unlink()
        self._thread.start()

    def stop(self) -> None:
        """End, whatever was received."""
        self._is_over.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def load(self, dots: int) -> None:
        """Put in paper of another width."""
        with self._changed:
            self._paper = Paper(dots)
            self._sent = bytearray()

    def take(self, data: bytes, answer: Answer) -> None:
        """Take bytes from a sender; wait while the buffer is full."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting < BUFFER or self._is_over.is_set() or self._faults.refuses
            )
            if self._parts and self._parts[-1].answer is answer:
                self._parts[-1].data += data
            else:
                self._parts.append(_Part(answer, bytearray(data)))
            self._waiting += len(data)
            self._changed.notify_all()

    def end_of(self, answer: Answer) -> None:
        """Hear that a sender went away: what it did not finish is torn off."""
        with self._changed:
            if self._parts and self._parts[-1].answer is answer:
                self._parts[-1].is_last = True
            else:
                self._parts.append(_Part(answer, bytearray(), is_last=True))
            self._changed.notify_all()

    def lose(self) -> None:
        """Forget what was received, as a printer does whose power fails."""
        with self._changed:
            self._parts.clear()
            self._waiting = 0
            if self._paper.has_ink:
                self._keep(self._paper.tear(), is_cut=False)
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_over.is_set():
            with self._changed:
                if self._faults.stops_printing or not self._step():
                    self._changed.wait(LOOK_S)

    def _step(self) -> bool:
        """Carry out one command; False where there is none that is complete."""
        if not self._parts:
            return False
        part = self._parts[0]
        found = read(bytes(part.data[:LONGEST_COMMAND]))
        if found is not None:
            self._carry_out(part, *found)
            return True
        if len(part.data) >= LONGEST_COMMAND:
            self._carry_out(part, Command("unknown", data=bytes(part.data[:2])), 2)
            return True
        if not part.is_last:
            return False
        if part.data:
            self._paper.complaints.append(f"the job ended within {part.data[:4].hex(' ')}")
            self._sent += part.data
            self._waiting -= len(part.data)
        self._parts.popleft()
        if self._paper.has_ink:
            self._keep(self._paper.tear(), is_cut=False)
        return True

    def _carry_out(self, part: _Part, command: Command, length: int) -> None:
        self._sent += part.data[:length]
        del part.data[:length]
        self._waiting -= length
        page = self._paper.draw(command)
        if page is not None:
            self._keep(page, is_cut=True)
        elif command.name == "GS r":
            asks_paper = command.parameters[0] in (1, 49)
            self._answer_to(part.answer, self._faults.paper_status if asks_paper else 0)
        self._changed.notify_all()
        if self._faults.bytes_per_s and not self._is_over.is_set():
            self._changed.wait_for(self._is_over.is_set, length / self._faults.bytes_per_s)

    def _keep(self, page: Image.Image, *, is_cut: bool) -> None:
        self._count += 1
        picture = self._folder / f"{self._count:05d}.png"
        sent = picture.with_suffix(".bin")
        picture.write_bytes(as_png(page))
        sent.write_bytes(self._sent)
        if len(self.slips) == MOST_SLIPS:
            oldest = self.slips[0]
            oldest.picture.unlink(missing_ok=True)
            oldest.sent.unlink(missing_ok=True)
        text, complaints = self._paper.take_words()
        self.slips.append(
            PrintedSlip(self._count, datetime.now(UTC), picture, sent, text, complaints, is_cut)
        )
        self._sent = bytearray()
