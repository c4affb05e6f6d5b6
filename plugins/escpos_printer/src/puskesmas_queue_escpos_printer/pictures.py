"""
The pictures on a slip: what a printer's own letters are too small or too coarse for.

Black and white, in dots of the head; as wide as the paper or narrower.
"""

import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import segno
from PIL import Image, ImageChops, ImageDraw, ImageFont

from puskesmas_queue_escpos_printer.paper import DOTS_PER_MM

FONT = Path(__file__).parent / "fonts" / "barlow-condensed-semibold-capitals.ttf"
NUMBER_MM = {576: 20, 384: 15}
"""Height of the number's figures by the dots of a line."""
CAPTION_MM = {576: 5, 384: 4.5}
QR_MM = {576: 30, 384: 26}
"""At least; the modules are whole dots."""
LINE_DOTS = 4
"""Thermal heads blur what is thinner."""
GAP_DOTS = 10
_CAPITAL = 0.7
"""Height of a capital in this font, of its size."""
_BLACK, _WHITE = 0, 255


def number_picture(number: str, caption: str, dots: int, *, is_priority: bool) -> Image.Image:
    """
    Draw a number with its lane above it.

    A priority ticket has stars beside the word and a double frame, so that it is known from afar
    and without colour; any other a line above and below. A long number is set narrower, not lower.
    """
    border = 3 * LINE_DOTS if is_priority else 0
    margin = border + 2 * LINE_DOTS
    inside = dots - 2 * margin
    figures = _narrowed(_word(number, NUMBER_MM[dots] * DOTS_PER_MM), inside)
    head = _caption(caption, int(CAPTION_MM[dots] * DOTS_PER_MM), inside, has_stars=is_priority)
    parts = [head, figures] if head is not None else [figures]
    gap = 2 * GAP_DOTS
    edge = margin + GAP_DOTS
    height = 2 * edge + sum(one.height for one in parts) + gap * (len(parts) - 1)
    picture = Image.new("L", (dots, height), _WHITE)
    _frame(ImageDraw.Draw(picture), dots, height, is_double=is_priority)
    top = edge
    for one in parts:
        picture.paste(one, ((dots - one.width) // 2, top))
        top += one.height + gap
    return _black_and_white(picture)


def qr_picture(text: str, dots: int) -> Image.Image:
    """Draw a QR code that phones read; the quiet zone is the paper's own white and this margin."""
    code = segno.make_qr(text, error="m")
    modules = int(code.symbol_size(border=0)[0])
    scale = math.ceil(QR_MM[dots] * DOTS_PER_MM / modules)
    # Two modules of margin; beside it and below is white paper, above it this gap.
    scale = min(scale, dots // (modules + 4))
    out = io.BytesIO()
    code.save(out, kind="png", scale=max(1, scale), border=2)
    out.seek(0)
    return Image.open(out).convert("1")


def rule_picture(dots: int) -> Image.Image:
    """Draw a line across the paper with white above and below."""
    picture = Image.new("1", (dots, LINE_DOTS // 2 + 2 * GAP_DOTS), 1)
    box = (0, GAP_DOTS, dots - 1, GAP_DOTS + LINE_DOTS // 2 - 1)
    ImageDraw.Draw(picture).rectangle(box, fill=0)
    return picture


def space_picture(height: int) -> Image.Image:
    """Return white paper of a height: the only feed that every printer takes for the same."""
    return Image.new("1", (8, height), 1)


def centred(picture: Image.Image, dots: int) -> Image.Image:
    """Put white to the left, since not every printer centres pictures; none to the right."""
    left = (dots - picture.width) // 2
    if left <= 0:
        return picture
    made = Image.new("1", (left + picture.width, picture.height), 1)
    made.paste(picture, (left, 0))
    return made


def _frame(draw: ImageDraw.ImageDraw, width: int, height: int, *, is_double: bool) -> None:
    if is_double:
        for inset in (0, 2 * LINE_DOTS):
            box = (inset, inset, width - 1 - inset, height - 1 - inset)
            draw.rectangle(box, outline=_BLACK, width=LINE_DOTS)
        return
    draw.rectangle((0, 0, width - 1, LINE_DOTS - 1), fill=_BLACK)
    draw.rectangle((0, height - LINE_DOTS, width - 1, height - 1), fill=_BLACK)


def _caption(text: str, height: int, width: int, *, has_stars: bool) -> Image.Image | None:
    if not text:
        return None
    word = _word(text, height, spacing=height // 6)
    if not has_stars:
        return _narrowed(word, width)
    size = round(height * 1.3)
    gap = height // 2
    made = Image.new("L", (word.width + 2 * (size + gap), size), _WHITE)
    star = _star(size)
    made.paste(star, (0, 0))
    made.paste(word, (size + gap, (size - word.height) // 2))
    made.paste(star, (made.width - size, 0))
    return _narrowed(made, width)


def _word(text: str, height: int, spacing: int = 0) -> Image.Image:
    """Draw a word in capitals of a height in dots, cut to its ink."""
    font = _font(round(height / _CAPITAL))
    widths: Sequence[float] = [font.getlength(one) + spacing for one in text]
    made = Image.new("L", (math.ceil(sum(widths)) + 2 * height, 2 * height), _WHITE)
    draw = ImageDraw.Draw(made)
    left = float(height // 2)
    for one, width in zip(text, widths, strict=True):
        draw.text((left, height * 1.5), one, fill=_BLACK, font=font, anchor="ls")
        left += width
    box = ImageChops.invert(made).getbbox()
    return made.crop(box) if box else made.crop((0, 0, 1, height))


def _narrowed(picture: Image.Image, width: int) -> Image.Image:
    if picture.width <= width:
        return picture
    return picture.resize((width, picture.height), Image.Resampling.LANCZOS)


def _star(size: int) -> Image.Image:
    """Draw a star with five points, four times as large first so that its edges are even."""
    scale = 4
    middle = size * scale / 2
    points = [
        (
            middle + middle * (0.98 if turn % 2 == 0 else 0.42) * math.sin(turn * math.pi / 5),
            middle - middle * (0.98 if turn % 2 == 0 else 0.42) * math.cos(turn * math.pi / 5),
        )
        for turn in range(10)
    ]
    large = Image.new("L", (size * scale, size * scale), _WHITE)
    ImageDraw.Draw(large).polygon(points, fill=_BLACK)
    return large.resize((size, size), Image.Resampling.LANCZOS)


def _black_and_white(picture: Image.Image) -> Image.Image:
    return picture.point([_WHITE if value > 127 else _BLACK for value in range(256)]).convert("1")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size)
