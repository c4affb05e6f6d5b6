"""The pages of the voice in a real browser: by axe, on a desk and on a phone, and to the ear."""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from browser.axe import violations
from browser.hall import Hall, until_spoken
from browser.voices import until
from browser.walks import log_in
from support.chromium import Pages
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

SIZES = {"desk": (1366, 768), "phone": (360, 740)}
HEARD = """async address => {
    const answer = await fetch(address);
    if (!answer.ok) return [answer.status, await answer.text()];
    const sound = await new AudioContext().decodeAudioData(await answer.arrayBuffer());
    const samples = sound.getChannelData(0);
    return [sound.duration, samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0)];
}"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo that speaks by eSpeak."""
    folder = tmp_path_factory.mktemp("voice")
    demo = folder / "demo"
    start = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", demo)
    with running(*start, folder=folder) as first:
        assert httpx.get(first.pages["kiosk"], timeout=30).status_code == 200
    for command in (
        ["plugin", "enable", "tts"],
        ["settings", "set", "tts.engines", "espeak"],
        ["settings", "set", "display.announcers", "tts, browser"],
    ):
        done = run_command(*command, "--config", demo / "puskesmas.toml")
        assert done.returncode == 0, done.stderr
    with running(*start, folder=folder) as started:
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


def test_a_text_is_tried_a_word_corrected_and_a_hall_set(server: Server, office: Page):
    """The administrator's whole way, by touch."""
    office.goto(f"{server.url}/x/tts/")
    expect(office.locator("tr", has_text="eSpeak")).to_contain_text("Bisa")
    look(office)
    office.get_by_label("Teks", exact=True).fill("Pasien ke Poli KIA, nomor A-012")
    office.get_by_role("button", name="Siapkan suara").click()
    expect(office.locator("q")).to_have_text("Pasien ke Poli ka i a, nomor a, nol satu dua")
    look(office)
    duration, peak = office.evaluate(HEARD, office.locator("audio").get_attribute("src"))
    assert 2 < duration < 8
    assert peak > 0.05

    office.get_by_label("Teks", exact=True).fill("<b>Pasien</b>")
    office.get_by_role("button", name="Siapkan suara").click()
    expect(office.locator(".error-summary")).to_be_focused()
    look(office)

    office.get_by_role("link", name="Cara baca").first.click()
    look(office)
    office.get_by_label("Tertulis").fill("Kaliwates")
    office.get_by_label("Diucapkan").fill("kali wates")
    office.get_by_role("button", name="Simpan").click()
    expect(office.get_by_role("status")).to_contain_text("Sudah disimpan.")
    row = office.locator("tr", has_text="kali wates")
    expect(row).to_contain_text("Klinik")
    look(office)
    row.get_by_role("link", name="Ubah").click()
    expect(office.get_by_label("Tertulis")).to_have_value("Kaliwates")
    look(office)
    row.get_by_role("button", name="Hapus").click()
    expect(office.get_by_role("status")).to_contain_text("Sudah dikembalikan.")

    office.goto(f"{server.url}/x/tts/zones/main")
    look(office)
    before, _ = office.evaluate(HEARD, office.locator("audio").get_attribute("src"))
    office.get_by_label("Tiga nada").check()
    office.get_by_label("2 kali").check()
    office.get_by_label("Kecepatan").select_option("90%")
    office.get_by_role("button", name="Simpan").click()
    expect(office.get_by_role("status")).to_contain_text("Sudah disimpan.")
    after, _ = office.evaluate(HEARD, office.locator("audio").get_attribute("src"))
    assert after > 2 * before
    look(office)
    office.get_by_label("Bel dari TV").check()
    office.get_by_label("1 kali").check()
    office.get_by_label("Kecepatan").select_option("100%")
    with office.expect_navigation():
        office.get_by_role("button", name="Simpan").click()


def test_all_pages_are_there_in_english(server: Server, office: Page):
    """Every text of theirs, by the rules of axe too."""
    for path in ("", "words", "zones/main"):
        office.goto(f"{server.url}/x/tts/{path}?lang=en")
        expect(office.locator("html")).to_have_attribute("lang", "en")
        expect(office.locator("h1")).to_have_text(
            {"": "Voice", "words": "Pronunciation", "zones/main": "Voice in hall main"}[path]
        )
        look(office)


def test_the_forms_work_without_javascript(server: Server, pages: Pages):
    """Trying a text, correcting a word, setting a hall."""
    page = log_in(Hall(server, pages), "admin", java_script_enabled=False)
    page.goto(f"{server.url}/x/tts/")
    page.get_by_label("Teks", exact=True).fill("Satu")
    page.get_by_role("button", name="Siapkan suara").click()
    expect(page.locator("audio")).to_be_visible()
    page.goto(f"{server.url}/x/tts/words")
    page.get_by_label("Tertulis").fill("Mangli")
    page.get_by_label("Diucapkan").fill("mang li")
    page.get_by_role("button", name="Simpan").click()
    page.locator("tr", has_text="mang li").get_by_role("button", name="Hapus").click()
    expect(page.locator("tr", has_text="mang li")).to_have_count(0)


def test_the_tv_plays_what_the_voice_said(server: Server, pages: Pages):
    """Both halves, by the real voice, and the page knows that it did."""
    hall = Hall(server, pages)
    hall.at("07:30")
    tv = hall.tv()
    tv.evaluate(
        """() => {
            window.played = [];
            const start = AudioBufferSourceNode.prototype.start;
            AudioBufferSourceNode.prototype.start = function (...rest) {
                window.played.push(this.buffer.duration);
                return start.apply(this, rest);
            };
        }"""
    )
    tv.mouse.click(900, 500)
    desk = hall.counter(1, "siti")
    hall.arrive("general")
    desk.keyboard.press("F2")
    until(tv, "window.played.length === 2")
    assert all(0.8 < length < 6 for length in tv.evaluate("window.played"))
    office = log_in(hall, "admin")
    until_spoken(hall, tv, 1)
    for _ in range(100):
        office.goto(f"{server.url}/x/tts/zones/main")
        if "TV terakhir bersuara" in office.inner_text("main"):
            break
        office.wait_for_timeout(100)
    expect(office.locator("main")).to_contain_text("TV terakhir bersuara 07:3")


def test_pictures_for_people(server: Server, office: Page, tmp_path: Path):
    """The pages at both sizes are drawn whole."""
    for path in ("", "words", "zones/main"):
        office.goto(f"{server.url}/x/tts/{path}")
        picture = tmp_path / f"{path.replace('/', '-') or 'voice'}.png"
        office.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
