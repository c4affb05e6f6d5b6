"""What paper a printer takes, and which letters it can print."""

import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

DOTS_PER_MM = 8
"""Of the head: 203 dots to the inch."""
CELL_WIDTH, CELL_HEIGHT = 12, 24
"""Dots of one letter of the printer's font A in its plain size."""

PaperWidth = Literal[80, 58]
CodePage = Literal["cp437", "cp850", "cp858", "cp1252", "ascii"]
Images = Literal["raster", "column"]
Cut = Literal["partial", "full", "none"]
WIDTHS: tuple[PaperWidth, ...] = get_args(PaperWidth)
CODE_PAGES: tuple[CodePage, ...] = get_args(CodePage)
_DOTS = {80: 576, 58: 384}

_SAID = {
    "–": "-", "—": "-", "‒": "-", "−": "-", "‐": "-", "‑": "-", "•": "*", "·": "-", "…": "...",
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "×": "x",
    "±": "+/-", "°": " ", "€": "EUR", "№": "No.", "→": "->", "←": "<-", "✓": "v", "★": "*",
    "ß": "ss", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l",
    "½": "1/2", "¼": "1/4", "\N{NO-BREAK SPACE}": " ", "\N{SOFT HYPHEN}": "",
}  # fmt: skip
UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class PaperProfile:
    """
    What is printed on, and how.

    Args:
        width_mm: Of the roll.
        code_page: Letters beyond ASCII: `ascii` has none and suits every printer.
        images: How pictures are sent: `raster` (`GS v 0`), or `column` (`ESC *`) for printers
            that know nothing else.
        cut: What ends a slip; `none` where a hand tears it off.
    """

    width_mm: PaperWidth = 80
    code_page: CodePage = "cp437"
    images: Images = "raster"
    cut: Cut = "partial"

    @property
    def dots(self) -> int:
        """How many dots a line has."""
        return _DOTS[self.width_mm]

    @property
    def columns(self) -> int:
        """How many letters of the plain size a line has."""
        return self.dots // CELL_WIDTH


def printable(text: str, code_page: CodePage) -> str:
    """
    Return a text in letters that a printer has.

    A letter that it lacks loses its accent or becomes a similar one, and `?` where nothing is
    similar. Whatever steers a printer becomes a space.
    """
    joined = unicodedata.normalize("NFC", text)
    return "".join(_letter(one, code_page) for one in joined)


def _letter(letter: str, code_page: CodePage) -> str:
    if unicodedata.category(letter) in ("Cc", "Zl", "Zp"):
        return " "
    if unicodedata.category(letter) == "Cf":
        return ""
    if _has(letter, code_page):
        return letter
    if letter in _SAID:
        return _SAID[letter]
    plain = "".join(
        one for one in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(one)
    )
    if plain and all(_has(one, code_page) for one in plain):
        return plain
    return "" if unicodedata.combining(letter) else UNKNOWN


def _has(letter: str, code_page: CodePage) -> bool:
    try:
        letter.encode(code_page)
    except UnicodeEncodeError:
        return False
    # Python knows of letters where a printer has none: NBSP is drawn by some as a box.
    return letter not in ("\N{NO-BREAK SPACE}", "\N{SOFT HYPHEN}")
