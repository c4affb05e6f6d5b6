"""What the hall really hears of an announcer: in order, complete, in step with the picture."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.axe import violations
from browser.hall import Hall, call, leave, states, until_spoken, wake_sound
from browser.voices import PLAYED, TONE_S, FolderVoice, played, speaking_demo, until
from support.chromium import Pages
from support.server import Server

pytestmark = pytest.mark.browser

SLACK_S = 0.02
"""The sound's clock goes on by the piece that is rendered at a time."""
PICTURE_LAST = """
(() => {
    const Original = window.EventSource;
    let isCalled = false;
    let told;
    const word = new Promise((done) => { told = done; });
    window.EventSource = class extends Original {
        addEventListener(name, listener, ...rest) {
            const late = async (event) => {
                isCalled ||= event.data.includes('data-state="called"');
                if (!isCalled) return listener(event);
                const left = await word + 600 - Date.now();
                setTimeout(() => listener(event), Math.max(0, left));
            };
            const noted = (event) => {
                if (JSON.parse(event.data).current) told(Date.now());
                listener(event);
            };
            const heard = name.startsWith("display-") ? late
                : name.startsWith("speech-") ? noted : listener;
            return super.addEventListener(name, heard, ...rest);
        }
    };
})();
"""
"""A TV whose picture comes 600 ms after the word to speak, as on a slow machine."""
PATIENT = """
(() => {
    const wait = window.setTimeout;
    window.setTimeout = (done, ms, ...rest) =>
        wait(done, ms === 250 || ms === 1200 ? 2 * ms : ms, ...rest);
})();
"""
"""A TV that waits twice as long for a voice's own chime: a busy machine is a slow voice."""
WHEN_ASKED = """
window.askedAt = [];
window.fetch = new Proxy(window.fetch, {apply: (fetch, self, [path, ...rest]) => {
    if (path.startsWith("/display/sound/")) window.askedAt.push(Date.now());
    return Reflect.apply(fetch, self, [path, ...rest]);
}});
"""
MISSED_MS = 10_000
"""No TV is missed sooner: it is 15 s after its last heartbeat, and they come every 5 s."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FolderVoice]]:
    """One demo for all tests here; a number may be called again at once."""
    with speaking_demo(tmp_path_factory.mktemp("sound"), recall_interval_s="0") as found:
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
def hall(server: Server, pages: Pages, voice: FolderVoice) -> Hall:
    """A day of its own: nobody stands in the line, and no TV was heard of lately."""
    one = Hall(server, pages)
    one.advance(24 * 3600)
    one.at("07:30")
    return one


def open_tv(hall: Hall, *scripts: str) -> Page:
    """Open a TV with the click that browsers want; what it plays is noted."""
    tv = hall.pages.open(width=1920, height=1080)
    for script in (PLAYED, *scripts):
        tv.add_init_script(script)
    tv.goto(hall.server.pages["display"])
    wake_sound(tv)
    return tv


def is_one_at_a_time(notes: list[dict[str, Any]]) -> bool:
    """Say whether each sound began when the one before it was over."""
    return all(after["from"] >= before["to"] for before, after in pairwise(notes))


def test_two_calls_within_a_second_are_whole_and_in_order(hall: Hall, voice: FolderVoice):
    """Both counters press F2 at once: four halves, each to its end, in the order of the calls."""
    hall.arrive("general", 2)
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    tv = open_tv(hall)
    for desk in desks:
        desk.evaluate(
            """() => setTimeout(() => document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "F2", bubbles: true, cancelable: true})), 300)"""
        )
    for desk in desks:
        expect(desk.locator("#lk-now")).to_be_visible()

    until_spoken(hall, tv, 2)

    called = [number for number, _ in states(hall, 2)]
    said = [parts[2] for parts in voice.asked()]
    assert len(said) == 2
    for number, words in zip(called, said, strict=True):
        last = {"1": "satu", "2": "dua"}[number[-1]]
        assert words == f"Nomor antrean, A, nol nol {last}."
    notes = played(tv)
    assert len(notes) == 4
    assert all(note["heard_s"] >= TONE_S - SLACK_S for note in notes)
    assert is_one_at_a_time(notes)
    # The second chime comes after the first announcement, whole.
    tones = tv.evaluate("window.tones")
    assert len(tones) == 12
    assert tones[5] <= notes[0]["from"]
    assert tones[6] >= notes[1]["to"]
    leave(*desks)


def test_recall_of_what_is_spoken_adds_nothing(hall: Hall, voice: FolderVoice):
    voice.tell(seconds=4)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    tv = open_tv(hall)
    desk.keyboard.press("F2")
    until(tv, "window.played.length === 1")
    expect(desk.locator("#lk-desk [data-key=F3]")).to_be_enabled()
    with desk.expect_response("**/recall"):
        desk.keyboard.press("F3")
    assert [state for _, state in states(hall, 1)] == ["speaking"]

    until(tv, "window.played.length >= 2 && window.played[1].to !== null")
    tv.wait_for_timeout(1500)

    assert len(played(tv)) == 2
    assert len(voice.asked()) == 1
    desk.keyboard.press("F6")
    expect(desk.locator("#lk-desk [data-key=End]")).to_be_enabled()
    leave(desk)


def test_a_tv_that_is_closed_hands_over_at_once(hall: Hall, voice: FolderVoice):
    """It says so with its last breath: nobody waits until it is missed."""
    voice.tell(seconds=4)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    first, second = open_tv(hall), open_tv(hall)
    call(desk)
    until(first, "window.played.length === 1")
    left = first.evaluate("Date.now()")

    first.goto("about:blank")

    until(second, "window.tones.length > 0")
    assert second.evaluate("window.tones[0]") - left < MISSED_MS
    until_spoken(hall, second, 1)
    leave(desk)


def test_another_tv_says_anew_what_the_first_did_not_end(hall: Hall, voice: FolderVoice):
    """The speaking TV is cut off in mid-sentence: 15 s later another one begins it again."""
    voice.tell(seconds=4)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    first, second = open_tv(hall), open_tv(hall)
    call(desk)
    until(first, "window.played.length === 1")
    first.evaluate("navigator.sendBeacon = () => true")  # cut off: no last word
    first.close()
    assert second.evaluate("window.tones") == []

    hall.advance(15)

    until(second, "window.tones.length > 0")
    until_spoken(hall, second, 1)
    notes = played(second)
    assert len(notes) == 2
    assert all(note["heard_s"] >= 4 - SLACK_S for note in notes)
    leave(desk)


def test_what_is_older_than_90_seconds_is_not_spoken(hall: Hall, voice: FolderVoice):
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    call(desk)
    hall.advance(91)
    tv = open_tv(hall)
    call(desk)

    until_spoken(hall, tv, 1)

    assert [state for _, state in states(hall, 2)] == ["expired", "spoken"]
    assert len(played(tv)) == 2
    assert [parts[2] for parts in voice.asked()] == ["Nomor antrean, A, nol nol dua."]
    leave(desk)


def test_nothing_sounds_before_the_number_is_seen(hall: Hall, voice: FolderVoice):
    """The picture comes half a second late: chime and voice wait for it, the voice is made."""
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    tv = open_tv(hall, PICTURE_LAST)
    tv.evaluate(
        """() => {
            const look = () => {
                const panel = document.querySelector("#tv-counter-1");
                if (panel?.dataset.number && !window.seenAt) window.seenAt = Date.now();
            };
            new MutationObserver(look).observe(document.body,
                {subtree: true, childList: true, attributes: true});
        }"""
    )
    call(desk)
    until_spoken(hall, tv, 1)

    seen = tv.evaluate("window.seenAt")
    assert tv.evaluate("window.tones")[0] >= seen
    notes = played(tv)
    assert all("A-001" in note["numbers"] for note in notes)
    leave(desk)


def test_a_voice_with_a_chime_of_its_own_has_no_second_one(hall: Hall, voice: FolderVoice):
    """Nor where it is slow: whoever brought a chime the last time is waited for."""
    voice.tell(has_chime=True)
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    tv = open_tv(hall, PATIENT)
    call(desk)
    until_spoken(hall, tv, 1)
    voice.tell(has_chime=True, after_s=0.6)
    call(desk)
    until_spoken(hall, tv, 1)

    assert len(played(tv)) == 4
    assert tv.evaluate("window.tones") == []
    leave(desk)


def test_a_voice_that_was_not_there_is_asked_once_more(hall: Hall, voice: FolderVoice):
    """It is there after the chime: the hall hears more than a chime."""
    voice.tell(fails=1)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    tv = open_tv(hall)
    call(desk)
    until_spoken(hall, tv, 1)

    assert len(voice.asked()) == 2
    assert len(played(tv)) == 2
    assert len(tv.evaluate("window.tones")) == 6
    leave(desk)


def test_a_slow_voice_is_made_while_the_chime_sounds(hall: Hall, voice: FolderVoice):
    """It is asked before the chime, once, and heard after it, whole."""
    voice.tell(after_s=0.5)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    tv = open_tv(hall, WHEN_ASKED)
    call(desk)
    until_spoken(hall, tv, 1)

    (asked,) = tv.evaluate("window.askedAt")
    chime, first = tv.evaluate("window.tones")[0], played(tv)[0]["from"]
    assert asked <= chime
    assert first - chime >= 1_200
    leave(desk)


def test_who_may_turn_the_voice_off_reads_where(hall: Hall):
    """A clinic without any TV gets rid of the warning; whoever may not is told of the TV only."""
    office = hall.counter(2, "admin")
    switch = "puskesmas-queue settings set display.voice false"
    expect(office.locator("#lk-voice")).to_contain_text("Klinik ini tanpa TV?")
    expect(office.get_by_text(switch)).to_be_visible()
    assert violations(office) == []
    leave(office)
    desk = hall.counter(1, "siti")

    office.goto(f"{hall.server.url}/dashboard")
    office.set_viewport_size({"width": 360, "height": 740})

    expect(office.locator("#of-voice").get_by_text(switch)).to_be_visible()
    assert violations(office) == []
    assert office.evaluate("document.documentElement.scrollWidth") == 360
    leave(desk)


def test_staff_see_at_once_whether_the_hall_hears_them(hall: Hall, voice: FolderVoice):
    """No TV, one that nobody touched, one that speaks, one that was switched off."""
    desk = hall.counter(1, "siti")
    line = desk.locator("#lk-voice")
    expect(line).to_contain_text("TV ruang tunggu tidak terhubung.")
    expect(line.locator(".for-settings")).to_be_hidden()
    assert violations(desk) == []
    muted = hall.pages.open(width=1920, height=1080)
    muted.add_init_script(
        "Object.defineProperty(AudioContext.prototype, 'state', {get: () => 'suspended'});"
    )
    muted.goto(hall.server.pages["display"])
    expect(line).to_contain_text("Sentuh “Aktifkan suara” di TV.")
    muted.close()

    tv = open_tv(hall)
    expect(line).to_have_count(0)
    tv.close()
    expect(line).to_contain_text("Suara mati.", timeout=60_000)
    leave(desk)
