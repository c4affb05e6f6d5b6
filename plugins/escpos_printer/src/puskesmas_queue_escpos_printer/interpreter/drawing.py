"""Paper under a printer's head: draws commands into pages."""

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageChops

from puskesmas_queue_escpos_printer.interpreter.commands import Command
from puskesmas_queue_escpos_printer.interpreter.glyphs import UNKNOWN, glyph, letters
from puskesmas_queue_escpos_printer.paper import CELL_HEIGHT, CELL_WIDTH

LINE_SPACING = 30
CUTTER_DOTS = 96
"""From the head to the cutter."""
_FEEDING_CUTS = (65, 66)
LONGEST_PAGE = 40_000
"""Dots: five metres of paper; what feeds on for longer is cut there."""
_GROWTH = 1000
MOST_COMPLAINTS = 50


@dataclass(slots=True)
class _Style:
    width: int = 1
    height: int = 1
    is_bold: bool = False
    underline: int = 0
    is_inverted: bool = False
    align: int = 0
    code_page: int = 0
    is_chinese: bool = False
    line_spacing: int = LINE_SPACING


@dataclass(slots=True)
class _Line:
    """What waits for the end of the line."""

    pieces: list[Image.Image] = field(default_factory=list)
    width: int = 0
    height: int = 0
    text: str = ""


class Paper:
    """
    A roll of paper: takes commands one after the other.

    Args:
        dots: Of a line.
        starts_chinese: Whether the printer comes up taking bytes above 127 for Chinese letters.
    """

    def __init__(self, dots: int, *, starts_chinese: bool = False) -> None:
        self.dots = dots
        self.complaints: list[str] = []
        """What was not understood or would not look as meant."""
        self._starts_chinese = starts_chinese
        self._style = _Style(is_chinese=starts_chinese)
        self._line = _Line()
        self._words: list[str] = []
        self._sheet = Image.new("1", (dots, _GROWTH), 1)
        self._down = 0
        self._has_ink = False
        self._do: dict[str, Callable[[Command], None]] = {
            "text": self._text,
            "LF": lambda _: self._end_line(),
            "CR": lambda _: None,
            "HT": lambda _: self._tab(),
            "ESC @": lambda _: self._reset(),
            "ESC !": self._mode,
            "GS !": self._size,
            "ESC -": lambda one: setattr(self._style, "underline", one.parameters[0] % 48),
            "ESC E": lambda one: setattr(self._style, "is_bold", bool(one.parameters[0] & 1)),
            "ESC G": lambda one: setattr(self._style, "is_bold", bool(one.parameters[0] & 1)),
            "GS B": lambda one: setattr(self._style, "is_inverted", bool(one.parameters[0] & 1)),
            "ESC a": lambda one: setattr(self._style, "align", one.parameters[0] % 48),
            "ESC t": lambda one: setattr(self._style, "code_page", one.parameters[0]),
            "FS .": lambda _: setattr(self._style, "is_chinese", False),
            "FS &": lambda _: setattr(self._style, "is_chinese", True),
            "ESC 2": lambda _: setattr(self._style, "line_spacing", LINE_SPACING),
            "ESC 3": lambda one: setattr(self._style, "line_spacing", one.parameters[0]),
            "ESC J": lambda one: self._end_line(one.parameters[0]),
            "ESC d": self._feed_lines,
            "ESC *": self._columns,
            "GS v 0": self._raster,
        }

    @property
    def has_ink(self) -> bool:
        """Say whether anything was drawn since the last cut."""
        return self._has_ink or bool(self._line.pieces)

    def draw(self, command: Command) -> Image.Image | None:
        """
        Carry out a command.

        Returns:
            The page that it cut off, if any.
        """
        if command.name == "GS V":
            if self._line.pieces:
                self._end_line()
            if command.parameters[0] in _FEEDING_CUTS:
                self._feed(CUTTER_DOTS + command.parameters[1])
            return self.tear()
        do = self._do.get(command.name)
        if do is not None:
            do(command)
        elif command.name not in _WITHOUT_INK:
            self._complain(f"unknown command {command.data.hex(' ') or command.name}")
        return self.tear() if self._down > LONGEST_PAGE else None

    def tear(self) -> Image.Image:
        """Take what was printed since the last cut."""
        page = self._sheet.crop((0, 0, self.dots, max(1, self._down)))
        self._sheet = Image.new("1", (self.dots, _GROWTH), 1)
        self._down = 0
        self._has_ink = False
        return page

    def take_words(self) -> tuple[str, tuple[str, ...]]:
        """Take what was written in the printer's own letters and complained of, until now."""
        text, complaints = "\n".join(self._words), tuple(self.complaints)
        self._words, self.complaints = [], []
        return text, complaints

    def _complain(self, text: str) -> None:
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(text)

    def _reset(self) -> None:
        self._style = _Style(is_chinese=self._starts_chinese)
        self._line = _Line()

    def _mode(self, command: Command) -> None:
        bits = command.parameters[0]
        style = self._style
        style.is_bold = bool(bits & 0x08)
        style.height = 2 if bits & 0x10 else 1
        style.width = 2 if bits & 0x20 else 1
        style.underline = 1 if bits & 0x80 else 0

    def _size(self, command: Command) -> None:
        bits = command.parameters[0]
        self._style.width, self._style.height = (bits >> 4 & 7) + 1, (bits & 7) + 1

    # Text

    def _text(self, command: Command) -> None:
        style = self._style
        if style.is_chinese and any(one > 127 for one in command.data):
            self._complain("letters above 127 while Chinese letters are on")
        for letter in letters(command.data, style.code_page):
            if letter == UNKNOWN:
                self._complain(f"no such letter in code page {style.code_page}")
            cell = CELL_WIDTH * style.width
            if self._line.width + cell > self.dots:
                self._complain("a line was too long and went on below")
                self._end_line()
            self._add(self._letter(letter))
            self._line.text += letter

    def _letter(self, letter: str) -> Image.Image:
        style = self._style
        made = glyph(letter, style.width, style.height, style.is_bold)
        if style.underline:
            made = made.copy()
            made.paste(255, (0, made.height - 1 - style.underline, made.width, made.height - 1))
        return ImageChops.invert(made) if style.is_inverted else made

    def _tab(self) -> None:
        step = 8 * CELL_WIDTH
        width = step - self._line.width % step
        if self._line.width + width <= self.dots:
            self._add(Image.new("L", (width, CELL_HEIGHT), 0))

    def _add(self, piece: Image.Image) -> None:
        line = self._line
        line.pieces.append(piece)
        line.width += piece.width
        line.height = max(line.height, piece.height)

    def _end_line(self, spacing: int | None = None) -> None:
        """Print the line and feed: by the line spacing, and by no less than its letters' height."""
        line, self._line = self._line, _Line()
        if line.text.strip():
            self._words.append(line.text.strip())
        left = self._left(line.width)
        for piece in line.pieces:
            # Letters of different heights stand on one line.
            self._ink(piece, left, self._down + line.height - piece.height)
            left += piece.width
        feed = self._style.line_spacing if spacing is None else spacing
        self._feed(max(feed, line.height))

    def _left(self, width: int) -> int:
        spare = max(0, self.dots - width)
        return {1: spare // 2, 2: spare}.get(self._style.align, 0)

    def _feed_lines(self, command: Command) -> None:
        if self._line.pieces:
            self._end_line()
            self._feed(self._style.line_spacing * max(0, command.parameters[0] - 1))
        else:
            self._feed(self._style.line_spacing * command.parameters[0])

    # Pictures

    def _raster(self, command: Command) -> None:
        mode, across, down = command.parameters
        if self._line.pieces:
            self._complain("a raster picture in the middle of a line")
            self._end_line()
        if not across or not down:
            return
        picture = Image.frombytes("1", (across * 8, down), command.data).convert("L")
        wide, high = (2 if mode & 1 else 1), (2 if mode & 2 else 1)
        picture = picture.resize((picture.width * wide, picture.height * high))
        if picture.width >= self.dots + 8:
            self._complain(f"a picture of {picture.width} dots on {self.dots}")
        self._ink(picture, self._left(picture.width), self._down)
        self._feed(picture.height)

    def _columns(self, command: Command) -> None:
        mode, count = command.parameters
        rows = 24 if mode in (32, 33) else 8
        # Column after column from the left: on its side it is a picture in lines.
        on_side = Image.frombytes("1", (rows, count), command.data).convert("L")
        picture = on_side.transpose(Image.Transpose.TRANSPOSE)
        wide = 1 if mode in (1, 33) else 2
        self._add(picture.resize((picture.width * wide, 24)))
        if self._line.width > self.dots + 8:
            self._complain(f"a picture of {self._line.width} dots on {self.dots}")

    def _ink(self, piece: Image.Image, left: int, top: int) -> None:
        """Put what is white in a piece onto the paper as black."""
        if piece.getbbox() is None:
            return
        self._grow(top + piece.height)
        self._sheet.paste(0, (left, top), piece.convert("1"))
        self._has_ink = True

    def _feed(self, dots: int) -> None:
        self._down += dots
        self._grow(self._down)

    def _grow(self, height: int) -> None:
        if height <= self._sheet.height:
            return
        larger = Image.new("1", (self.dots, height + _GROWTH), 1)
        larger.paste(self._sheet, (0, 0))
        self._sheet = larger


_WITHOUT_INK = frozenset(
    {
        "ESC M", "ESC R", "ESC r", "ESC p", "ESC D", "ESC {", "GS b", "GS a", "GS r", "GS P",
        "GS L", "GS W", "DLE EOT", "DLE ENQ",
    }
)  # fmt: skip
"""Known, and nothing that python-escpos sends here looks different by them."""
