"""The form of a slip: what was typed, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from puskesmas_queue_escpos_printer.blocks import (
    LONGEST_TEXT,
    SIZES,
    Block,
    Words,
    names_in,
)

Wrong = Literal["long", "name", "brace"]


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that has to be put right.

    Args:
        field: The name of its field.
        block: The title of its block.
        wrong: `long`: too many letters; `name`: no such name in braces; `brace`: one that nothing
            closes.
        name: The name that there is not.
    """

    field: str
    block: str
    wrong: Wrong
    name: str = ""


def read_form(form: Mapping[str, str], defaults: Sequence[Block]) -> tuple[Block, ...]:
    """
    Return the blocks as a form has them, in its order; what it does not name is as it comes.

    Texts are as they were typed: see `problems`.
    """
    known = {one.name: one for one in defaults}
    order = [name for name in form.get("order", "").split(",") if name in known]
    named = [known.pop(name) for name in dict.fromkeys(order)]
    return tuple(_read_block(form, one) for one in (*named, *known.values()))


def moved(blocks: Sequence[Block], name: str, step: int) -> tuple[Block, ...]:
    """Move a block up (-1) or down (1); at the end of the slip it stays."""
    made = list(blocks)
    place = next((place for place, one in enumerate(made) if one.name == name), None)
    if place is not None and 0 <= place + step < len(made):
        made.insert(place + step, made.pop(place))
    return tuple(made)


def problems(blocks: Sequence[Block], known: Mapping[str, str]) -> Iterator[Problem]:
    """Say what is wrong with texts, in their order."""
    for block in blocks:
        for part in ("text", "label"):
            words: Words = getattr(block, part)
            for language, text in (("id", words.id), ("en", words.en)):
                field = f"{part}-{block.name}-{language}"
                if block.is_worded:
                    yield from _problems_of(text, field, block.title, known)


def _problems_of(text: str, field: str, title: str, known: Mapping[str, str]) -> Iterator[Problem]:
    if len(text) > LONGEST_TEXT:
        yield Problem(field, title, "long")
    unknown = next((name for name in names_in(text) if name not in known), None)
    if unknown is not None:
        yield Problem(field, title, "name", unknown)
    elif text.count("{") != text.count("}") or text.count("{") != len(list(names_in(text))):
        yield Problem(field, title, "brace")


def _read_block(form: Mapping[str, str], block: Block) -> Block:
    # A form that was sent has every block in its order; a box that is not ticked sends nothing.
    if block.name not in form.get("order", "").split(","):
        return block
    size = form.get(f"size-{block.name}", block.size)
    changed = replace(
        block,
        is_on=f"on-{block.name}" in form or block.is_fixed,
        is_bold=f"bold-{block.name}" in form if block.is_worded else block.is_bold,
        size=size if size in SIZES else block.size,
    )
    if not block.is_worded:
        return changed
    return replace(
        changed,
        text=_words(form, "text", block.name, block.text),
        label=_words(form, "label", block.name, block.label),
    )


def _words(form: Mapping[str, str], part: str, name: str, before: Words) -> Words:
    return Words(
        form.get(f"{part}-{name}-id", before.id).strip(),
        form.get(f"{part}-{name}-en", before.en).strip(),
    )
