"""Pictures of slips before they are printed: of the very bytes that a printer would get."""

import base64
from dataclasses import dataclass

from puskesmas_queue_escpos_printer.blocks import Template
from puskesmas_queue_escpos_printer.encoding import encode
from puskesmas_queue_escpos_printer.interpreter.pages import as_png, interpret
from puskesmas_queue_escpos_printer.kinds import KINDS
from puskesmas_queue_escpos_printer.paper import WIDTHS, PaperProfile, PaperWidth
from puskesmas_queue_escpos_printer.values import Head


@dataclass(frozen=True, slots=True)
class Preview:
    """
    A slip on one paper.

    Args:
        width_mm: Of the paper.
        address: The picture as an address of its own (`data:`).
        height_mm: How long the slip is.
    """

    width_mm: PaperWidth
    address: str
    height_mm: int


def previews(kind: str, template: Template, head: Head, *, is_priority: bool) -> list[Preview]:
    """Draw an example of a slip on each paper."""
    return [_preview(kind, template, head, PaperProfile(one), is_priority) for one in WIDTHS]


def _preview(
    kind: str, template: Template, head: Head, profile: PaperProfile, is_priority: bool
) -> Preview:
    values = KINDS[kind].example(head, profile, is_priority)
    data = encode(template, values, head.language, profile)
    page = interpret(data, profile.dots).pages[0]
    address = "data:image/png;base64," + base64.b64encode(as_png(page)).decode("ascii")
    return Preview(profile.width_mm, address, round(page.height / 8))
