"""Slips as they come out of a printer: drawn from the bytes that are sent to it."""

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from puskesmas_queue.api import DayFact, Lane, PaymentType, Slip, Source, TicketFact, TicketState
from puskesmas_queue_escpos_printer.blocks import Template, Words, fill, names_in
from puskesmas_queue_escpos_printer.encoding import (
    encode,
    encode_day_slip,
    encode_test_page,
    encode_ticket,
)
from puskesmas_queue_escpos_printer.interpreter.pages import DPI, as_png, interpret
from puskesmas_queue_escpos_printer.kinds import KINDS, default_template
from puskesmas_queue_escpos_printer.paper import CODE_PAGES, PaperProfile, printable
from puskesmas_queue_escpos_printer.pictures import number_picture
from puskesmas_queue_escpos_printer.values import LANE_WORDS, Head, TestFacts, ticket_values

NOW = datetime(2026, 2, 26, 7, 42, tzinfo=ZoneInfo("Asia/Makassar"))
HEAD = Head("Puskesmas Gladak Pakem", "Jl. Kaca Piring No. 5, Gebang", NOW)
URL = "https://antrean.gladakpakem.example/t/K7MNQ4WX"
PROFILES = [
    PaperProfile(width, page, images, cut)
    for width, page, images, cut in [
        (80, "cp437", "raster", "partial"),
        (58, "cp437", "raster", "none"),
        (80, "ascii", "column", "full"),
        (58, "cp1252", "column", "partial"),
    ]
]


def slip(**changes: Any) -> Slip:
    """A ticket that waits."""
    of_ticket = {name: changes.pop(name) for name in list(changes) if name in TicketFact.__slots__}
    ticket = TicketFact(
        id=7,
        service_date=date(2026, 2, 26),
        number="A-012",
        prefix="A",
        sequence=12,
        unit="umum",
        unit_name="Poli Umum",
        unit_sequence=12,
        zone="main",
        lane=Lane.GENERAL,
        payment_type=PaymentType.BPJS,
        source=Source.KIOSK,
        state=TicketState.WAITING,
        code="K7MNQ4WX",
        calls=0,
        issued_at=NOW.astimezone(UTC),
    )
    made = Slip(
        ticket=replace(ticket, **of_ticket),
        clinic_name=HEAD.clinic_name,
        clinic_address=HEAD.clinic_address,
        issued_at=NOW,
        people_ahead=4,
        estimate_minutes=15,
        status_url=URL,
        language="id",
        place="kiosk",
        place_name="Lobi",
        job="job-of-this-test",
    )
    return replace(made, **changes)


def page_of(data: bytes, profile: PaperProfile) -> Image.Image:
    """The one page that these bytes print, faultlessly."""
    made = interpret(data, profile.dots)
    assert made.complaints == ()
    (page,) = made.pages
    return page


def says(data: bytes, text: str, profile: PaperProfile) -> bool:
    """Whether a line of the printer's own letters says this."""
    return printable(text, profile.code_page).encode(profile.code_page) in data


def shapes(page: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """The boxes around what hangs together in black."""
    left = page.convert("L")
    while (box := ImageChops.invert(left).getbbox()) is not None:
        row = left.crop((box[0], box[1], box[2], box[1] + 1))
        start = (box[0] + row.tobytes().index(0), box[1])
        ImageDraw.floodfill(left, start, 128)
        marked = left.point([255 if value == 128 else 0 for value in range(256)])
        found = marked.getbbox()
        assert found is not None
        yield found
        left.paste(255, (0, 0), marked)


def height_of_number_mm(page: Image.Image) -> float:
    """Measure the tallest figure above the QR code."""
    (code,) = zxingcpp.read_barcodes(as_image(page))
    above = page.crop((0, 0, page.width, code.position.top_left.y - 10))
    heights = [
        bottom - top
        for left, top, right, bottom in shapes(above)
        if right - left < page.width * 0.5
    ]
    return max(heights) * 25.4 / DPI


def stands_on(page: Image.Image, picture: Image.Image) -> bool:
    """Say whether a picture as wide as the page is somewhere on it, dot by dot."""
    wanted = picture.tobytes()
    return any(
        page.crop((0, top, page.width, top + picture.height)).tobytes() == wanted
        for top in range(page.height - picture.height + 1)
    )


def as_image(page: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(as_png(page))).convert("L")


VARIANTS = [
    pytest.param(
        profile, lane, language, id=f"{profile.width_mm}-{profile.images}-{lane}-{language}"
    )
    for profile, lane, language in product(PROFILES, Lane, ("id", "en"))
]


@pytest.mark.parametrize(("profile", "lane", "language"), VARIANTS)
def test_a_ticket_is_drawn_with_its_code_and_a_large_number(
    profile: PaperProfile, lane: Lane, language: str
) -> None:
    """Each paper, lane and language: the QR code is the address, the number its own, 14 mm high."""
    number = {Lane.PRIORITY: "P-003", Lane.GENERAL: "A-012", Lane.EMERGENCY: "E-001"}[lane]
    asked = slip(lane=lane, number=number, language=language)

    page = page_of(encode_ticket(asked, default_template("ticket"), profile), profile)

    assert page.width == profile.dots
    (code,) = zxingcpp.read_barcodes(as_image(page))
    assert (code.text, code.format) == (URL, zxingcpp.BarcodeFormat.QRCode)
    wide = code.position.top_right.x - code.position.top_left.x
    assert wide * 25.4 / DPI >= 25, "too small for the camera of an old phone"
    assert height_of_number_mm(page) >= 14
    drawn = number_picture(
        number, LANE_WORDS[lane].say(language), profile.dots, is_priority=lane is Lane.PRIORITY
    )
    assert stands_on(page, drawn)


@pytest.mark.parametrize("number", ["P-1000", "KIA-0012", "AB-12345678", "A7"])
@pytest.mark.parametrize("width", [80, 58])
def test_a_long_number_is_narrower_and_not_lower(number: str, width: Any) -> None:
    profile = PaperProfile(width)
    asked = slip(number=number, lane=Lane.PRIORITY)

    page = page_of(encode_ticket(asked, default_template("ticket"), profile), profile)

    assert height_of_number_mm(page) >= 14


def test_priority_is_seen_without_colour() -> None:
    """A second frame within the first one, which no other lane has."""
    profile = PaperProfile()

    def wide(lane: Lane) -> int:
        asked = encode_ticket(slip(lane=lane), default_template("ticket"), profile)
        return sum(box[2] - box[0] > 0.9 * profile.dots for box in shapes(page_of(asked, profile)))

    assert wide(Lane.GENERAL) == wide(Lane.PRIORITY) == 2
    framed = encode_ticket(slip(lane=Lane.PRIORITY), default_template("ticket"), profile)
    boxes = [box for box in shapes(page_of(framed, profile)) if box[2] - box[0] > 500]
    (outer, inner) = sorted(boxes)
    assert outer[1] < inner[1] < inner[3] < outer[3]


def test_a_ticket_says_what_a_patient_needs() -> None:
    """And nothing else: no way to pay, no reason, nothing of a person."""
    profile = PaperProfile()
    asked = slip(unit_name="Poli KIA/KB", room="Ruang 3")
    data = encode_ticket(asked, default_template("ticket"), profile)

    for text in (
        "Puskesmas Gladak Pakem",
        "Jl. Kaca Piring No. 5, Gebang",
        "Poli KIA/KB",
        "Ruang 3",
        "Kamis, 26 Februari 2026",
        "07:42 WITA",
        "4 orang",
        "± 15 menit",
        "K7MNQ4WX",
        "Perhatikan layar. Nomor tidak harus urut.",
    ):
        assert says(data, text, profile), text
    assert not says(data.lower(), "bpjs", profile)


@pytest.mark.parametrize(
    ("changes", "there", "missing"),
    [
        ({"estimate_minutes": 0}, ["sebentar lagi"], ["menit"]),
        ({"estimate_minutes": None, "counter_opens": "07:30"}, ["loket buka 07:30"], []),
        ({"estimate_minutes": None}, ["menunggu loket dibuka"], []),
        ({"people_ahead": 0}, ["0 orang"], []),
        ({"people_ahead": None}, ["Perhatikan layar"], ["orang", "Perkiraan"]),
        ({"clinic_address": ""}, [], ["Jl."]),
        (
            {"lane": Lane.EMERGENCY},
            ["Langsung ke UGD."],
            ["Perhatikan layar", "orang", "Perkiraan"],
        ),
        ({"language": "en"}, ["Watch the screen.", "Thursday, 26 February 2026"], ["Jam"]),
    ],
)
def test_what_is_not_known_takes_no_place(
    changes: dict[str, Any], there: list[str], missing: list[str]
) -> None:
    profile = PaperProfile()
    data = encode_ticket(slip(**changes), default_template("ticket"), profile)

    for text in there:
        assert says(data, text, profile), text
    for text in missing:
        assert not says(data, text, profile), text


@given(
    st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60),
    st.sampled_from(PROFILES),
    st.sampled_from(CODE_PAGES),
)
@settings(max_examples=30, deadline=None)
def test_any_name_stays_within_the_paper(name: str, profile: PaperProfile, code_page: Any) -> None:
    """The interpreter complains of a line or picture that is too wide, and of unknown letters."""
    own = replace(profile, code_page=code_page)
    asked = slip(unit_name=name, clinic_name=name, room=name, clinic_address=name)

    made = interpret(encode_ticket(asked, default_template("ticket"), own), own.dots)

    assert made.complaints == ()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Poli Umum", 0x11),
        ("Kesehatan Ibu dan Anak", 0x11),
        ("Klaster 2 Kesehatan Ibu, Anak dan Remaja Putri", 0x01),
        ("Laboratoriummikrobiologi", 0x01),
        ("Laboratoriummikrobiologiklinikterpadu", 0x00),
    ],
)
def test_a_long_name_is_in_smaller_letters(name: str, size: int) -> None:
    """On 58 mm: wide ones for three lines at most and for words that fit."""
    profile = PaperProfile(58)
    data = encode_ticket(slip(unit_name=name), default_template("ticket"), profile)

    first_line = name.split(maxsplit=1)[0].encode()[:20]
    before = data[: data.index(first_line)]
    assert before[before.rindex(b"\x1d!") + 2] == size


def test_a_printer_in_chinese_mode_prints_the_same() -> None:
    """Cheap printers come up in it, and it would eat letters above 127."""
    profile = PaperProfile()
    data = encode_ticket(slip(), default_template("ticket"), profile)

    plain, chinese = (interpret(data, 576, starts_chinese=way) for way in (False, True))

    assert plain.complaints == chinese.complaints == ()
    assert plain.pages[0].tobytes() == chinese.pages[0].tobytes()


def test_every_job_begins_anew() -> None:
    """A size, a bold or an inverted letter that somebody left on is gone."""
    profile = PaperProfile()
    data = encode_ticket(slip(), default_template("ticket"), profile)
    left_on = b"\x1bE\x01\x1d!\x77\x1dB\x01\x1ba\x02\x1b3\x10"

    assert page_of(left_on + data, profile).tobytes() == page_of(data, profile).tobytes()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("language", ["id", "en"])
def test_a_test_page_shows_edges_letters_and_a_code(profile: PaperProfile, language: str) -> None:
    head = replace(HEAD, language=language)
    data = encode_test_page(TestFacts("Kiosk lobi", profile), head, default_template("test"))

    page = page_of(data, profile)

    (code,) = zxingcpp.read_barcodes(as_image(page))
    assert code.text == "Kiosk lobi 2026-02-26 07:42"
    assert says(data, "Kiosk lobi", profile)
    assert says(data, f"{profile.width_mm} mm, {profile.columns}", profile)
    edges = ImageChops.invert(page.convert("L")).getbbox()
    assert edges is not None
    assert (edges[0], edges[2]) == (0, profile.dots)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_slip_of_a_day_has_its_totals(profile: PaperProfile) -> None:
    day = DayFact(date(2026, 2, 25), issued=84, completed=76, cancelled=3, expired=5)
    data = encode_day_slip(day, HEAD, default_template("day"), profile)

    page_of(data, profile)
    for text in ("Rabu, 25 Februari 2026", "Nomor diberikan", "84", "76", "3", "5"):
        assert says(data, text, profile), text


def test_a_logo_stands_on_top() -> None:
    """One that is wider than the paper is made as wide as it is."""
    out = io.BytesIO()
    Image.new("1", (800, 100), 0).save(out, "png")
    template = Template(default_template("ticket").blocks, out.getvalue())
    profile = PaperProfile(58)

    page = page_of(encode_ticket(slip(), template, profile), profile)

    top = page.crop((0, 0, 384, 48)).convert("L")
    assert top.getextrema() == (0, 0)


def test_own_words_and_switched_off_blocks() -> None:
    """What a clinic words is printed with its names filled in; what it switched off is not."""
    blocks = tuple(
        replace(one, text=Words("Nomor {nomor} untuk {poli}, {tidak ada}", ""))
        if one.name == "footer"
        else replace(one, is_on=one.name not in ("qr", "clinic"))
        for one in default_template("ticket").blocks
    )
    profile = PaperProfile()
    data = encode(Template(blocks), ticket_values(slip(language="en")), "en", profile)

    assert says(data, "Nomor A-012 untuk Poli Umum, {tidak", profile)
    assert not says(data, "Puskesmas Gladak Pakem", profile)
    assert zxingcpp.read_barcodes(as_image(page_of(data, profile))) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ruang}", ""),
        ("di {ruang}", ""),
        ("{nomor} {ruang}", "A-012"),
        ("{ruang.__class__}", "{ruang.__class__}"),
        ("{0} {nomor!r} %s", "{0} {nomor!r} %s"),
        ("  dua\n\nbaris  ", "dua\n\nbaris"),
    ],
)
def test_names_in_braces(text: str, said: str) -> None:
    """Known ones are filled in; nothing else in braces is carried out."""
    assert fill(text, ticket_values(slip())) == said


def test_every_name_in_a_text_of_ours_is_known() -> None:
    """In both languages, and each that a clinic may use has a value."""
    for kind in KINDS.values():
        values = kind.example(HEAD, PaperProfile(), True)
        assert kind.names.keys() <= values.keys()
        for block in kind.blocks:
            for text in (block.text.id, block.text.en, block.label.id, block.label.en):
                assert set(names_in(text)) <= values.keys(), (block.name, text)
        names = [block.name for block in kind.blocks]
        assert len(names) == len(set(names))


def test_the_library_leaves_nothing_behind(tmp_path: Any) -> None:
    """No folder in the computer's temporary one, and no handler in the log."""
    code = (
        "import logging\n"
        "from puskesmas_queue_escpos_printer import encoding\n"
        "encoding._library()\n"
        "assert logging.root.handlers == []\n"
    )
    environment = {"TMPDIR": str(tmp_path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    assert list(tmp_path.iterdir()) == []
