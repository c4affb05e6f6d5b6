"""
The pages of the receipt printer in a real browser, by axe, on a desk and on a phone.

The printer is the plugin's simulated one, at a real port.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from browser.axe import violations
from browser.hall import Hall, take
from browser.walks import log_in
from puskesmas_queue_escpos_printer.simulator import PrinterSimulator
from support.chromium import Pages
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

SIZES = {"desk": (1366, 768), "phone": (360, 740)}
WIDER = """
() => Math.max(...[...document.querySelectorAll(":root, .table-wrap:has(.ep-table)")].map(
    (one) => one.scrollWidth - one.clientWidth))
"""
HOME = "/x/escpos_printer/"
OFF = "127.0.0.1:9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo that prints by receipt printers only."""
    folder = tmp_path_factory.mktemp("printer")
    demo = folder / "demo"
    start = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", demo)
    with running(*start, folder=folder) as first:
        assert httpx.get(first.pages["kiosk"], timeout=30).status_code == 200
    for command in (
        ["plugin", "enable", "escpos_printer"],
        ["settings", "set", "kiosk.printers", "escpos"],
    ):
        done = run_command(*command, "--config", demo / "puskesmas.toml")
        assert done.returncode == 0, done.stderr
    with running(*start, folder=folder) as started:
        yield started


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[PrinterSimulator]:
    """A printer with faults to switch."""
    made = PrinterSimulator(tmp_path, 0)
    yield made
    made.stop()


@pytest.fixture(params=SIZES)
def office(request: pytest.FixtureRequest, server: Server, pages: Pages) -> Page:
    """The administrator's browser."""
    width, height = SIZES[request.param]
    return log_in(Hall(server, pages), "admin", width=width, height=height)


def look(page: Page, picture: Path | None = None) -> None:
    """No rule of axe is broken, and nothing has to be moved sideways."""
    page.wait_for_load_state("load")
    assert violations(page) == []
    assert page.evaluate(WIDER) <= 0
    if picture is not None:
        page.screenshot(path=picture, full_page=True)


def add_printer(page: Page, server: Server, name: str, address: str) -> None:
    """Fill the form in."""
    page.goto(f"{server.url}{HOME}printers")
    page.get_by_role("link", name="Tambah printer").first.click()
    page.get_by_label("Nama printer").fill(name)
    page.get_by_label("Alamat").fill(address)
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")


def card(page: Page, name: str) -> Locator:
    """Find a printer on the page that sets them up."""
    return page.locator("li.card", has_text=name)


def test_a_printer_is_set_up_and_its_trouble_seen_to(
    server: Server, office: Page, pages: Pages, printer: PrinterSimulator, tmp_path: Path
):
    """From the first form over the test page and a roll that ends to a ticket printed again."""
    office.goto(f"{server.url}{HOME}printers")
    look(office)
    office.get_by_role("link", name="Tambah printer").first.click()
    office.get_by_role("button", name="Simpan").click()
    expect(office.locator(".error-summary")).to_be_focused()
    look(office, tmp_path / "form.png")
    add_printer(office, server, "Kiosk depan", printer.address)
    add_printer(office, server, "Loket lama", OFF)
    look(office, tmp_path / "setup.png")
    card(office, "Kiosk depan").get_by_role("button", name="Cetak halaman uji").click()
    expect(office.get_by_role("status")).to_contain_text("Halaman uji tercetak.")
    assert "Kiosk depan" in printer.slips[-1].text
    card(office, "Loket lama").get_by_role("button", name="Cetak halaman uji").click()
    expect(office.get_by_role("alert")).to_contain_text("Printer mati atau menolak sambungan.")
    look(office)
    # The last form is the empty one.
    rule = office.locator("form.ep-place").last
    rule.get_by_label("Printer pertama").select_option("Kiosk depan")
    rule.get_by_role("button", name="Tambah aturan").click()
    expect(office.get_by_role("heading", name="Semua kiosk")).to_be_visible()
    look(office, tmp_path / "places.png")

    printer.faults.is_silent = True
    kiosk = Hall(server, pages).kiosk()
    number = take(kiosk, "umum", "bpjs", "umum")
    expect(kiosk.get_by_text("Apakah kertas sudah keluar?")).to_be_visible(timeout=60_000)
    printer.faults.is_silent = False
    printer.faults.paper = "end"
    office.goto(f"{server.url}{HOME}")
    office.get_by_role("button", name="Periksa sekarang").click()
    expect(office.locator("#ep-printers tr", has_text="Kiosk depan")).to_contain_text(
        "Kertas habis"
    )
    expect(office.locator(".ep-jobs li").first).to_contain_text(number)
    look(office, tmp_path / "queue.png")
    office.goto(f"{server.url}/admin/plugins/escpos_printer")
    checks = office.locator(".of-checks")
    expect(checks).to_contain_text("lihat halaman Printer tiket: Kiosk depan, Loket lama")
    expect(checks).to_contain_text("cetakan 24 jam terakhir yang perlu dilihat: 1")
    look(office, tmp_path / "checks.png")
    office.goto(f"{server.url}{HOME}")
    office.locator(".ep-jobs li").first.get_by_role("button", name="Cetak lagi").click()
    expect(office.get_by_role("alert")).to_contain_text("Tidak tercetak.")
    printer.faults.paper = "ok"
    office.locator(".ep-jobs li").first.get_by_role("button", name="Cetak lagi").click()
    expect(office.get_by_role("status")).to_contain_text("Kertas sudah keluar.")
    expect(office.locator(".ep-jobs")).to_have_count(0)
    look(office, tmp_path / "well.png")
    # The number is a picture; beside it stands where to go.
    assert ["Poli Umum" in one.text for one in printer.slips] == [False, True, True]
    look(office, tmp_path / "after.png")

    office.goto(f"{server.url}/dashboard")
    expect(office.locator("#panel-escpos_printer-printers-body")).to_contain_text("Loket lama")
    look(office, tmp_path / "day.png")
    for name in ("Kiosk depan", "Loket lama"):
        office.goto(f"{server.url}{HOME}printers")
        card(office, name).get_by_role("link", name="Hapus").click()
        look(office)
        office.get_by_role("button", name="Ya, hapus").click()
        expect(office.get_by_role("status")).to_contain_text("Printer dihapus.")


def test_all_pages_are_there_in_english(server: Server, office: Page):
    """Every text of theirs, by the rules of axe too."""
    for path, heading in (
        ("", "Ticket printers"),
        ("printers", "Set up printers"),
        ("printers/new", "Add a printer"),
    ):
        office.goto(f"{server.url}{HOME}{path}?lang=en")
        expect(office.locator("html")).to_have_attribute("lang", "en")
        expect(office.locator("h1")).to_have_text(heading)
        look(office)
