"""The pages of slips and the simulated printer in a real browser: by axe, on a desk, on a phone."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from browser.axe import violations
from browser.hall import Hall
from browser.walks import log_in
from support.chromium import Pages
from support.server import Server, running

pytestmark = pytest.mark.browser

SIZES = {"desk": (1366, 768), "phone": (360, 740)}
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BASE = "/x/escpos_printer"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo, which comes with the plugin and its simulated printer."""
    folder = tmp_path_factory.mktemp("slips")
    with running("demo", "--port", 0, "--json", "--dir", folder / "demo", folder=folder) as started:
        yield started


@pytest.fixture(params=SIZES)
def office(request: pytest.FixtureRequest, server: Server, pages: Pages) -> Page:
    """The administrator's browser."""
    width, height = SIZES[request.param]
    return log_in(Hall(server, pages), "admin", width=width, height=height)


def look(page: Page) -> None:
    """No rule of axe is broken, and nothing has to be moved sideways."""
    page.wait_for_load_state("load")
    assert violations(page) == []
    assert page.evaluate(WIDER) <= 0


def paper(page: Page) -> list[str]:
    """The pictures of the preview."""
    return [one.get_attribute("src") or "" for one in page.locator("#previews img").all()]


def test_a_slip_is_worded_seen_and_saved(server: Server, office: Page):
    """The picture follows what is typed; a mistake is led to; the original comes back."""
    office.goto(f"{server.url}{BASE}/slips")
    look(office)
    with office.expect_navigation():
        office.get_by_role("link", name="Ubah Karcis antrean").click()
    look(office)
    plain = paper(office)
    assert len(set(plain)) == 2
    office.locator("#block-footer summary").click()
    office.locator("#text-footer-id").fill("Semoga lekas sembuh")
    expect(office.locator("#previews img").first).not_to_have_attribute("src", plain[0])
    office.get_by_label("Antrean", exact=True).select_option("priority")
    look(office)

    office.locator("#text-footer-id").fill("Untuk {nama}")
    office.get_by_role("button", name="Simpan").first.click()
    expect(office.locator(".error-summary")).to_be_focused()
    look(office)
    office.locator(".error-summary a").click()
    expect(office.locator("#text-footer-id")).to_be_focused()
    office.locator("#text-footer-id").fill("Untuk {poli}")
    office.keyboard.press("Enter")
    expect(office.get_by_role("status")).to_contain_text("Tersimpan.")
    look(office)

    office.get_by_role("button", name="Isi dengan bawaan").click()
    expect(office.get_by_role("status")).to_contain_text("Belum disimpan.")
    with office.expect_navigation():
        office.get_by_role("button", name="Simpan").first.click()
    expect(office.get_by_role("button", name="Isi dengan bawaan")).to_have_count(0)
    assert paper(office) == plain


def test_all_pages_are_there_in_english(server: Server, office: Page):
    """Every text of theirs, by the rules of axe too."""
    for path, heading in (
        ("slips", "How slips look"),
        ("slips/ticket", "Queue ticket"),
        ("slips/test", "Test page"),
        ("slips/day", "Slip of the day"),
        ("days", "Slip of the day"),
    ):
        office.goto(f"{server.url}{BASE}/{path}?lang=en")
        expect(office.locator("h1")).to_have_text(heading)
        look(office)


def test_a_closed_day_is_listed_with_its_slip(server: Server, office: Page):
    """The demo's clock goes over midnight; the simulated printer prints the day before."""
    office.goto(f"{server.url}{BASE}/days")
    before = office.locator("tbody tr").count()
    httpx.post(f"{server.url}/demo/arrivals", data={"count": "3"}, timeout=30)
    httpx.post(f"{server.url}/demo/clock", json={"advance_s": 86400}, timeout=30)
    deadline = time.monotonic() + 60
    while office.locator("tbody tr").count() == before and time.monotonic() < deadline:
        office.wait_for_timeout(200)
        office.goto(f"{server.url}{BASE}/days")
    expect(office.locator("tbody tr")).to_have_count(before + 1)
    expect(office.locator("tbody tr").first).to_contain_text("3")
    look(office)
    office.get_by_role("button", name="Cetak").first.click()
    expect(office.get_by_role("status")).to_contain_text("tercetak")
    look(office)


def test_the_forms_work_without_javascript(server: Server, pages: Pages):
    """Moving a block, looking, saving."""
    page = log_in(Hall(server, pages), "admin", java_script_enabled=False)
    page.goto(f"{server.url}{BASE}/slips/day")
    before = paper(page)
    page.get_by_role("button", name="Turunkan Judul", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Belum disimpan.")
    assert paper(page) != before
    page.get_by_label("Bahasa", exact=True).select_option("en")
    page.get_by_role("button", name="Lihat lagi").click()
    page.get_by_role("button", name="Simpan").first.click()
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")


def test_the_simulator_is_led_to_and_shows_what_comes_out(
    server: Server, office: Page, pages: Pages, tmp_path: Path
):
    """From the demo's page; a fault is switched by a tap, a slip is a picture."""
    office.goto(server.pages["demo"])
    address = office.get_by_role("link", name="printer").get_attribute("href")
    assert address is not None
    width, height = office.viewport_size["width"], office.viewport_size["height"]
    page = pages.open(address, width=width, height=height)
    host, port = httpx.get(f"{address}/address", timeout=30).text.split(":")
    told = httpx.get(f"{address}/state", timeout=30).json()["slips"]
    printed = sum("Nomor A-012" in one["text"] for one in told)
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(b"\x1b@Nomor A-012\n\x1dVB\x00")

    # Others may come meanwhile, of days that were closed.
    expect(page.locator('#slips img[alt*="Nomor A-012"]')).to_have_count(printed + 1)
    page.get_by_label("Tutup terbuka").check()
    deadline = time.monotonic() + 30
    while not httpx.get(f"{address}/state", timeout=30).json()["faults"]["is_cover_open"]:
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    page.get_by_label("Tutup terbuka").uncheck()
    page.get_by_label("Habis", exact=True).check()
    expect(page.get_by_label("Habis", exact=True)).to_be_checked()
    page.get_by_label("Ada", exact=True).check()
    look(page)
    page.screenshot(path=tmp_path / "simulator.png", full_page=True)
