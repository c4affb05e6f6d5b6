"""What the interpreter reads and draws, beside the slips of `test_slips`."""

import pytest
from PIL import Image

from puskesmas_queue_escpos_printer.interpreter.commands import read
from puskesmas_queue_escpos_printer.interpreter.pages import Print, interpret

INIT = b"\x1b@"


def ink(made: Print) -> tuple[int, int, int, int] | None:
    """The box around what is black on the one page."""
    (page,) = made.pages
    return page.convert("L").point([255, *[255] * 127, *[0] * 128]).getbbox()


@pytest.mark.parametrize(
    "data",
    [
        b"\x1bZ\x01",
        b"\x07",
        b"\x1d(k\x03\x001AC",
        b"\x1c(E\x02\x00ab",
        b"\x1dv1\x00",
    ],
)
def test_an_unknown_command_is_told_and_the_rest_is_drawn(data: bytes) -> None:
    made = interpret(INIT + data + b"\nA\n", 384)

    assert made.complaints[0].startswith("unknown command ")
    assert ink(made) is not None


@pytest.mark.parametrize(
    "data", [b"\x1b", b"\x1d!", b"\x1dv0\x00\x02\x00\x02\x00abc", b"\x1b*\x21\x02\x00abc", b"\x1dV"]
)
def test_an_incomplete_command_waits_for_the_rest(data: bytes) -> None:
    assert read(data) is None
    (complaint,) = interpret(data, 384).complaints
    assert complaint.startswith("incomplete command")


def test_letters_above_127_are_those_of_the_code_page() -> None:
    """One byte is another letter on another page, and a letter that no page has is told."""
    plus_minus = interpret(b"\x1bt\x00\xf1\n", 384)
    n_tilde = interpret(b"\x1bt\x10\xf1\n", 384)

    assert plus_minus.complaints == n_tilde.complaints == ()
    assert plus_minus.pages[0].tobytes() != n_tilde.pages[0].tobytes()
    assert interpret(b"\x1bt\x10\x81\n", 384).complaints
    assert interpret(b"\x1bt\x63\xf1\n", 384).complaints


def test_chinese_mode_is_told() -> None:
    assert interpret(b"\x1bt\x00\xf1\n", 384, starts_chinese=True).complaints
    assert interpret(b"\x1c.\x1bt\x00\xf1\n", 384, starts_chinese=True).complaints == ()


@pytest.mark.parametrize(("align", "left", "right"), [(0, 0, 24), (1, 180, 204), (2, 360, 384)])
def test_text_is_aligned(align: int, left: int, right: int) -> None:
    box = ink(interpret(b"\x1ba" + bytes((align,)) + b"MM\n", 384))

    assert box is not None
    assert left <= box[0] < box[2] <= right


@pytest.mark.parametrize("scale", range(1, 9))
def test_letters_are_as_many_times_as_large(scale: int) -> None:
    size = (scale - 1) * 0x11
    plain, large = (
        ink(interpret(b"M\n", 576)),
        ink(interpret(bytes((0x1D, 0x21, size)) + b"M\n", 576)),
    )

    assert plain is not None
    assert large == tuple(edge * scale for edge in plain)


@pytest.mark.parametrize(
    "style", [b"\x1bE\x01", b"\x1b-\x01", b"\x1dB\x01", b"\x1b!\x20", b"\x1b!\x10", b"\x1b!\x88"]
)
def test_a_style_is_seen_and_ends_with_a_reset(style: bytes) -> None:
    plain = interpret(b"Mx\n", 384).pages[0].tobytes()

    assert interpret(style + b"Mx\n", 384).pages[0].tobytes() != plain
    assert interpret(style + INIT + b"Mx\n", 384).pages[0].tobytes() == plain


def test_both_ways_to_send_a_picture_draw_the_same() -> None:
    picture = Image.effect_noise((64, 48), 90).convert("1")
    raster = b"\x1dv0\x00\x08\x00\x30\x00" + bytes(255 - one for one in picture.tobytes())
    columns = b"\x1b3\x10"
    for top in (0, 24):
        part = picture.crop((0, top, 64, top + 24)).transpose(Image.Transpose.TRANSPOSE)
        columns += b"\x1b*\x21\x40\x00" + bytes(255 - one for one in part.tobytes()) + b"\n"

    first, second = interpret(raster, 384), interpret(columns, 384)

    assert first.complaints == second.complaints == ()
    assert first.pages[0].tobytes() == second.pages[0].tobytes()


def test_a_raster_picture_can_be_doubled() -> None:
    made = interpret(b"\x1dv0\x03\x01\x00\x01\x00\xff", 384)

    assert ink(made) == (0, 0, 16, 2)


@pytest.mark.parametrize("data", [b"M" * 33 + b"\n", b"\x1dv0\x00\x32\x00\x01\x00" + b"\xff" * 50])
def test_what_is_wider_than_the_paper_is_told(data: bytes) -> None:
    assert interpret(data, 384).complaints
    assert interpret(data, 576).complaints == ()


def test_every_cut_ends_a_page() -> None:
    made = interpret(b"A\n\x1dV\x00B\n\x1dVB\x00C\n", 384)

    heights = [page.height for page in made.pages]
    assert len(heights) == 3
    assert heights[1] > heights[0] + 90


def test_feeds_are_as_long_as_they_say() -> None:
    plain = interpret(b"A\n\x1dV\x00", 384).pages[0].height

    assert interpret(b"A\n\x1bJ\x40\x1dV\x00", 384).pages[0].height == plain + 64
    assert interpret(b"A\n\x1bd\x03\x1dV\x00", 384).pages[0].height == plain + 90
    assert interpret(b"\x1b3\x50A\n\x1dV\x00", 384).pages[0].height == plain + 50


def test_paper_that_never_ends_is_cut() -> None:
    """Hostile bytes cost memory for a few metres of paper and no more."""
    made = interpret(b"A" + b"\x1bd\xff" * 40, 384)

    assert len(made.pages) > 1
    assert max(page.height for page in made.pages) < 60_000
