"""A clinic whose announcer is a folder that a test holds, and what its pages really play."""

import io
import json
import math
import struct
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from support.chromium import PATIENCE_MS
from support.plugin_demo import demo_with_plugin
from support.server import Server

CODE = """
import json, time
from pathlib import Path

from puskesmas_queue.api import Announcer, Speech, hookimpl

FOLDER = Path({folder!r})


def speak(utterance, ctx):
    told = json.loads((FOLDER / "told.json").read_text())
    with (FOLDER / "asked").open("a") as file:
        file.write(json.dumps([utterance.kind, utterance.language, *utterance.parts]) + "\\n")
    time.sleep(told["after_s"])
    asked = len((FOLDER / "asked").read_text().splitlines())
    if told["is_broken"] or asked <= told["fails"]:
        raise RuntimeError("no voice")
    sounds = [(FOLDER / "tone.wav").read_bytes() for part in utterance.parts]
    return Speech(tuple(sounds) * told["times"], has_chime=told["has_chime"])


@hookimpl
def check_ticket_request(request):
    return json.loads((FOLDER / "told.json").read_text())["objection"] or None


@hookimpl
def register_announcers():
    return [Announcer("folder", speak)]
"""
PLAYED = """
(() => {
    window.played = [];
    window.tones = [];
    const make = AudioContext.prototype.createBufferSource;
    AudioContext.prototype.createBufferSource = function () {
        const source = make.apply(this);
        const note = {from: 0, to: null, heard_s: 0};
        // The first to hear of its end: what is played next begins after it was noted.
        source.addEventListener("ended", () => {
            note.to = Date.now();
            note.heard_s += this.currentTime;
        });
        const start = source.start;
        source.start = (...rest) => {
            note.from = Date.now();
            note.heard_s -= this.currentTime;
            note.numbers =
                [...document.querySelectorAll(".tv-counter")].map(one => one.dataset.number);
            window.played.push(note);
            return start.apply(source, rest);
        };
        return source;
    };
    const tone = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...rest) {
        window.tones.push(Date.now());
        return tone.apply(this, rest);
    };
})();
"""
"""
Notes what is played: the sounds of announcers, and the tones of the page's own chime.

`from` and `to` are of the page's clock, ms. How long something was heard is by the clock of the
sound itself, which stands still while a busy machine has no time for it.
"""
TONE_S = 0.4


def tone(seconds: float = TONE_S) -> bytes:
    """Return a tone as WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        waves = (math.sin(n * 440 * math.tau / 16_000) for n in range(16_000))
        second = b"".join(struct.pack("<h", int(9_000 * one)) for one in waves)
        file.writeframes((second * math.ceil(seconds))[: 2 * int(seconds * 16_000)])
    return out.getvalue()


@dataclass(frozen=True)
class FolderVoice:
    """
    The announcer `folder`.

    Args:
        folder: Holds its sound and what it was told.
    """

    folder: Path

    def tell(
        self,
        *,
        after_s: float = 0.0,
        times: int = 1,
        is_broken: bool = False,
        fails: int = 0,
        has_chime: bool = False,
        seconds: float = TONE_S,
        objection: str = "",
    ) -> None:
        """Say how it speaks and what it objects from now on, and forget what it was asked."""
        told = {
            "after_s": after_s, "times": times, "is_broken": is_broken, "fails": fails,
            "has_chime": has_chime, "objection": objection,
        }  # fmt: skip
        # Each whole or not at all: a page of before may just be asking.
        for name, data in (
            ("tone.wav", tone(seconds)), ("told.json", json.dumps(told).encode()), ("asked", b""),
        ):  # fmt: skip
            (self.folder / "new").write_bytes(data)
            (self.folder / "new").replace(self.folder / name)

    def asked(self) -> list[list[str]]:
        """Return what it was asked to say: kind, language and parts."""
        return [json.loads(line) for line in (self.folder / "asked").read_text().splitlines()]


@contextmanager
def speaking_demo(folder: Path, **settings: str) -> Iterator[tuple[Server, FolderVoice]]:
    """Run a demo with that announcer before the browser's voice, and other settings of `queue`."""
    office = folder / "office"
    office.mkdir()
    voice = FolderVoice(office)
    voice.tell()
    code = CODE.format(folder=str(office))
    order = [("display.announcers", "folder, browser")]
    others = [(f"queue.{key}", value) for key, value in settings.items()]
    with demo_with_plugin(folder, "spoken", code, order + others) as started:
        yield started, voice


def until_asked(page: Page, voice: FolderVoice, count: int) -> list[list[str]]:
    """Wait until the announcer was asked so often; returns for what."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while len(voice.asked()) < count and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return voice.asked()


def played(page: Page) -> list[dict[str, float]]:
    """Return what a page played of announcers, in order."""
    found: list[dict[str, float]] = page.evaluate("window.played")
    return found


def until(page: Page, condition: str, limit_ms: float = PATIENCE_MS) -> None:
    """Wait until something holds in a page."""
    page.wait_for_function(f"() => {condition}", timeout=limit_ms)
