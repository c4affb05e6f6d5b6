"""
Indonesian and English: switched, kept, and given back to the next visitor.

That nothing Indonesian is left on English pages is looked at on every page and state by
`test_accessibility`; here it is shown that this look finds something.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.hall import Hall, take
from browser.machine import set_setting
from browser.walks import close_counter, log_in, open_counter, speak
from browser.words import indonesian, indonesian_left
from support.server import Server, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for all tests here; its line goes on from test to test."""
    folder = tmp_path_factory.mktemp("languages")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        yield started


def says(page: Page, lang: str) -> None:
    """Expect a page in a language: its own word for it, and its words."""
    expect(page.locator("html")).to_have_attribute("lang", lang)
    left = indonesian_left(page)
    assert left == [] if lang == "en" else left


def test_what_is_left_is_found(hall: Hall):
    """The look that finds nothing on English pages finds much on Indonesian ones."""
    texts, words = indonesian()
    assert "Ambil nomor" in texts
    assert {"antrean", "loket", "petugas"} <= words
    kiosk = hall.kiosk()
    kiosk.evaluate("document.documentElement.lang = 'en'")
    assert any("'Ambil nomor'" in one for one in indonesian_left(kiosk))
    kiosk.goto(f"{kiosk.url}?lang=en")
    assert indonesian_left(kiosk) == []
    kiosk.evaluate("document.querySelector('h1').setAttribute('aria-label', 'Selamat datang')")
    assert len(indonesian_left(kiosk)) == 1


def test_kiosk_switches_at_any_question(hall: Hall):
    """The question and the answers stay, only the language changes; the number comes in it."""
    kiosk = hall.kiosk()
    kiosk.locator('a[href*="/kiosk/new"]').first.click()
    kiosk.locator('a[href*="/kiosk/reason"]').click()
    kiosk.locator('a[href*="reason=balita"]').click()
    expect(kiosk.locator("h1")).to_have_text("Bagaimana membayarnya?")
    says(kiosk, "id")

    kiosk.get_by_role("link", name="English").click()
    expect(kiosk.locator("h1")).to_have_text("How will you pay?")
    says(kiosk, "en")
    kiosk.get_by_role("link", name="Bahasa Indonesia").click()
    expect(kiosk.locator("h1")).to_have_text("Bagaimana membayarnya?")
    says(kiosk, "id")
    kiosk.get_by_role("link", name="English").click()
    expect(kiosk.locator("h1")).to_have_text("How will you pay?")

    kiosk.locator('a[href*="payment=bpjs"]').click()
    kiosk.get_by_role("button", name=re.compile("Dental clinic")).click()
    kiosk.wait_for_url("**/kiosk/ticket/*")
    expect(kiosk.locator(".k-result-number")).to_have_text(re.compile(r"^P-\d{3}$"))
    expect(kiosk.locator(".k-result-unit")).to_contain_text("Dental clinic")
    expect(kiosk.locator(".slip-unit")).to_have_text("Dental clinic")
    says(kiosk, "en")


def test_kiosk_is_indonesian_for_the_next_visitor(hall: Hall):
    """After *Selesai*, and after the number was left alone."""
    kiosk = hall.kiosk()
    kiosk.get_by_role("link", name="English").click()
    says(kiosk, "en")
    for leave in ("button", "time"):
        if leave == "time":
            set_setting(hall.server, "kiosk.clear_after_s", "5")
        kiosk.goto(f"{hall.server.pages['kiosk']}?lang=en")
        kiosk.locator('a[href*="/kiosk/new"]').first.click()
        kiosk.locator('a[href*="lane=general"]').click()
        kiosk.locator('a[href*="payment=umum"]').click()
        kiosk.get_by_role("button", name=re.compile("General clinic")).click()
        expect(kiosk.locator("h1")).to_contain_text("Your queue number")
        if leave == "button":
            kiosk.get_by_role("link", name="Done").click()
        expect(kiosk.locator("h1")).to_have_text("Selamat datang")
        says(kiosk, "id")
    set_setting(hall.server, "kiosk.clear_after_s", "15")


def test_kiosk_asks_and_goes_back_when_idle(hall: Hall):
    """*Still there?* in the visitor's language; without an answer the start, in Indonesian."""
    set_setting(hall.server, "kiosk.idle_s", "10")
    kiosk = hall.pages.open(
        f"{hall.server.pages['kiosk']}?lang=en", width=1080, height=1920, reduced_motion="reduce"
    )
    kiosk.locator('a[href*="/kiosk/new"]').first.click()
    kiosk.locator('a[href*="/kiosk/reason"]').click()
    dialog = kiosk.locator("[data-idle]")
    expect(dialog).to_be_visible()
    says(kiosk, "en")
    expect(kiosk.locator("[data-idle-stay]")).to_be_focused()
    kiosk.locator("[data-idle-stay]").click()
    expect(dialog).to_be_hidden()
    assert "/kiosk/reason" in kiosk.url

    kiosk.evaluate("document.body.dataset.idleS = '1'")
    kiosk.keyboard.press("Shift")
    expect(dialog).to_be_visible()
    expect(kiosk.locator("h1")).to_have_text("Selamat datang", timeout=60_000)
    says(kiosk, "id")
    expect(dialog).to_be_hidden()
    set_setting(hall.server, "kiosk.idle_s", "45")


def test_staff_language_is_kept(hall: Hall):
    """Chosen on /me it holds on every staff page, at the next login, and until changed again."""
    desk = log_in(hall, "siti")
    speak(desk, "en")
    says(desk, "en")
    desk.goto(hall.server.pages["loket"])
    says(desk, "en")
    open_counter(desk, 1)
    hall.arrive("general")
    expect(desk.locator("#lk-lane-general .lk-row").first).to_be_visible()
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_be_visible()
    says(desk, "en")
    close_counter(desk)
    desk.goto(hall.server.pages["dashboard"])
    says(desk, "en")

    again = log_in(hall, "siti")
    says(again, "en")
    speak(again, "id")
    says(again, "id")
    desk.goto(hall.server.pages["loket"])
    says(desk, "id")


def test_login_in_english(hall: Hall):
    """Its link switches; what is wrong is told in the same language."""
    page = hall.pages.open(hall.server.pages["loket"])
    page.get_by_role("link", name="English").click()
    expect(page.locator("h1")).to_have_text("Staff login")
    says(page, "en")
    page.fill("[name=username]", "siti")
    page.fill("[name=password]", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator(".error-summary")).to_be_visible()
    says(page, "en")


def test_tv_speaks_the_language_that_was_set(hall: Hall):
    """Its own words, and those of the calls; the kiosk beside it stays as it was."""
    set_setting(hall.server, "display.language", "en")
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    tv = hall.tv()
    says(tv, "en")
    kiosk = hall.kiosk()
    number = take(kiosk, "umum", "umum", "umum")
    assert number.startswith("A-")
    says(kiosk, "id")
    desk.keyboard.press("F2")
    expect(tv.locator("#tv-counter-1")).to_contain_text("please go to")
    says(tv, "en")
    assert re.fullmatch(
        r"Queue number, [A-DP], .+\. Please go to counter one\.", hall.announced()[0]["text"]
    )
    set_setting(hall.server, "display.language", "id")
