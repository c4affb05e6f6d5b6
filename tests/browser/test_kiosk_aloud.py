"""The kiosk's speaker: a page is read by the clinic's voice, else by the browser's, else not."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from browser.axe import violations
from browser.voices import PLAYED, FolderVoice, played, speaking_demo, until, until_asked
from support.chromium import Pages
from support.server import Server

pytestmark = pytest.mark.browser

NO_VOICE = "window.speechSynthesis.getVoices = () => []"
DECODED = """
window.decoded = 0;
const decode = BaseAudioContext.prototype.decodeAudioData;
BaseAudioContext.prototype.decodeAudioData = async function (...rest) {
    const sound = await decode.apply(this, rest);
    window.decoded += 1;
    return sound;
};
"""
"""Counts the sounds that the page has ready: one for each page of the way."""
OWN_VOICE = """
window.said = [];
window.speechSynthesis.getVoices = () => [{lang: "id-ID", name: "a"}, {lang: "en-US", name: "b"}];
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
window.speechSynthesis.speak = (words) => { window.said.push(words); };
window.speechSynthesis.cancel = () => window.said.at(-1)?.onend();
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FolderVoice]]:
    """One demo for all tests here."""
    with speaking_demo(tmp_path_factory.mktemp("aloud")) as found:
        yield found


@pytest.fixture
def server(demo: tuple[Server, FolderVoice]) -> Server:
    """Its server."""
    return demo[0]


@pytest.fixture
def voice(demo: tuple[Server, FolderVoice]) -> FolderVoice:
    """Its voice, as it is in the beginning."""
    demo[1].tell()
    return demo[1]


@pytest.fixture
def kiosk(server: Server, pages: Pages, voice: FolderVoice) -> Page:
    """A kiosk whose browser has no voice; what it plays is noted."""
    return open_kiosk(server, pages)


def open_kiosk(server: Server, pages: Pages, script: str = NO_VOICE, query: str = "") -> Page:
    page = pages.open(width=1080, height=1920)
    page.add_init_script(script)
    page.add_init_script(PLAYED)
    page.add_init_script(DECODED)
    page.goto(server.pages["kiosk"] + query)
    return page


def speaker(kiosk: Page) -> Locator:
    """Return the icon."""
    return kiosk.locator("[data-speak]")


def test_a_tap_reads_the_page_at_once(kiosk: Page, voice: FolderVoice):
    """The sound was asked for before: from the tap to the first tone nobody is asked."""
    expect(speaker(kiosk)).to_be_visible()
    assert violations(kiosk, enhanced=True) == []
    ((kind, lang, words),) = voice.asked()
    assert (kind, lang) == ("page", "id")
    assert words.startswith("Selamat datang. Sentuh layar untuk memilih. Ambil nomor,")

    speaker(kiosk).click()

    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "true")
    until(kiosk, "window.played.length === 1 && window.played[0].to !== null")
    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "false")
    assert len(voice.asked()) == 1


def test_a_second_tap_stops_it(server: Server, pages: Pages, voice: FolderVoice):
    voice.tell(seconds=20, times=2)
    kiosk = open_kiosk(server, pages)
    speaker(kiosk).click()
    until(kiosk, "window.played.length === 1")

    speaker(kiosk).click()

    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "false")
    until(kiosk, "window.played[0].to !== null")
    kiosk.wait_for_timeout(300)
    (note,) = played(kiosk)
    assert note["heard_s"] < 19
    asked = voice.asked()

    speaker(kiosk).click()
    until(kiosk, "window.played.length === 2")
    assert voice.asked() == asked


def test_another_page_stops_it(server: Server, pages: Pages, voice: FolderVoice):
    voice.tell(seconds=20, times=2)
    kiosk = open_kiosk(server, pages)
    speaker(kiosk).click()
    until(kiosk, "window.played.length === 1")

    kiosk.get_by_text("Ambil nomor").first.click()

    expect(kiosk.locator("[data-page=category]")).to_be_visible()
    until(kiosk, "window.played[0].to !== null")
    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "false")
    kiosk.wait_for_timeout(700)
    (note,) = played(kiosk)
    assert note["heard_s"] < 19


def test_each_page_has_its_words_and_a_second_visitor_asks_for_none(
    kiosk: Page, voice: FolderVoice
):
    """What was asked for is kept: the way through the questions costs the server nothing more."""
    for visitor in range(2):
        expect(speaker(kiosk)).to_be_visible()
        kiosk.get_by_text("Ambil nomor").first.click()
        for count, (name, tile) in enumerate(
            [("category", "Antrean umum"), ("payment", "BPJS"), ("unit", "Poli Gigi")], 2
        ):
            expect(kiosk.locator(f"[data-page={name}]")).to_be_visible()
            expect(speaker(kiosk)).to_be_visible()
            until(kiosk, f"window.decoded >= {count}")
            kiosk.wait_for_timeout(900)
            kiosk.get_by_text(tile, exact=True).first.click()
        expect(kiosk.locator("[data-page=ticket]")).to_be_visible()
        expect(speaker(kiosk)).to_be_visible()
        kiosk.wait_for_timeout(900)
        told = [words.split(".")[0].split("?")[0] for _, _, words in voice.asked()]
        assert told == [
            "Selamat datang", "Siapa yang berobat hari ini", "Bagaimana membayarnya",
            "Ke mana tujuannya",
        ], visitor  # fmt: skip
        kiosk.get_by_role("link", name="Selesai").click()


def test_a_ticket_is_read_when_somebody_wants_it_and_stays_meanwhile(
    server: Server, pages: Pages, voice: FolderVoice
):
    voice.tell(seconds=40)
    kiosk = open_kiosk(server, pages)
    kiosk.get_by_text("Ambil nomor").first.click()
    kiosk.get_by_text("Antrean umum").click()
    kiosk.get_by_text("BPJS", exact=True).click()
    kiosk.get_by_text("Poli Umum").click()
    number = kiosk.locator(".k-result-number").inner_text()
    expect(speaker(kiosk)).to_be_visible()
    letter, _, figures = number.partition("-")
    words = ["nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan"]
    spelled = " ".join(words[int(figure)] for figure in figures)

    speaker(kiosk).click()
    until(kiosk, "window.played.length === 1")

    assert f"Nomor antrean Anda: {letter}, {spelled}." in voice.asked()[-1][2]
    left = int(kiosk.locator("[data-countdown] [data-seconds]").inner_text())
    # Without its voice it would go after 15 s; it stays for 5 s more than is read.
    assert 15 < left <= 40 + 5 + 1


def test_what_a_plugin_objects_is_read_by_the_same_voice(
    server: Server, pages: Pages, voice: FolderVoice
):
    """The page that refuses has its icon, and stays while it is read."""
    voice.tell(seconds=40, objection="Poli Umum hari ini tutup pukul sepuluh")
    kiosk = open_kiosk(server, pages)
    kiosk.get_by_text("Ambil nomor").first.click()
    kiosk.get_by_text("Antrean umum").click()
    kiosk.get_by_text("BPJS", exact=True).click()
    kiosk.get_by_text("Poli Umum").click()
    expect(kiosk.locator("[data-page=error] h1")).to_have_text("Nomor tidak bisa diambil")
    expect(speaker(kiosk)).to_be_visible()
    assert violations(kiosk, enhanced=True) == []

    speaker(kiosk).click()
    until(kiosk, "window.played.length === 1")

    words = "Nomor tidak bisa diambil. Poli Umum hari ini tutup pukul sepuluh. Silakan ke petugas."
    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "true")
    left = int(kiosk.locator("[data-countdown] [data-seconds]").inner_text())
    assert 25 < left <= 40 + 5 + 1
    kiosk.wait_for_timeout(500)
    assert voice.asked()[-1] == ["page", "id", words]


def test_english_is_read_in_english(server: Server, pages: Pages, voice: FolderVoice):
    kiosk = open_kiosk(server, pages, query="?lang=en")
    expect(speaker(kiosk)).to_be_visible()

    ((_, lang, words),) = voice.asked()

    assert (lang, words.split(".")[0]) == ("en", "Welcome")
    kiosk.get_by_role("link", name="Bahasa Indonesia").click()
    expect(kiosk.locator("[data-page=start][data-lang=id]")).to_be_visible()
    assert [one[1] for one in until_asked(kiosk, voice, 2)] == ["en", "id"]


def test_without_any_voice_there_is_no_icon(server: Server, pages: Pages, voice: FolderVoice):
    voice.tell(is_broken=True)
    kiosk = open_kiosk(server, pages)
    until_asked(kiosk, voice, 1)
    kiosk.wait_for_timeout(500)

    expect(speaker(kiosk)).to_be_hidden()
    kiosk.reload()
    kiosk.get_by_text("Ambil nomor").first.click()
    expect(kiosk.locator("[data-page=category]")).to_be_visible()


def test_the_browser_reads_where_the_clinic_has_no_voice(
    server: Server, pages: Pages, voice: FolderVoice
):
    """The same words, in the language of the page, until the page changes."""
    voice.tell(is_broken=True)
    kiosk = open_kiosk(server, pages, OWN_VOICE)
    expect(speaker(kiosk)).to_be_visible()
    until_asked(kiosk, voice, 1)

    speaker(kiosk).click()
    until(kiosk, "window.said.length === 1")

    ((_, _, words),) = voice.asked()
    assert kiosk.evaluate("[window.said[0].text, window.said[0].lang]") == [words, "id-ID"]
    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "true")
    speaker(kiosk).click()
    expect(speaker(kiosk)).to_have_attribute("aria-pressed", "false")
    assert played(kiosk) == []


def test_a_slow_voice_keeps_nobody_waiting(server: Server, pages: Pages, voice: FolderVoice):
    """Whoever goes on has a number before any voice answers; what was asked for is dropped."""
    kiosk = pages.open(width=1080, height=1920)
    asked: list[Route] = []
    dropped: list[str] = []

    def hold(route: Route) -> None:
        asked.append(route)

    kiosk.add_init_script(NO_VOICE)
    kiosk.route(re.compile(r"/aloud(\?|$)"), hold)
    kiosk.on("requestfailed", lambda one: dropped.append(one.url))
    kiosk.goto(server.pages["kiosk"])
    deadline = time.monotonic() + 30
    while not asked and time.monotonic() < deadline:
        kiosk.wait_for_timeout(20)
    kiosk.get_by_text("Ambil nomor").first.click()
    kiosk.get_by_text("Antrean umum").click()
    kiosk.get_by_text("BPJS", exact=True).click()
    kiosk.get_by_text("Poli Umum").click()
    expect(kiosk.locator(".k-result-number")).to_be_visible()

    expect(speaker(kiosk)).to_be_hidden()
    assert asked[0].request.url in dropped


def test_the_page_does_not_move_when_the_icon_comes(
    server: Server, pages: Pages, voice: FolderVoice
):
    """A tile that moves under a finger is another tile."""
    voice.tell(after_s=0.5)
    for width, height in ((1080, 1920), (1366, 768)):
        kiosk = open_kiosk(server, pages)
        kiosk.set_viewport_size({"width": width, "height": height})
        kiosk.reload()
        kiosk.evaluate("document.fonts.ready.then(() => 0)")
        tile = kiosk.locator(".k-tile-main")
        before = tile.bounding_box()
        expect(speaker(kiosk)).to_be_visible()
        assert tile.bounding_box() == before
