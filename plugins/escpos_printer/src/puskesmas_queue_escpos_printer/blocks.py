"""
What a slip is made of: blocks from top to bottom, which a clinic may switch, move, size and word.

Blocks say nothing of printers; `encoding` turns them into bytes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Shape = Literal["logo", "number", "text", "row", "list", "qr", "rule"]
"""
`row` has its label to the left and what it says to the right, and `list` is a row for each line
of what it says; `number` is the large one.
"""
TO_THE_RIGHT = "\ue000"
"""Parts a line of a `list`; no letter of any language."""
Size = Literal["small", "tall", "large", "huge"]
"""Letters as the printer has them; twice as high; twice as high and wide; three times."""
Align = Literal["left", "center"]
Language = Literal["id", "en"]
SIZES: tuple[Size, ...] = get_args(Size)
LANGUAGES: tuple[Language, ...] = get_args(Language)
LONGEST_TEXT = 200
"""Letters of a text that a clinic words itself."""
_NAME = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages; where there is no English one, the Indonesian counts."""

    id: str
    en: str = ""

    def say(self, language: str) -> str:
        """Return it in a language."""
        return self.en if language == "en" and self.en else self.id


@dataclass(frozen=True, slots=True)
class Block:
    """
    A piece of a slip.

    Args:
        name: Its own on the slip.
        title: What administrators know it by, looked up in the plugin's catalogues.
        shape: How it is drawn.
        text: What it says, with names in braces for what differs from slip to slip. A block in
            which every name stands for nothing is left out.
        label: What stands to the left of a `row`.
        size: Of its letters.
        is_bold: Printed twice as dark.
        align: Of its lines.
        when: A name that has to stand for something, so that the block is there.
        is_on: False where the clinic does without.
        is_fixed: Always there: a slip is nothing without it.
    """

    name: str
    title: str
    shape: Shape
    text: Words = Words("")
    label: Words = Words("")
    size: Size = "tall"
    is_bold: bool = False
    align: Align = "center"
    when: str = ""
    is_on: bool = True
    is_fixed: bool = False

    @property
    def is_worded(self) -> bool:
        """Say whether a clinic can word it."""
        return self.shape in ("text", "row")


@dataclass(frozen=True, slots=True)
class Template:
    """
    A slip before anything is known of whom it is for.

    Args:
        blocks: From top to bottom.
        logo: A picture as PNG, black and white; None where the clinic has none.
    """

    blocks: tuple[Block, ...]
    logo: bytes | None = field(default=None, repr=False)


Values = Mapping[str, str]
"""What the names in braces stand for on one slip."""


def names_in(text: str) -> Iterator[str]:
    """Return the names in braces."""
    return (found.group(1) for found in _NAME.finditer(text))


def fill(text: str, values: Values) -> str:
    """
    Put values in the place of names; a text in which every name stands for nothing is empty.

    Braces that hold no known name stay as they are: a slip is printed whatever was typed.
    """
    known = [name for name in names_in(text) if name in values]
    if known and not any(values[name] for name in known):
        return ""
    filled = _NAME.sub(lambda found: values.get(found.group(1), found.group(0)), text)
    return "\n".join(" ".join(line.split()) for line in filled.splitlines()).strip()


def is_shown(block: Block, values: Values) -> bool:
    """Say whether a block is on the slip."""
    return (block.is_on or block.is_fixed) and (not block.when or bool(values.get(block.when)))
