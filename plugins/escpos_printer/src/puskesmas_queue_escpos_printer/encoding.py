"""Slips as bytes for a printer (ESC/POS), made by python-escpos."""

import io
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from PIL import Image

from puskesmas_queue.api import DayFact, Slip
from puskesmas_queue_escpos_printer import pictures
from puskesmas_queue_escpos_printer.blocks import (
    TO_THE_RIGHT,
    Align,
    Block,
    Size,
    Template,
    Values,
    fill,
    is_shown,
)
from puskesmas_queue_escpos_printer.paper import PaperProfile, printable
from puskesmas_queue_escpos_printer.values import (
    Head,
    TestFacts,
    day_values,
    test_values,
    ticket_values,
)
from puskesmas_queue_escpos_printer.wrapping import longest_word, row, wrap

_LEAVE_CHINESE = b"\x1c."
"""Many printers come up taking two bytes above 127 for one Chinese letter."""
_FEED_DOTS = b"\x1bJ"
_FEED_AND_FULL_CUT = b"\x1dVA\x00"
_ROWS = ("row", "list")
_WORDLESS = ("rule", "logo")
_SIZES: dict[Size, tuple[tuple[int, int], ...]] = {
    "small": ((1, 1),),
    "tall": ((1, 2), (1, 1)),
    "large": ((2, 2), (1, 2), (1, 1)),
    "huge": ((3, 3), (2, 2), (1, 2), (1, 1)),
}
"""Width and height of letters by size; the next ones where a word would not fit."""
_MOST_WIDE_LINES = 3
"""A long name in large letters would be half of the slip."""
_SPACE = 8
"""White dots between blocks."""
_TEAR_LINES = 5
"""From the head to the edge that a hand tears at."""
_PICKLE_VARIABLE = "ESCPOS_CAPABILITIES_PICKLE_DIR"
_KNOWN_PRINTER = "TM-T20II"
"""Of python-escpos' profiles the one with every code page of ours at the usual place."""


def warm_up() -> None:
    """Import what the first slip needs, so that nobody has to wait for it at a kiosk."""
    _library()


def encode_ticket(slip: Slip, template: Template, profile: PaperProfile) -> bytes:
    """Return the bytes that print a ticket."""
    return encode(template, ticket_values(slip), slip.language, profile)


def encode_test_page(facts: TestFacts, head: Head, template: Template) -> bytes:
    """Return the bytes that print a printer's test page."""
    return encode(template, test_values(facts, head), head.language, facts.profile)


def encode_day_slip(day: DayFact, head: Head, template: Template, profile: PaperProfile) -> bytes:
    """Return the bytes that print the slip of a day."""
    return encode(template, day_values(day, head), head.language, profile)


def encode(template: Template, values: Values, language: str, profile: PaperProfile) -> bytes:
    """
    Return the bytes that print a slip of any kind.

    They begin with a reset and end with a cut or a feed; whether they were printed has to be
    asked by whoever sends them.
    """
    paper = _Paper(profile, template.logo)
    shown = [block for block in template.blocks if is_shown(block, values)]
    said = [(block, one) for block in shown for one in _said(block, values, language, profile)]
    there = [(block, one) for block, one in said if one.text or block.shape in _WORDLESS]
    # Rows that stand together have letters of one size.
    for is_row, together in groupby(there, key=lambda pair: pair[0].shape in _ROWS):
        if is_row:
            paper.add_rows(list(together))
        else:
            for block, one in together:
                paper.add(block, one, is_priority=bool(values.get("is_priority")))
    return paper.finish()


@dataclass(frozen=True, slots=True)
class _Said:
    """What a block says on this slip, in letters that the printer has where it prints them."""

    text: str
    label: str


def _said(block: Block, values: Values, language: str, profile: PaperProfile) -> Iterator[_Said]:
    text, label = fill(block.text.say(language), values), fill(block.label.say(language), values)
    if block.shape == "list":
        for line in text.splitlines():
            left, _, right = line.partition(TO_THE_RIGHT)
            yield _Said(_letters(right, profile), _letters(left, profile))
    elif block.is_worded:
        yield _Said(_letters(text, profile), _letters(label, profile))
    else:
        yield _Said(text, label)


def _letters(text: str, profile: PaperProfile) -> str:
    return "\n".join(printable(line, profile.code_page) for line in text.splitlines()).strip()


class _Paper:
    """Prints blocks one below the other."""

    def __init__(self, profile: PaperProfile, logo: bytes | None) -> None:
        self._profile = profile
        self._logo = logo
        self._printer = _library().Dummy(profile=_KNOWN_PRINTER)
        self._printer.hw("INIT")
        if profile.code_page == "ascii":
            # Nothing is switched: the lower half is the same everywhere.
            self._printer.magic.encoding = "CP437"
            self._printer.magic.disabled = True
        else:
            self._raw(_LEAVE_CHINESE)
            self._printer.magic.force_encoding(profile.code_page.upper())

    def add(self, block: Block, said: _Said, *, is_priority: bool) -> None:
        """Print a block of any shape but a row."""
        dots = self._profile.dots
        if block.shape == "rule":
            self._picture(pictures.rule_picture(dots))
        elif block.shape == "logo":
            if self._logo is not None:
                self._picture(_fitting(self._logo, dots), _SPACE)
        elif block.shape == "number":
            made = pictures.number_picture(said.text, said.label, dots, is_priority=is_priority)
            self._picture(made, _SPACE)
        elif block.shape == "qr":
            self._picture(pictures.qr_picture(said.text, dots), _SPACE)
        else:
            size, lines = self._wrapped(block.size, said.text)
            self._lines(lines, size, align=block.align, is_bold=block.is_bold)

    def add_rows(self, rows: Sequence[tuple[Block, _Said]]) -> None:
        """Print rows one below the other, each on one line while smaller letters keep it so."""
        longest = max(len(said.label) + 1 + len(said.text) for _, said in rows)
        for block, said in rows:
            size = self._size(block.size, longest)
            lines = row(said.label, said.text, self._profile.columns // size[0])
            self._lines(lines, size, align="left", is_bold=block.is_bold)

    def finish(self) -> bytes:
        """End the slip and return it."""
        if self._profile.cut == "none":
            self._printer.print_and_feed(_TEAR_LINES)
        elif self._profile.cut == "partial":
            # The printer itself knows how far it is from the head to its cutter.
            self._printer.cut(feed=False)
        else:
            self._raw(_FEED_AND_FULL_CUT)
        made: bytes = self._printer.output
        return made

    def _wrapped(self, wished: Size, text: str) -> tuple[tuple[int, int], list[str]]:
        """Take letters in which no word is broken, and wide ones for a few lines only."""
        columns = self._profile.columns
        longest = longest_word(text)
        for size in _SIZES[wished]:
            lines = wrap(text, columns // size[0])
            is_short = size[0] == 1 or len(lines) <= _MOST_WIDE_LINES
            if is_short and longest <= columns // size[0]:
                return size, lines
        smallest = _SIZES[wished][-1]
        return smallest, wrap(text, columns // smallest[0])

    def _size(self, wished: Size, longest: int) -> tuple[int, int]:
        sizes = _SIZES[wished]
        columns = self._profile.columns
        return next((size for size in sizes if longest <= columns // size[0]), sizes[-1])

    def _lines(
        self, lines: Iterable[str], size: tuple[int, int], *, align: Align, is_bold: bool
    ) -> None:
        width, height = size
        self._printer.set(align=align, bold=is_bold, underline=0, invert=False)
        self._printer.set(custom_size=True, width=width, height=height, smooth=True)
        for line in lines:
            self._printer.textln(line.rstrip())
        # Some printers keep a size through whatever comes next.
        self._printer.set(custom_size=True, width=1, height=1, bold=False, align="left")
        self._space(_SPACE)

    def _space(self, height: int) -> None:
        if not height:
            return
        if self._profile.images == "raster":
            self._printer.image(pictures.space_picture(height))
        else:
            self._raw(_FEED_DOTS + bytes((height,)))

    def _picture(self, picture: Image.Image, below: int = 0) -> None:
        impl = "bitImageRaster" if self._profile.images == "raster" else "bitImageColumn"
        self._printer.set(align="left")
        self._printer.image(pictures.centred(picture, self._profile.dots), impl=impl)
        self._space(below)

    def _raw(self, command: bytes) -> None:
        self._printer._raw(command)  # the library's way for what it lacks


def _fitting(logo: bytes, dots: int) -> Image.Image:
    picture: Image.Image = Image.open(io.BytesIO(logo))
    if picture.width > dots:
        picture = picture.convert("L").resize(
            (dots, max(1, round(picture.height * dots / picture.width)))
        )
    return picture.convert("1")


@cache
def _library() -> Any:
    """
    Import python-escpos, which takes its time, when something is printed.

    It leaves a folder in the computer's temporary one in each process, and adds a handler to the
    log where there is none: both are undone. Its variable for that folder does not keep it from
    making one.
    """
    handlers = list(logging.root.handlers)
    from escpos import capabilities, printer  # noqa: PLC0415

    logging.root.handlers[:] = handlers
    if _PICKLE_VARIABLE not in os.environ:
        shutil.rmtree(capabilities.pickle_dir, ignore_errors=True)
    return printer
