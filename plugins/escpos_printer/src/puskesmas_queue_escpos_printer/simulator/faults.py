"""What can go wrong with a printer, as switches that are set while it runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

PaperState = Literal["ok", "near_end", "end"]
MOST = 10_000_000


@dataclass(slots=True)
class Faults:
    """
    Set while the simulator runs; each takes effect at once.

    Args:
        paper: `near_end` prints on; at `end` nothing more comes out until it is `ok` again, then
            what was received is printed.
        is_cover_open: As at the end of the paper.
        is_offline: The same, and the printer says no more than that it is offline.
        is_silent: It prints and answers nothing.
        is_deaf: It reads nothing: what is sent stays on its way.
        answers_garbage: Every answer is bytes that mean nothing.
        refuses: It is off: no connection is taken, and those that are there end.
        cut_after: Ends a connection after so many bytes from it; 0 for never.
        bytes_per_s: Prints no faster than this; 0 for as fast as it can.
    """

    paper: PaperState = "ok"
    is_cover_open: bool = False
    is_offline: bool = False
    is_silent: bool = False
    is_deaf: bool = False
    answers_garbage: bool = False
    refuses: bool = False
    cut_after: int = 0
    bytes_per_s: int = 0

    @property
    def stops_printing(self) -> bool:
        """Say whether nothing comes out of the printer."""
        return self.paper == "end" or self.is_cover_open or self.is_offline

    def status(self, asked: int) -> int:
        """Return the byte that answers `DLE EOT`: 1 printer, 2 why offline, 3 errors, 4 paper."""
        bits = 0b0001_0010
        if asked == 1:
            return bits | (0x08 if self.stops_printing else 0)
        if asked == 2:
            bits |= 0x04 if self.is_cover_open else 0
            return bits | (0x20 if self.paper == "end" else 0)
        if asked == 4:
            bits |= 0x0C if self.paper != "ok" else 0
            return bits | (0x60 if self.paper == "end" else 0)
        return bits

    @property
    def paper_status(self) -> int:
        """Return the byte that answers `GS r 1`, which is asked of a printer that prints."""
        return 0x00 if self.paper == "ok" else 0x03

    def switch(self, wanted: Mapping[str, object]) -> None:
        """
        Set some of them, all or none.

        Raises:
            ValueError: There is no such fault, or it cannot be this.
        """
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        for name, value in wanted.items():
            if name not in kinds:
                raise ValueError(f"no fault {name[:40]}")
            if type(value) is not kinds[name]:
                raise ValueError(f"{name} is of type {kinds[name].__name__}")
            if isinstance(value, int) and not 0 <= value <= MOST:
                raise ValueError(f"{name} is from 0 to {MOST}")
        if wanted.get("paper", "ok") not in get_args(PaperState):
            raise ValueError(f"paper is one of {', '.join(get_args(PaperState))}")
        for name, value in wanted.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, object]:
        """Return all of them by name."""
        return asdict(self)
