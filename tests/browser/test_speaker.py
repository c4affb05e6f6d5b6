"""What the hall hears: one voice at a time, in the order of the calls, whichever TV it is."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from browser.hall import Hall, call, leave, states, until_spoken, wake_sound
from support.server import Server, running

pytestmark = pytest.mark.browser

SENTENCE_MS = 350
LONG_MS = 4_000
"""Of a sentence during which a test does something, however busy the machine is."""
VOICE = """
class Utterance { constructor(text) { this.text = text; } }
window.SpeechSynthesisUtterance = Utterance;
Object.defineProperty(window, "speechSynthesis", {value: {
    getVoices: () => VOICES,
    cancel: () => {},
    speak: utterance => {
        window.noteSpeech("begin", utterance.text, Date.now());
        setTimeout(() => {
            window.noteSpeech("end", utterance.text, Date.now());
            utterance.onend?.();
        }, SENTENCE_MS);
    },
}});
"""
INDONESIAN = '[{lang: "id-ID", name: "test"}]'


@dataclass
class Heard:
    """What was said in the hall, by all TVs together: (TV, begin or end, words, when in ms)."""

    notes: list[tuple[str, str, str, int]] = field(default_factory=list)

    def numbers(self) -> list[str]:
        """Return the numbers that were begun, in the order in which they were heard."""
        found = []
        for _, what, words, _ in sorted(self.notes, key=lambda note: note[3]):
            number = re.match(r"Nomor antrean, ([A-Z]), (.+)\.", words)
            if what == "begin" and number:
                found.append(f"{number[1]} {number[2]}")
        return found

    def wait(self, tv: Page) -> None:
        """Wait until something is said; `tv` keeps Playwright going."""
        deadline = time.monotonic() + 30
        while not self.notes and time.monotonic() < deadline:
            tv.wait_for_timeout(20)

    def tvs(self) -> set[str]:
        """Name the TVs that spoke."""
        return {note[0] for note in self.notes}

    def is_one_at_a_time(self) -> bool:
        """Say whether no sentence began before the one before it was over."""
        kinds = [
            note[1] for note in sorted(self.notes, key=lambda note: (note[3], note[1] == "begin"))
        ]
        open_ones = 0
        for kind in kinds:
            open_ones += 1 if kind == "begin" else -1
            if open_ones > 1:
                return False
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for all tests here; each begins a day of its own."""
    folder = tmp_path_factory.mktemp("speaker")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def _new_day(hall: Hall) -> None:
    """Nobody stands in the line, nothing is left to be said, and no TV was heard of lately."""
    hall.advance(24 * 3600)
    hall.at("07:30")


@pytest.fixture
def heard() -> Heard:
    """What this test's TVs say."""
    return Heard()


def open_tv(
    hall: Hall, heard: Heard, name: str, voices: str = INDONESIAN, sentence_ms: int = SENTENCE_MS
) -> Page:
    """Open a TV whose voice is written down, and give it the click that browsers want."""
    tv = hall.pages.open(width=1920, height=1080)

    def note(what: str, words: str, at: int) -> None:
        heard.notes.append((name, what, words, at))

    tv.expose_function("noteSpeech", note)
    script = VOICE.replace("VOICES", voices).replace("SENTENCE_MS", str(sentence_ms))
    tv.add_init_script(script)
    tv.goto(hall.server.pages["display"])
    wake_sound(tv)
    return tv


def test_only_one_of_two_speaks_and_in_order(hall: Hall, heard: Heard):
    """Four calls of two counters: each said once, by one TV, one after the other."""
    hall.arrive("general", 4)
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    first = open_tv(hall, heard, "first")
    open_tv(hall, heard, "second")
    for index in range(4):
        call(desks[index % 2])

    until_spoken(hall, first, 4)

    assert heard.numbers() == [f"A nol nol {word}" for word in ("satu", "dua", "tiga", "empat")]
    assert heard.tvs() == {"first"}
    assert heard.is_one_at_a_time()
    spoken = [words for _, what, words, _ in heard.notes if what == "begin"]
    assert spoken[:4] == [
        "Nomor antrean, A, nol nol satu.",
        "Silakan menuju loket satu.",
        "Nomor antrean, A, nol nol dua.",
        "Silakan menuju loket dua.",
    ]
    leave(*desks)


def test_two_calls_within_a_second_are_said_one_after_the_other(hall: Hall, heard: Heard):
    """Both counters press F2 at once: two whole announcements, none lost, none over another."""
    hall.arrive("general", 2)
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    tv = open_tv(hall, heard, "only", sentence_ms=LONG_MS)
    for desk in desks:
        desk.evaluate(
            """() => setTimeout(() => document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "F2", bubbles: true, cancelable: true})), 300)"""
        )
    for desk in desks:
        expect(desk.locator("#lk-now")).to_be_visible()
    # The second came while the first was said.
    assert states(hall, 2)[1][1] == "queued"

    until_spoken(hall, tv, 2)

    assert sorted(heard.numbers()) == ["A nol nol dua", "A nol nol satu"]
    assert heard.is_one_at_a_time()
    assert len(heard.notes) == 8
    order = [words for _, what, words, _ in heard.notes if what == "begin"]
    for number, direction in (order[:2], order[2:]):
        assert number.startswith("Nomor antrean")
        assert direction.startswith("Silakan menuju loket")
    leave(*desks)


def test_the_other_tv_takes_over(hall: Hall, heard: Heard):
    """The speaking TV loses its power in mid-sentence: the other begins it anew, within 15 s."""
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    first = open_tv(hall, heard, "first", sentence_ms=2 * LONG_MS)
    second = open_tv(hall, heard, "second")
    call(desk)
    heard.wait(first)
    assert heard.tvs() == {"first"}
    first.evaluate("navigator.sendBeacon = () => true")  # no last word
    first.close()
    heard.notes.clear()
    call(desk)
    second.wait_for_timeout(1000)
    assert heard.notes == []

    hall.advance(15)

    until_spoken(hall, second, 2)
    assert heard.tvs() == {"second"}
    assert heard.numbers() == ["A nol nol satu", "A nol nol dua"]
    assert heard.is_one_at_a_time()
    leave(desk)


def test_the_first_tv_does_not_take_the_word_back(hall: Hall, heard: Heard):
    """A TV that is switched on again listens while another one speaks."""
    hall.arrive("general", 1)
    desk = hall.counter(1, "siti")
    open_tv(hall, heard, "first")
    late = open_tv(hall, heard, "late")
    late.reload()
    wake_sound(late)
    call(desk)

    until_spoken(hall, late, 1)

    assert heard.tvs() == {"first"}
    leave(desk)


def test_a_tv_without_a_voice_shows_and_reports_at_once(hall: Hall, heard: Heard):
    """No Indonesian voice on that computer: the chime, no foreign voice, and the list goes on."""
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    tv = open_tv(hall, heard, "mute", voices='[{lang: "de-DE", name: "fremd"}]')
    call(desk)
    call(desk)

    until_spoken(hall, tv, 2)

    assert heard.notes == []
    expect(tv.locator("#tv-counter-1")).to_contain_text("A-002")
    leave(desk)


def test_an_old_call_is_shown_and_not_said(hall: Hall, heard: Heard):
    """Nobody could speak for two minutes: what is past is not said any more, what is new is."""
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    call(desk)
    hall.advance(91)
    tv = open_tv(hall, heard, "first")
    call(desk)

    until_spoken(hall, tv, 1)

    assert heard.numbers() == ["A nol nol dua"]
    assert states(hall, 2) == [("A-001", "expired"), ("A-002", "spoken")]
    leave(desk)


def test_a_stranger_does_not_end_what_is_said(hall: Hall, heard: Heard):
    """Only the speaking TV reports an end: the other one's reports are ignored."""
    hall.arrive("general", 1)
    desk = hall.counter(1, "siti")
    tv = open_tv(hall, heard, "first", sentence_ms=LONG_MS)
    call(desk)
    heard.wait(tv)
    current = hall.announced()[0]
    assert current["state"] == "speaking"
    answer = httpx.post(
        f"{hall.server.url}/display/spoken",
        data={"zone": "main", "screen": "stranger1", "id": str(current["id"])},
        headers={"origin": hall.server.url},
        timeout=30,
    )
    assert answer.status_code == 204
    assert hall.announced()[0]["state"] == "speaking"
    until_spoken(hall, tv, 1)
    leave(desk)
