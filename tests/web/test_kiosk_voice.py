"""The kiosk's pages by the real voice of the plugin `tts`: none of them has what it refuses."""

import base64
import io
import wave

import pytest

from puskesmas_queue.services import providers
from puskesmas_queue.web.routes.kiosk_aloud import READ
from puskesmas_queue_tts import plugin
from puskesmas_queue_tts.clinic_voice import VOICES

F = "abcdefghijklmnopqrst"
ANSWERS = f"f={F}&lane=priority&reason=bumil&payment=bpjs"
READY_S = 60


@pytest.fixture
def hall(puskesmas_clinics):
    """A clinic that speaks by eSpeak."""
    made = puskesmas_clinics(tts=plugin)
    made.configure("tts", engines="espeak")
    made.set("display.announcers", "tts, browser")
    (engine,) = VOICES["uji"].speaker(made.context("tts")).voice.engines
    assert engine.wait_ready("id", READY_S)
    return made


def seconds(sound: bytes) -> float:
    """How long a WAV file is."""
    with wave.open(io.BytesIO(sound)) as file:
        return file.getnframes() / file.getframerate()


@pytest.mark.parametrize("lang", ["id", "en"])
def test_every_page_is_read_whole(hall, lang, monkeypatch):
    """In both languages, sentence by sentence, in words that have no figure left."""
    (engine,) = VOICES["uji"].speaker(hall.context("tts")).voice.engines
    monkeypatch.setattr(providers, "READ_DEADLINE_S", 60.0)
    asked = []
    synthesise = engine.synthesise

    def noted(text: str, *rest: object) -> bytes:
        asked.append(text)
        return synthesise(text, *rest)

    monkeypatch.setattr(engine, "synthesise", noted)
    for path in READ:
        shown_at = path.replace("{code}", hall.issue().code)
        answer = hall.get(f"{shown_at}/aloud?{ANSWERS}&lang={lang}").json()
        sounds = [base64.b64decode(one) for one in answer["sound"]]
        assert sum(map(seconds, sounds)) > 2, path
        assert not answer["has_chime"]
    assert asked
    assert [text for text in asked if any(char.isdecimal() for char in text)] == []
