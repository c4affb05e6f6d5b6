"""The printer's own letters: cells of 12 × 24 dots, stretched to their size as a printer does."""

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from puskesmas_queue_escpos_printer.paper import CELL_HEIGHT, CELL_WIDTH

FONT = Path(__file__).parent.parent / "fonts" / "dejavu-sans-mono-code-pages.ttf"
CODE_PAGES = {0: "cp437", 2: "cp850", 16: "cp1252", 19: "cp858"}
"""By the number of `ESC t`, where nearly all printers agree."""
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_SCALE = 4
_SIZE = 24
_BASE = 19
"""Dots from the top of a cell to the line that letters stand on."""
_DARK = 100


def letters(data: bytes, code_page: int) -> str:
    """Return the letters that a printer has for bytes; those that it has none for as `UNKNOWN`."""
    return data.decode(CODE_PAGES.get(code_page, "ascii"), errors="replace")


@cache
def glyph(letter: str, width: int, height: int, is_bold: bool) -> Image.Image:
    """Return a letter as white on black, in cells of `width` × `height`."""
    cell = _cell(letter, is_bold)
    return cell.resize((CELL_WIDTH * width, CELL_HEIGHT * height), Image.Resampling.NEAREST)


@cache
def _cell(letter: str, is_bold: bool) -> Image.Image:
    if letter == UNKNOWN:
        box = Image.new("L", (CELL_WIDTH, CELL_HEIGHT), 0)
        ImageDraw.Draw(box).rectangle((1, 2, CELL_WIDTH - 2, _BASE), outline=255)
        return box
    font = _font()
    # Drawn large in the font's own width, then made as narrow as a printer's letters are.
    advance = round(font.getlength("0"))
    large = Image.new("L", (advance, CELL_HEIGHT * _SCALE), 0)
    ImageDraw.Draw(large).text((0, _BASE * _SCALE), letter, fill=255, font=font, anchor="ls")
    small = large.resize((CELL_WIDTH, CELL_HEIGHT), Image.Resampling.BOX)
    cell = small.point([255 if value > _DARK else 0 for value in range(256)])
    if is_bold:
        cell.paste(255, (1, 0), cell.crop((0, 0, CELL_WIDTH - 1, CELL_HEIGHT)))
    return cell


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, _SIZE * _SCALE)
