"""Kiosk, login and counter are plain links and forms: they work where scripts do not run."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.hall import Hall, called, take
from browser.machine import set_setting
from support.server import Server, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for all tests here; its line goes on from test to test."""
    folder = tmp_path_factory.mktemp("plain")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        yield started


@pytest.fixture
def kiosk(hall: Hall) -> Page:
    """A kiosk whose browser runs no script."""
    return hall.kiosk(java_script_enabled=False)


def test_kiosk_gives_numbers(kiosk: Page):
    """Both lanes, with everything the page has to say; nothing waits for a script to appear."""
    general = take(kiosk, "umum", "umum", "umum")
    assert re.fullmatch(r"A-\d{3}", general)
    body = kiosk.locator("main")
    expect(body).to_contain_text("Poli Umum")
    expect(body).to_contain_text(re.compile(r"\d\d:\d\d WIB"))
    expect(kiosk.locator(".k-qr-code svg")).to_be_visible()
    for scripted in ("[data-print-again]", "[data-countdown]", "[data-idle]", ".k-lost"):
        for element in kiosk.locator(scripted).all():
            expect(element).to_be_hidden()
    kiosk.get_by_role("link", name="Selesai").click()
    expect(kiosk.locator("h1")).to_have_text("Selamat datang")

    priority = take(kiosk, "bumil", "bpjs", "gigi")
    assert re.fullmatch(r"P-\d{3}", priority)
    expect(kiosk.locator("main")).to_contain_text("PRIORITAS")


def test_kiosk_clears_by_itself(hall: Hall, kiosk: Page):
    """The number does not stay for the next visitor."""
    set_setting(hall.server, "kiosk.clear_after_s", "5")
    take(kiosk, "umum", "umum", "umum")
    expect(kiosk.locator("h1")).to_have_text("Selamat datang")
    set_setting(hall.server, "kiosk.clear_after_s", "15")


def test_kiosk_goes_back(kiosk: Page):
    """*Kembali* leads through the questions to the start, and answers are kept."""
    kiosk.locator('a[href*="/kiosk/new"]').first.click()
    kiosk.get_by_role("link", name=re.compile("Prioritas")).click()
    kiosk.locator('a[href*="reason=lansia"]').click()
    kiosk.locator('a[href*="payment=bpjs"]').click()
    for title in (
        "Bagaimana membayarnya?",
        "Pasien prioritas yang mana?",
        "Siapa yang berobat hari ini?",
        "Selamat datang",
    ):
        kiosk.get_by_role("link", name="Kembali").click()
        expect(kiosk.locator("h1")).to_have_text(title)


def test_kiosk_in_english(kiosk: Page):
    """The language goes along through every question to the number."""
    kiosk.get_by_role("link", name="English").click()
    expect(kiosk.locator("html")).to_have_attribute("lang", "en")
    kiosk.locator('a[href*="/kiosk/new"]').first.click()
    kiosk.locator('a[href*="lane=general"]').click()
    kiosk.locator('a[href*="payment=umum"]').click()
    kiosk.get_by_role("button", name=re.compile("General clinic")).click()
    kiosk.wait_for_url("**/kiosk/ticket/*")
    expect(kiosk.locator("html")).to_have_attribute("lang", "en")
    expect(kiosk.locator("h1")).to_contain_text("Your queue number")


def test_emergency(hall: Hall, kiosk: Page):
    """One tap shows the way, and the counters are alerted."""
    desk = hall.counter(1, "siti")
    kiosk.get_by_role("button", name=re.compile("DARURAT")).click()
    expect(kiosk.locator("h1")).to_have_text("LANGSUNG KE UGD")
    expect(kiosk.locator("body")).to_contain_text(re.compile(r"E-\d{3}"))
    expect(desk.locator(".lk-alert-emergency")).to_be_visible()


def test_login_says_what_is_wrong(hall: Hall):
    """A wrong password and an empty one come back as a page that says so."""
    page = hall.pages.open(hall.server.pages["loket"], java_script_enabled=False)
    page.get_by_role("button", name="Masuk").click()
    expect(page).to_have_title(re.compile("^Kesalahan:"))
    page.fill("[name=username]", "siti")
    page.fill("[name=password]", "salah")
    page.get_by_role("button", name="Masuk").click()
    expect(page.locator(".error-summary")).to_contain_text("Nama pengguna atau kata sandi salah")
    expect(page.locator("[name=username]")).to_have_value("siti")


def test_counter_calls_and_serves(hall: Hall):
    """Choose, call, serve, hold, go on, complete, close: each a form and a whole page."""
    hall.arrive("general", 2)
    page = hall.pages.open(hall.server.pages["loket"], java_script_enabled=False)
    login = next(row for row in hall.server.told["logins"] if row["username"] == "budi")
    page.fill("[name=username]", login["username"])
    page.fill("[name=password]", login["password"])
    page.get_by_role("button", name="Masuk").click()
    page.get_by_role("button", name="Buka loket 2").click()
    expect(page.locator("#lk-idle")).to_be_visible()

    page.get_by_role("button", name="Panggil berikutnya").click()
    number = called(page)
    expect(page.locator("#lk-desk")).to_contain_text("Sedang dipanggil")
    # A second call has to wait for an answer to the first: the page says so, nothing is lost.
    page.get_by_role("button", name=re.compile("^Panggil")).click()
    expect(page.locator("#lk-error")).to_contain_text(f"{number} masih dipanggil")
    assert called(page) == number

    page.get_by_role("button", name=re.compile("^Hadir F6")).click()
    expect(page.locator("#lk-desk")).to_contain_text("Sedang dilayani")
    page.get_by_role("button", name=re.compile("^Tahan")).click()
    expect(page.locator("#lk-idle")).to_be_visible()
    page.get_by_role("button", name=f"Lanjutkan {number}").click()
    assert called(page) == number
    page.get_by_role("button", name=re.compile("^Selesai")).click()
    expect(page.locator("#lk-idle")).to_be_visible()

    page.locator(".lk-row").first.click()
    expect(page.locator("[data-chosen]")).to_be_visible()
    page.get_by_role("button", name="Ambilkan nomor").click()
    expect(page.locator(".lk-issued")).to_contain_text(re.compile(r"[A-D]-\d{3}"))
    page.get_by_role("button", name="Tutup loket").click()
    expect(page.locator("h1")).to_have_text("Anda bekerja di loket mana?")
