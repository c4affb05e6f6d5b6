"""Real speech of both engines: how long, how loud, how fast, and with one of them killed."""

import array
import io
import math
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puskesmas_queue_tts import engine as engines
from puskesmas_queue_tts import espeak, piper
from puskesmas_queue_tts.engine import EngineFailed, Voice
from puskesmas_queue_tts.espeak import ESpeak
from puskesmas_queue_tts.piper import Piper

NUMBER = "Nomor antrean, P, nol nol tiga."
DIRECTION = "Silakan menuju loket satu."
PATIENT_S = 60.0
"""Where a test is not about time: this machine may be busy."""
BUDGET_S, RESERVE_S = 9.0, 3.0
"""What a call has, and what of it is left to the next engine: more than on a TV, for its sake."""
TIMES = 3
"""How often a sentence is spoken where its time is measured: the quickest tells."""


@pytest.fixture
def unhurried(monkeypatch):
    """Engines have these times, and nobody who has them counts as one that can wait."""
    monkeypatch.setattr(engines, "RESERVE_S", RESERVE_S)
    monkeypatch.setattr(engines, "PATIENT_S", PATIENT_S)


def quickest(speak: Callable[[], list[bytes]]) -> tuple[list[bytes], float]:
    """Speak a few times; return the last sounds, and how long the quickest took, seconds."""
    took = []
    for _ in range(TIMES):
        began = time.monotonic()
        sounds = speak()
        took.append(time.monotonic() - began)
    return sounds, min(took)


def measured(sound: bytes) -> tuple[int, float, float]:
    """Return the rate, how long it is in seconds, and its loudness (RMS, 0 to 1)."""
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        rate, samples = file.getframerate(), array.array("h", file.readframes(file.getnframes()))
    loudness = math.sqrt(sum(one * one for one in samples) / len(samples)) / 32_768
    return rate, len(samples) / rate, loudness


@contextmanager
def ready(engine: Piper | ESpeak) -> Iterator[Piper | ESpeak]:
    """An engine that is loaded, and ended afterwards."""
    engine.start()
    try:
        assert engine.wait_ready("id", PATIENT_S)
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def with_piper(tmp_path_factory, put_voice):
    """Piper with a voice for Indonesian, for every test here: none harms it."""
    folder = tmp_path_factory.mktemp("piper")
    put_voice(folder / "voices/id")
    with ready(Piper(folder)) as engine:
        yield engine


@pytest.fixture
def own_piper(tmp_path, put_voice):
    """One that may be killed, in the test's own folder."""
    put_voice(tmp_path / "voices/id")
    with ready(Piper(tmp_path)) as engine:
        yield engine


@pytest.fixture(scope="module")
def with_espeak():
    """The same of eSpeak."""
    with ready(ESpeak()) as engine:
        yield engine


def test_piper_speaks(with_piper, record_property, capsys):
    """A call lasts as long as a person would need, is loud, and is there sooner than it lasts."""
    sounds, took_s = quickest(
        lambda: [with_piper.synthesise(text, "id", 1.0, PATIENT_S) for text in (NUMBER, DIRECTION)]
    )

    (rate, number_s, number_loud), (_, direction_s, direction_loud) = map(measured, sounds)
    assert rate == 22_050
    assert 1.5 < number_s < 5
    assert 1 < direction_s < 4
    assert min(number_loud, direction_loud) > 0.03
    factor = took_s / (number_s + direction_s)
    record_property("real_time_factor", round(factor, 3))
    with capsys.disabled():
        print(
            f"\n    piper: {number_s + direction_s:.2f} s of speech, real-time factor {factor:.3f}"
        )
    assert factor < 1


def test_espeak_speaks(with_espeak, record_property, capsys):
    for text, language, shortest_s, longest_s in (
        (NUMBER, "id", 1.5, 6),
        (DIRECTION, "id", 1, 4),
        ("Ticket number, P, zero zero three.", "en", 1.5, 6),
    ):
        (sound,), took_s = quickest(
            lambda text=text, language=language: [
                with_espeak.synthesise(text, language, 1.0, PATIENT_S)
            ]
        )
        rate, spoken_s, loudness = measured(sound)
        assert rate == 22_050
        assert shortest_s < spoken_s < longest_s
        assert loudness > 0.03
        assert took_s < spoken_s / 2
    record_property("real_time_factor", round(took_s / spoken_s, 4))
    with capsys.disabled():
        print(f"\n    espeak: real-time factor {took_s / spoken_s:.4f}")


@pytest.mark.parametrize("engine", ["with_piper", "with_espeak"])
def test_the_speed_is_kept(engine, request):
    """Half as fast lasts about twice as long."""
    voice = request.getfixturevalue(engine)
    usual, slow, fast = (
        measured(voice.synthesise(NUMBER, "id", speed, PATIENT_S))[1] for speed in (1.0, 0.7, 1.3)
    )
    assert 1.25 < slow / usual < 1.7
    assert 0.6 < fast / usual < 0.9


@pytest.mark.parametrize("engine", ["with_piper", "with_espeak"])
@pytest.mark.parametrize(
    "text",
    ["[[b@'k_@s]] satu", "<speak><break time='60s'/>satu</speak>", "satu " * 80, "ñ ß 日本 satu"],
)
def test_whatever_the_text_it_lives(engine, text, request):
    """Phonemes, markup, length and foreign letters are spoken or refused, in bounded time."""
    voice = request.getfixturevalue(engine)
    pid = voice.pid("id")

    _, spoken_s, _ = measured(voice.synthesise(text[:400], "id", 1.0, PATIENT_S))

    assert spoken_s < 45
    assert voice.pid("id") == pid


def test_two_calls_at_once_both_complete(with_piper):
    """As domain section 8 asks: one after the other, each with its own sound."""
    sounds: dict[str, bytes] = {}

    def call(text: str) -> None:
        sounds[text] = with_piper.synthesise(text, "id", 1.0, PATIENT_S)

    threads = [threading.Thread(target=call, args=(text,)) for text in ("Nol.", NUMBER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert measured(sounds["Nol."])[1] < measured(sounds[NUMBER])[1]


@pytest.mark.usefixtures("unhurried")
def test_piper_is_killed_in_the_middle_and_the_next_engine_speaks(own_piper, with_espeak):
    """Within the time that a call has; Piper is left alone, and is back by itself."""
    voice = Voice([own_piper, with_espeak])
    pid = own_piper.pid("id")
    # Stopped, it is certainly in the middle of the sentence when it is killed.
    os.kill(pid, signal.SIGSTOP)
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
    killer.start()
    began = time.monotonic()

    spoken = voice.speak((NUMBER, DIRECTION), "id", 1.0, BUDGET_S)

    took_s = time.monotonic() - began
    killer.join()
    assert spoken.engine == "espeak"
    assert all(measured(sound)[2] > 0.03 for sound in spoken.sounds)
    # Sooner than it would give up a voice that hangs.
    assert took_s < BUDGET_S - RESERVE_S
    assert voice.is_resting(own_piper)
    assert own_piper.wait_ready("id", PATIENT_S)
    assert own_piper.pid("id") != pid
    assert measured(own_piper.synthesise(NUMBER, "id", 1.0, PATIENT_S))[2] > 0.03


@pytest.mark.usefixtures("unhurried")
def test_piper_that_hangs_leaves_time_for_the_next_engine(own_piper, with_espeak):
    voice = Voice([own_piper, with_espeak])
    pid = own_piper.pid("id")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert voice.speak((NUMBER, DIRECTION), "id", 1.0, BUDGET_S).engine == "espeak"
        assert time.monotonic() - began < BUDGET_S + RESERVE_S
        began = time.monotonic()
        assert voice.speak((NUMBER, DIRECTION), "id", 1.0, BUDGET_S).engine == "espeak"
        assert time.monotonic() - began < BUDGET_S - RESERVE_S
    finally:
        os.kill(pid, signal.SIGCONT)


# The voice's files


def test_there_is_one_process_a_voice(with_piper):
    """However often it is asked, from however many threads."""
    pids = set()

    def call() -> None:
        with_piper.synthesise("Nol.", "id", 1.0, PATIENT_S)
        pids.add(with_piper.pid("id"))

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1


def test_another_voice_takes_over_by_itself(own_piper, tmp_path, put_voice):
    """The process of the one before is ended, and the fingerprint is another."""
    pid, fingerprint = own_piper.pid("id"), own_piper.fingerprint("id")
    assert own_piper.fingerprint("id") == fingerprint
    put_voice(tmp_path / "voices/id", "ms", "another-voice")

    assert own_piper.fingerprint("id") != fingerprint
    assert measured(own_piper.synthesise(NUMBER, "id", 1.0, PATIENT_S))[2] > 0.03
    assert own_piper.pid("id") != pid
    assert not Path(f"/proc/{pid}").exists()


def test_a_voice_that_is_taken_away(own_piper, tmp_path):
    for file in (tmp_path / "voices/id").iterdir():
        file.unlink()

    assert "download-voice" in own_piper.problem("id")
    with pytest.raises(EngineFailed, match="download-voice"):
        own_piper.synthesise(NUMBER, "id", 1.0, PATIENT_S)


def test_a_voice_for_english_is_optional(own_piper, tmp_path, put_voice):
    assert own_piper.problem("id") is None
    assert "no voice for en" in own_piper.problem("en")
    put_voice(tmp_path / "voices/en", "en-us")
    assert own_piper.problem("en") is None
    sound = own_piper.synthesise("Ticket number three.", "en", 1.0, PATIENT_S)
    assert measured(sound)[2] > 0.03


def test_an_engine_that_is_not_installed_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(piper, "piper_version", lambda: None)
    monkeypatch.setattr(espeak, "espeak_version", lambda: None)

    assert "puskesmas-queue-tts[piper]" in Piper(tmp_path).problem("id")
    assert "puskesmas-queue-tts[espeak]" in ESpeak().problem("id")
    for engine in (Piper(tmp_path), ESpeak()):
        engine.start()
        assert engine.pid("id") is None
        engine.stop()


def test_an_engine_that_was_ended_begins_nothing(tmp_path, put_voice):
    put_voice(tmp_path / "voices/id")
    for engine in (Piper(tmp_path), ESpeak()):
        engine.stop()
        with pytest.raises(EngineFailed, match="it was ended"):
            engine.synthesise(NUMBER, "id", 1.0, PATIENT_S)


def test_the_server_loads_nothing_of_either_engine():
    """They are under the GPL, and what crashes in them must not be the server."""
    code = (
        "import sys, puskesmas_queue_tts.plugin\n"
        "names = {'piper', 'onnxruntime', 'espeakng_loader', 'numpy'} & set(sys.modules)\n"
        "print(sorted(names))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
