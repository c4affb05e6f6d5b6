"""Bytes for a printer as pictures of its pages."""

import io
from dataclasses import dataclass

from PIL import Image

from puskesmas_queue_escpos_printer.interpreter.commands import read
from puskesmas_queue_escpos_printer.interpreter.drawing import Paper
from puskesmas_queue_escpos_printer.paper import DOTS_PER_MM

DPI = 203
MARGIN_MM = {576: 4, 384: 5}
"""Of the roll, to the left and right of what a head can reach, by the dots of a line."""


@dataclass(frozen=True, slots=True)
class Print:
    """
    What a printer makes of bytes.

    Args:
        pages: Black on white, in dots of the head.
        complaints: What was not understood or would not look as meant.
    """

    pages: tuple[Image.Image, ...]
    complaints: tuple[str, ...]


def interpret(data: bytes, dots: int, *, starts_chinese: bool = False) -> Print:
    """Draw what a printer with lines of `dots` would print."""
    paper = Paper(dots, starts_chinese=starts_chinese)
    pages = []
    place = 0
    while place < len(data):
        found = read(data[place:])
        if found is None:
            paper.complaints.append(f"incomplete command {data[place : place + 8].hex(' ')}")
            break
        command, length = found
        place += length
        page = paper.draw(command)
        if page is not None:
            pages.append(page)
    if paper.has_ink:
        pages.append(paper.tear())
    return Print(tuple(pages), tuple(paper.complaints))


def as_png(page: Image.Image) -> bytes:
    """Return a page with the margins of its roll as PNG of 203 dots to the inch."""
    margin = MARGIN_MM.get(page.width, 4) * DOTS_PER_MM
    sheet = Image.new("1", (page.width + 2 * margin, page.height + margin), 1)
    sheet.paste(page, (margin, margin))
    out = io.BytesIO()
    sheet.save(out, "png", dpi=(DPI, DPI), optimize=True)
    return out.getvalue()
