"""A thousand announcements: spoken, kept, found again, in bounds of memory and disk."""

import os
import threading
from pathlib import Path

import pytest

from puskesmas_queue.api import Call, Utterance, word_call
from puskesmas_queue_tts import plugin
from puskesmas_queue_tts.clinic_voice import VOICES
from puskesmas_queue_tts.engine import EngineFailed

pytestmark = pytest.mark.soak

NAME = "tts"
LIMIT_MB = 10
MOST_GROWTH = 64_000_000
"""Bytes of memory; the sounds of a thousand numbers are more."""


def utterance(number: int) -> Utterance:
    """A call, its numbers spread over five letters and three counters."""
    prefix, sequence = "ABCDP"[number % 5], number // 5 + 1
    words = word_call(Call(f"{prefix}-{sequence:03d}", prefix, sequence, number % 3 + 1, "id"))
    return Utterance((words.number_text, words.direction_text), "id", "main", "call")


def memory() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def settled() -> None:
    """Wait until everything is stored."""
    done = threading.Event()
    VOICES["uji"].background.soon(done.set)
    assert done.wait(120)


def test_a_thousand_calls_stay_within_bounds(puskesmas_clinics, is_soak, monkeypatch):
    """What is played never costs more disk than was set, and no memory."""
    clinic = puskesmas_clinics(tts=plugin)
    clinic.configure(NAME, engines="espeak", cache_mb=str(LIMIT_MB))
    ctx = clinic.context(NAME)
    voice = VOICES["uji"]
    (engine,) = voice.speaker(ctx).voice.engines
    assert engine.wait_ready("id", 120)
    count = 1_000 if is_soak else 150
    bytes_said, before = 0, memory()

    for number in range(count):
        speech = voice.announce(utterance(number), ctx, 0.85)
        bytes_said += sum(map(len, speech.sound))
        if number % 20 == 19:
            settled()
            assert voice.sounds.state().size <= LIMIT_MB * 1_000_000

    assert bytes_said > LIMIT_MB * 1_000_000
    assert memory() - before < MOST_GROWTH
    kept = voice.sounds.state()
    assert 0.5 * LIMIT_MB * 1_000_000 < kept.size <= LIMIT_MB * 1_000_000

    # The latest ones are there: nobody is asked.
    latest = range(count - 20, count)
    spoken = [voice.announce(utterance(number), ctx, 0.85) for number in latest]
    settled()

    def asked(*_: object) -> bytes:
        raise EngineFailed("it was asked")

    monkeypatch.setattr(engine, "synthesise", asked)
    assert [voice.announce(utterance(number), ctx, 0.85) for number in latest] == spoken
