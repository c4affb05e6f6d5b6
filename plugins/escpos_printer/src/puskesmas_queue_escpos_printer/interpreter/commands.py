"""
The commands of ESC/POS in a stream of bytes.

`read` takes what is complete from the front of a buffer: text, or one command with its
parameters. A command that is not known is told with its bytes, never skipped silently.
"""

from collections.abc import Callable
from dataclasses import dataclass

ESC, FS, GS, DLE = 0x1B, 0x1C, 0x1D, 0x10
LF, CR, HT = 0x0A, 0x0D, 0x09


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command.

    Args:
        name: Such as `ESC a`; `text`; `unknown`.
        parameters: The bytes after it.
        data: What a command with data carries, or the text.
    """

    name: str
    parameters: tuple[int, ...] = ()
    data: bytes = b""


Read = tuple[Command, int] | None
"""A command and how many bytes it took; None where more bytes have to come."""

_FIXED = {
    (ESC, ord("@")): 0,
    (ESC, ord("!")): 1,
    (ESC, ord("-")): 1,
    (ESC, ord("E")): 1,
    (ESC, ord("G")): 1,
    (ESC, ord("M")): 1,
    (ESC, ord("a")): 1,
    (ESC, ord("t")): 1,
    (ESC, ord("R")): 1,
    (ESC, ord("2")): 0,
    (ESC, ord("3")): 1,
    (ESC, ord("J")): 1,
    (ESC, ord("d")): 1,
    (ESC, ord("{")): 1,
    (ESC, ord("r")): 1,
    (ESC, ord("p")): 3,
    (FS, ord(".")): 0,
    (FS, ord("&")): 0,
    (GS, ord("!")): 1,
    (GS, ord("B")): 1,
    (GS, ord("b")): 1,
    (GS, ord("a")): 1,
    (GS, ord("r")): 1,
    (GS, ord("P")): 2,
    (GS, ord("L")): 2,
    (GS, ord("W")): 2,
    (DLE, 0x04): 1,
    (DLE, 0x05): 1,
}
"""How many bytes of parameters follow; those with data are read on their own."""
_LETTERS = {ESC: "ESC", FS: "FS", GS: "GS", DLE: "DLE"}
_REAL_TIME = {0x04: "EOT", 0x05: "ENQ"}
_DOTS_24 = (32, 33)


def read(buffer: bytes) -> Read:
    """
    Read what stands at the front of a buffer.

    Returns:
        The command and its length in bytes; None where it is not complete.
    """
    if not buffer:
        return None
    first = buffer[0]
    if first in (LF, CR, HT):
        return Command({LF: "LF", CR: "CR", HT: "HT"}[first]), 1
    if first in _LETTERS:
        return None if len(buffer) == 1 else _command(buffer)
    if first < 0x20:
        return Command("unknown", data=buffer[:1]), 1
    end = next((place for place, one in enumerate(buffer) if one < 0x20), len(buffer))
    return Command("text", data=buffer[:end]), end


def _command(buffer: bytes) -> Read:
    lead, letter = buffer[0], buffer[1]
    own = _WITH_DATA.get((lead, letter))
    if own is not None:
        return own(buffer)
    count = _FIXED.get((lead, letter))
    if count is None:
        return Command("unknown", data=buffer[:2]), 2
    if len(buffer) < 2 + count:
        return None
    said = _REAL_TIME[letter] if lead == DLE else chr(letter)
    return Command(f"{_LETTERS[lead]} {said}", tuple(buffer[2 : 2 + count])), 2 + count


def _raster(buffer: bytes) -> Read:
    """`GS v 0 m xL xH yL yH`: x bytes to a line, y lines."""
    if len(buffer) > 2 and buffer[2] not in (0, ord("0")):
        return Command("unknown", data=buffer[:3]), 3
    if len(buffer) < 8:
        return None
    mode, across, down = buffer[3], _number(buffer, 4), _number(buffer, 6)
    end = 8 + across * down
    if len(buffer) < end:
        return None
    return Command("GS v 0", (mode, across, down), buffer[8:end]), end


def _columns(buffer: bytes) -> Read:
    """`ESC * m nL nH`: n columns of 8 or 24 dots."""
    if len(buffer) < 5:
        return None
    mode, count = buffer[2], _number(buffer, 3)
    end = 5 + count * (3 if mode in _DOTS_24 else 1)
    if len(buffer) < end:
        return None
    return Command("ESC *", (mode, count), buffer[5:end]), end


def _cut(buffer: bytes) -> Read:
    """`GS V m`, with a feed behind it for m above 64."""
    if len(buffer) < 3:
        return None
    length = 4 if buffer[2] in (65, 66) else 3
    if len(buffer) < length:
        return None
    return Command("GS V", tuple(buffer[2:length])), length


def _sized(buffer: bytes) -> Read:
    """`GS ( x pL pH`: as many bytes as it says; none of them is drawn."""
    if len(buffer) < 5:
        return None
    end = 5 + _number(buffer, 3)
    if len(buffer) < end:
        return None
    return Command("unknown", data=buffer[: min(end, 16)]), end


def _tabs(buffer: bytes) -> Read:
    """`ESC D n1 … nk NUL`."""
    end = buffer.find(b"\0", 2)
    if end < 0:
        return None
    return Command("ESC D", tuple(buffer[2:end])), end + 1


def _number(buffer: bytes, place: int) -> int:
    return buffer[place] + 256 * buffer[place + 1]


_WITH_DATA: dict[tuple[int, int], Callable[[bytes], Read]] = {
    (GS, ord("v")): _raster,
    (ESC, ord("*")): _columns,
    (GS, ord("V")): _cut,
    (GS, ord("(")): _sized,
    (FS, ord("(")): _sized,
    (ESC, ord("D")): _tabs,
}
