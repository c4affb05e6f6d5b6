"""The paper slip as the kiosk prints it: one page of the width of the roll, large, discreet."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.hall import Hall, take
from browser.machine import set_setting
from support.server import Server, running

pytestmark = pytest.mark.browser

MM_PER_PX = 25.4 / 96
MM_PER_POINT = 25.4 / 72
PAPER_MM = {"80": 80, "58": 58}
PRINTABLE_MM = {"80": 72, "58": 48}
GLYPH_MM = 14
QR_MM = 25
BOX = re.compile(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]")
PAGE_OBJECT = re.compile(rb"/Type\s*/Page\b")
MEASURE = """() => {
    const slip = document.querySelector(".slip");
    const outer = slip.getBoundingClientRect();
    const number = slip.querySelector(".slip-number span");
    const style = getComputedStyle(number);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const box = element => element.getBoundingClientRect();
    return {
        shown: [...document.body.querySelectorAll("*")].filter(one => one.checkVisibility()
            && !slip.contains(one) && !one.contains(slip)).map(one => one.outerHTML.slice(0, 80)),
        width: outer.width,
        height: outer.height,
        glyph: pen.measureText("0").actualBoundingBoxAscent,
        font: document.fonts.check(pen.font),
        number: {left: box(number).left - outer.left, right: outer.right - box(number).right},
        outside: [...slip.querySelectorAll("*")].filter(one => box(one).width > 0
            && (box(one).left < outer.left - 0.5 || box(one).right > outer.right + 0.5))
            .map(one => one.outerHTML.slice(0, 80)),
        cut: [...slip.querySelectorAll("p, dt, dd")].filter(one =>
            one.scrollWidth > one.clientWidth + 1).map(one => one.innerText),
        qr: box(slip.querySelector(".slip-qr svg")).width,
        smallest: Math.min(...[...slip.querySelectorAll("p, dt, dd")].map(one =>
            parseFloat(getComputedStyle(one).fontSize))),
        colours: [...new Set([slip, ...slip.querySelectorAll("p, dt, dd")].map(one =>
            getComputedStyle(one).color))],
        page: document.documentElement.scrollWidth,
        text: slip.innerText,
    };
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for all tests here; its line goes on from test to test."""
    folder = tmp_path_factory.mktemp("slip")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        yield started


@pytest.fixture(scope="module", params=PAPER_MM)
def paper(request: pytest.FixtureRequest, server: Server) -> str:
    """The width of the roll, set as the clinic would."""
    width: str = request.param
    set_setting(server, "kiosk.slip_width_mm", width)
    return width


def pdf_pages(page: Page) -> list[tuple[float, float]]:
    """Print a page as its own style wants it; returns each sheet's width and height, mm."""
    document = page.pdf(prefer_css_page_size=True, print_background=True)
    sizes = [
        (float(width) * MM_PER_POINT, float(height) * MM_PER_POINT)
        for width, height in BOX.findall(document)
    ]
    assert len(sizes) == len(PAGE_OBJECT.findall(document))
    return sizes


def as_printed(page: Page, paper: str) -> dict:
    """Lay the page out as on paper and measure it, in px."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": round(PAPER_MM[paper] / MM_PER_PX), "height": 600})
    found: dict = page.evaluate(MEASURE)
    return found


def check(page: Page, paper: str) -> dict:
    """Check everything that holds for every slip; returns what was measured."""
    sheets = pdf_pages(page)
    assert len(sheets) == 1
    assert sheets[0][0] == pytest.approx(PAPER_MM[paper], abs=0.3)
    found = as_printed(page, paper)
    assert found["shown"] == []
    assert found["width"] * MM_PER_PX <= PRINTABLE_MM[paper] + 0.1
    assert found["height"] * MM_PER_PX < sheets[0][1]
    assert found["font"]
    assert found["glyph"] * MM_PER_PX >= GLYPH_MM
    assert found["number"]["left"] >= 0
    assert found["number"]["right"] >= 0
    assert found["outside"] == []
    assert found["cut"] == []
    assert found["page"] <= round(PAPER_MM[paper] / MM_PER_PX)
    assert found["qr"] * MM_PER_PX >= QR_MM
    assert found["smallest"] * MM_PER_PX >= 2.8
    assert found["colours"] == ["rgb(0, 0, 0)"]
    return found


def test_slip_of_a_general_ticket(hall: Hall, paper: str):
    """Number, unit, room, date, time, people ahead, estimate, QR with its code in letters."""
    kiosk = hall.kiosk()
    number = take(kiosk, "umum", "umum", "umum")

    text = check(kiosk, paper)["text"]

    assert number in text
    for words in ("Puskesmas Gladak Pakem", "Poli Umum", "Ruang 1", "WIB", "Di depan Anda"):
        assert words in text
    assert re.search(r"\w+, \d{1,2} \w+ 20\d\d", text)
    code = kiosk.url.rsplit("/", 1)[1].partition("?")[0]
    assert code in text


@pytest.mark.parametrize("reason", ["lansia", "bumil", "disabilitas", "balita"])
def test_slip_tells_no_reason(hall: Hall, reason: str):
    """PRIORITAS with its star and double frame; why is nobody's business, nor is a name there."""
    kiosk = hall.kiosk()
    take(kiosk, reason, "bpjs", "gigi")
    kiosk.emulate_media(media="print")
    slip = kiosk.locator(".slip")

    expect(slip).to_contain_text("PRIORITAS")
    expect(slip.locator(".slip-lane svg").first).to_be_visible()
    ticket = slip.locator(".slip-ticket")
    styles = ticket.evaluate(
        "one => [getComputedStyle(one).borderTopWidth, getComputedStyle(one).outlineStyle]"
    )
    assert float(styles[0].removesuffix("px")) > 0
    assert styles[1] == "solid"
    source = slip.evaluate("one => one.outerHTML")
    told = r"lansia|60 tahun|hamil|bumil|disabilitas|balita|5 tahun|pregnan|elder|wheelchair|child"
    assert re.search(told, source, re.IGNORECASE) is None


def test_slip_of_a_priority_ticket(hall: Hall, paper: str):
    """The frame takes room: number and all still fit, on one page."""
    kiosk = hall.kiosk()
    take(kiosk, "lansia", "bpjs", "gigi")

    assert "PRIORITAS" in check(kiosk, paper)["text"]


@pytest.mark.parametrize("number", ["P-1000", "AB-1000"])
def test_slip_of_a_long_number(hall: Hall, paper: str, number: str):
    """After P-999 comes P-1000: set narrower, not smaller, and whole."""
    kiosk = hall.kiosk()
    take(kiosk, "lansia", "bpjs", "gigi")
    kiosk.evaluate(
        """number => {
            const box = document.querySelector(".slip-number");
            box.dataset.length = number.length;
            box.firstElementChild.textContent = number;
        }""",
        number,
    )
    check(kiosk, paper)


def test_slip_in_english_with_long_words(hall: Hall, paper: str):
    """The longest unit name, and an estimate in words instead of minutes."""
    kiosk = hall.pages.open(f"{hall.server.pages['kiosk']}?lang=en", width=1080, height=1920)
    kiosk.locator('a[href*="/kiosk/new"]').first.click()
    kiosk.locator('a[href*="lane=general"]').click()
    kiosk.locator('a[href*="payment=umum"]').click()
    kiosk.locator("[data-unit=kia]").click()
    kiosk.wait_for_url("**/kiosk/ticket/*")

    assert "Mother, child and family planning" in check(kiosk, paper)["text"]
