"""The simulated printer as a whole, with the page beside it."""

from pathlib import Path

from puskesmas_queue_escpos_printer.paper import PaperProfile, PaperWidth
from puskesmas_queue_escpos_printer.simulator.control import ControlPage
from puskesmas_queue_escpos_printer.simulator.faults import Faults
from puskesmas_queue_escpos_printer.simulator.mechanism import Answer, Mechanism, PrintedSlip
from puskesmas_queue_escpos_printer.simulator.server import HOST, PrinterSocket, last_port

ADDRESS = "address"
"""The file in its folder that says where jobs are taken, `127.0.0.1:9100` say."""


class PrinterSimulator:
    """
    A printer with 80 mm paper, on loopback; `settings` let the plugin use it.

    Args:
        folder: For its slips, and for the file `address`.
        port: Where it takes jobs; 0 for the port of its last run in this folder, else any.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.faults = Faults()
        self._width_mm: PaperWidth = 80
        self._mechanism = Mechanism(
            folder / "slips", PaperProfile(self._width_mm).dots, self.faults, self._answer
        )
        self._socket = _socket(folder, port, self.faults, self._mechanism)
        self._page = ControlPage(self)
        self.url = self._page.url
        self.settings = {"default_address": self.address}
        (folder / ADDRESS).write_text(self.address, "ascii")
        self._mechanism.start()
        self._socket.start()
        self._page.start()

    @property
    def address(self) -> str:
        """Where it takes jobs, `127.0.0.1:9100` say."""
        return f"{HOST}:{self._socket.port}"

    @property
    def port(self) -> int:
        """Of the address."""
        return self._socket.port

    @property
    def slips(self) -> list[PrintedSlip]:
        """What came out of it, oldest first."""
        return list(self._mechanism.slips)

    @property
    def waiting(self) -> int:
        """How many bytes were received and are not printed yet."""
        return self._mechanism.waiting

    @property
    def width_mm(self) -> PaperWidth:
        """Of the paper that is in it."""
        return self._width_mm

    def load(self, width_mm: PaperWidth) -> None:
        """Put in paper of another width."""
        self._width_mm = width_mm
        self._mechanism.load(PaperProfile(width_mm).dots)

    def stop(self) -> None:
        """End it and let go of its ports; a second time there is nothing to end."""
        self._page.stop()
        self._socket.stop()
        self._mechanism.stop()

    def _answer(self, send: Answer, byte: int) -> None:
        self._socket.answer(send, byte)


def _socket(folder: Path, port: int, faults: Faults, mechanism: Mechanism) -> PrinterSocket:
    """Take the port that is asked for; without one that of the last run, where it is free."""
    last = 0 if port else last_port(folder / ADDRESS)
    if last:
        try:
            return PrinterSocket(last, faults, mechanism)
        except OSError:
            # Somebody else has it: any other will do.
            return PrinterSocket(0, faults, mechanism)
    return PrinterSocket(port, faults, mechanism)
