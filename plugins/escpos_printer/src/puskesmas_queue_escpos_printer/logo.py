"""A clinic's logo: any picture made small, black and white."""

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from puskesmas_queue_escpos_printer.paper import DOTS_PER_MM

MOST_BYTES = 5_000_000
MOST_PIXELS = 40_000_000
"""A picture of few bytes can be of very many pixels."""
WIDTH = 320
"""Dots: 4 cm, which is on both papers."""
HEIGHT = 20 * DOTS_PER_MM
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")


class NoLogo(ValueError):
    """
    A file cannot be a logo.

    Args:
        reason: `empty`, `large` or `unreadable`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def prepare(content: bytes) -> bytes:
    """
    Return a picture as a printer prints it, as PNG: at most 40 × 20 mm, grey as fine dots.

    Args:
        content: A file of one of `FORMATS`.

    Raises:
        NoLogo: It is none, or too large.
    """
    if not content:
        raise NoLogo("empty")
    if len(content) > MOST_BYTES:
        raise NoLogo("large")
    try:
        # Pillow warns of a bomb before it is one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            if picture.width * picture.height > MOST_PIXELS:
                raise NoLogo("large")
            flat = ImageOps.exif_transpose(picture).convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise NoLogo("unreadable") from error
    paper = Image.new("RGBA", flat.size, "white")
    paper.alpha_composite(flat)
    grey = paper.convert("L")
    box = ImageOps.invert(grey).getbbox()
    if box is None:
        raise NoLogo("empty")
    grey = grey.crop(box)
    grey.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    ImageOps.autocontrast(grey, cutoff=1).convert("1").save(out, "png", optimize=True)
    return out.getvalue()
