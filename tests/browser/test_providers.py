"""A plugin's printer and voice, as the patient and the hall meet them."""

import io
import math
import struct
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.axe import violations
from browser.hall import Hall, take, until_spoken
from browser.voices import until
from support.chromium import Pages
from support.plugin_demo import demo_with_plugin
from support.server import Server

pytestmark = pytest.mark.browser

CODE = """
from pathlib import Path

from puskesmas_queue.api import Announcer, Printed, Printer, Speech, hookimpl

FOLDER = Path({folder!r})


def print_slip(slip, ctx):
    if (FOLDER / "no-paper").exists():
        return Printed("failed", "no paper")
    with (FOLDER / "slips").open("a") as file:
        file.write(slip.ticket.number + "\\n")
    return Printed("printed")


def speak(utterance, ctx):
    return Speech(((FOLDER / "tone.wav").read_bytes(),) * 2)


@hookimpl
def register_printers():
    return [Printer("folder", print_slip)]


@hookimpl
def register_announcers():
    return [Announcer("tone", speak)]
"""


def tone() -> bytes:
    """Return a fifth of a second of a tone, as WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        waves = (math.sin(n * 440 * math.tau / 16_000) for n in range(3_200))
        file.writeframes(b"".join(struct.pack("<h", int(9_000 * one)) for one in waves))
    return out.getvalue()


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """The folder that is the printer and the voice."""
    folder = tmp_path / "office"
    folder.mkdir()
    (folder / "tone.wav").write_bytes(tone())
    return folder


@pytest.fixture
def server(tmp_path: Path, office: Path) -> Iterator[Server]:
    """A demo with that printer and that voice."""
    code = CODE.format(folder=str(office))
    settings = [("kiosk.printers", "folder"), ("display.announcers", "tone, browser")]
    with demo_with_plugin(tmp_path, "office", code, settings) as started:
        yield started


def printed_slips(office: Path, page: Page, count: int) -> list[str]:
    """Wait until so many slips are out, and return their numbers."""
    found: list[str] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (office / "slips").exists():
            found = (office / "slips").read_text().split()
        if len(found) >= count:
            break
        page.wait_for_timeout(50)
    return found


def test_the_plugin_prints_and_the_patient_is_told_when_it_does_not(
    server: Server, pages: Pages, office: Path
):
    """Paper by the plugin, not by the browser; without paper the number stays and says so."""
    hall = Hall(server, pages)
    kiosk = hall.kiosk()
    printed: list[str] = []
    kiosk.expose_function("noted", lambda: printed.append("browser"))
    kiosk.add_init_script("window.print = () => window.noted()")
    kiosk.reload()

    number = take(kiosk, "umum", "umum", "umum")
    expect(kiosk.get_by_role("button", name="Cetak lagi")).to_be_visible()
    assert printed_slips(office, kiosk, 1) == [number]
    expect(kiosk.get_by_text("Kertas tidak keluar")).to_be_hidden()

    (office / "no-paper").touch()
    kiosk.get_by_role("button", name="Cetak lagi").click()
    expect(kiosk.get_by_text("Kertas tidak keluar")).to_be_visible()
    expect(kiosk.locator("h1")).to_contain_text(number)
    (office / "no-paper").unlink()
    kiosk.get_by_role("button", name="Cetak lagi").click()
    expect(kiosk.get_by_text("Kertas tidak keluar")).to_be_hidden()
    assert printed_slips(office, kiosk, 2) == [number, number]
    assert printed == []


def test_staff_print_at_the_counter(server: Server, pages: Pages, office: Path):
    """A number that was taken for somebody comes on paper; without paper staff are told."""
    hall = Hall(server, pages)
    counter = hall.counter(1, "siti")
    counter.locator("#lk-issue").get_by_role("button", name="Ambilkan nomor").click()
    address = counter.get_by_role("link", name="Cetak karcis").get_attribute("href")
    (office / "no-paper").touch()
    slip = counter.context.new_page()
    slip.goto(server.url + str(address))
    expect(slip.get_by_text("Kertas tidak keluar")).to_be_visible()
    assert violations(slip, enhanced=True) == []

    (office / "no-paper").unlink()
    slip.get_by_role("button", name="Cetak lagi").click()

    expect(slip.get_by_text("Kertas tidak keluar")).to_be_hidden()
    number = slip.locator("h1").inner_text().strip()
    assert printed_slips(office, slip, 1) == [number]


def test_the_plugins_voice_is_played_to_its_end(server: Server, pages: Pages):
    """The TV plays both halves one after the other, then reports that the call was spoken."""
    hall = Hall(server, pages)
    tv = hall.tv()
    tv.evaluate(
        """() => {
            window.played = [];
            const start = AudioBufferSourceNode.prototype.start;
            AudioBufferSourceNode.prototype.start = function (...rest) {
                window.played.push([this.context.currentTime, this.buffer.duration]);
                return start.apply(this, rest);
            };
        }"""
    )
    tv.mouse.click(900, 500)
    desk = hall.counter(1, "siti")
    hall.arrive("general")
    desk.keyboard.press("F2")

    until(tv, "window.played.length === 2")
    (first, long), (second, _) = tv.evaluate("window.played")
    assert abs(long - 0.2) < 0.01
    assert second - first >= 0.19
    until_spoken(hall, tv, 1)
