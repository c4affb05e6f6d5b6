"""A printer and an announcer that remember what they were told, and fail where a test says so."""

from collections.abc import Sequence

from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Announcer, Printed, Printer, Slip, Speech, Utterance


class FakePrinter:
    """
    A plugin whose printer keeps every slip; answers `outcome`, or raises `failure`.

    Args:
        name: As `kiosk.printers` names it.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.slips: list[Slip] = []
        self.outcome = Printed("printed")
        self.failure: Exception | None = None

    @hookimpl
    def register_printers(self) -> Sequence[Printer]:
        """Bring it."""
        return [Printer(self.name, self._print)]

    def _print(self, slip: Slip, ctx: Context) -> Printed:
        if self.failure is not None:
            raise self.failure
        if self.outcome.state == "printed":
            self.slips.append(slip)
        return self.outcome


class FakeAnnouncer:
    """
    A plugin whose announcer keeps every announcement; answers `sound`, or raises `failure`.

    Args:
        name: As `display.announcers` names it.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.spoken: list[Utterance] = []
        self.sound: tuple[bytes, ...] = (b"RIFF",)
        self.failure: Exception | None = None

    @hookimpl
    def register_announcers(self) -> Sequence[Announcer]:
        """Bring it."""
        return [Announcer(self.name, self._speak)]

    def _speak(self, utterance: Utterance, ctx: Context) -> Speech:
        if self.failure is not None:
            raise self.failure
        self.spoken.append(utterance)
        return Speech(self.sound)
