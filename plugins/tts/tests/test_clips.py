"""Recorded clips: joined, trimmed, checked."""

import array
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from puskesmas_queue_tts import wav
from puskesmas_queue_tts.clips import GAP_S, PAUSES_S, UNITS, Clips
from puskesmas_queue_tts.clips_check import check
from puskesmas_queue_tts.clips_commands import clips as command
from puskesmas_queue_tts.engine import EngineFailed, TextRefused

RATE = 8_000
HZ = {unit: 300 + 40 * place for place, unit in enumerate(UNITS)}
"""A tone of its own for each recording."""


def tone(hz: float, seconds: float = 0.2, level: float = 0.3, rate: int = RATE) -> wav.Sound:
    """A tone between two pauses, as a person leaves them."""
    pause = array.array("h", [0] * round(0.1 * rate))
    turns = (2 * math.pi * hz * place / rate for place in range(round(seconds * rate)))
    return wav.Sound(
        pause
        + array.array("h", (round(level * wav.FULL * math.sin(one)) for one in turns))
        + pause,
        rate,
    )


def record(folder: Path, language: str = "id", **others: wav.Sound) -> Path:
    """A folder with everything that is recorded for a language."""
    place = folder / language
    place.mkdir(parents=True, exist_ok=True)
    for unit, hz in HZ.items():
        (place / f"{unit}.wav").write_bytes(wav.write(tone(hz)))
    for unit, sound in others.items():
        (place / f"{unit}.wav").write_bytes(wav.write(sound))
    return folder


def heard(sound: bytes) -> list[float]:
    """The tones of a sound in their order, Hz, counted from where it crosses zero."""
    read = wav.read(sound)
    tones, run, quiet = [], [], 0
    for one in [*read.samples, *[0] * RATE]:
        quiet = quiet + 1 if abs(one) < 300 else 0
        if quiet < 0.02 * RATE:
            run.append(one)
        elif len(run) > 0.1 * RATE:
            ups = [at for at in range(1, len(run)) if run[at - 1] < 0 <= run[at]]
            tones.append((len(ups) - 1) * RATE / (ups[-1] - ups[0]))
            run = []
        else:
            run = []
    return tones


def units(sound: bytes) -> list[str]:
    """Which recordings were played."""
    return [min(HZ, key=lambda unit: abs(HZ[unit] - hz)) for hz in heard(sound)]


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """Everything recorded in two languages."""
    record(tmp_path, "id")
    record(tmp_path, "en")
    return Clips(tmp_path)


def play(clips: Clips, text: str, language: str = "id") -> list[str]:
    """Speak, and say what was played."""
    return units(clips.synthesise(text, language, 1.0, 1.0))


def test_there_are_52_units():
    """Digits, counters, letters, phrases, chime."""
    assert len(set(UNITS)) == len(UNITS) == 52


@pytest.mark.parametrize(
    ("text", "language", "played"),
    [
        ("Nomor antrean, P, nol nol tiga.", "id", ["nomor-antrean", "p", "0", "0", "3"]),
        ("Silakan menuju loket satu.", "id", ["silakan-menuju-loket", "1"]),
        ("Silakan menuju loket sebelas.", "id", ["silakan-menuju-loket", "11"]),
        ("Silakan menuju loket dua belas.", "id", ["silakan-menuju-loket", "12"]),
        ("Silakan menuju loket dua puluh satu.", "id", ["silakan-menuju-loket", "20", "1"]),
        ("Prioritas, ruang empat", "id", ["prioritas", "ruang", "4"]),
        ("Queue number, A, zero one two.", "en", ["nomor-antrean", "a", "0", "1", "2"]),
        ("Please go to counter twenty-one.", "en", ["silakan-menuju-loket", "20", "1"]),
    ],
)
def test_what_is_said_is_played(clips, text, language, played):
    """The longest recording that fits, in order."""
    assert play(clips, text, language) == played


def test_all_letters_and_digits_are_played(clips):
    """Each has its own."""
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        assert play(clips, f"Nomor antrean, {letter}, satu") == [
            "nomor-antrean",
            letter.lower(),
            "1",
        ]


def test_recordings_are_trimmed_and_joined_with_small_gaps(clips):
    """The silence of the recordings is gone, that between words is there."""
    sound = wav.read(clips.synthesise("satu dua, tiga.", "id", 1.0, 1.0))
    margins = 6 * 0.02
    gaps = 3 * GAP_S + PAUSES_S[","]
    assert sound.seconds == pytest.approx(3 * 0.2 + margins + gaps, abs=0.02)


def test_own_words_are_played_where_a_text_says_them(tmp_path):
    """A file is named as its words, with hyphens."""
    record(tmp_path, **{"ruang-tindakan": tone(HZ["z"])})
    assert play(Clips(tmp_path), "Ruang tindakan dua") == ["z", "2"]


def test_another_language_stands_in(tmp_path):
    """What a person recorded in Javanese is played for Indonesian texts."""
    record(tmp_path, "jv")
    clips = Clips(tmp_path, {"id": "jv"})
    assert clips.problem("id") is None
    assert play(clips, "Silakan menuju loket tiga.") == ["silakan-menuju-loket", "3"]
    assert clips.problem("en") == f"no recordings in {tmp_path / 'en'}"


def test_what_was_not_recorded_is_refused(clips):
    """It costs the engine nothing, and the next one speaks."""
    with pytest.raises(TextRefused, match='"kabar" was not recorded'):
        play(clips, "Ruang kabar")
    with pytest.raises(TextRefused, match="nothing to say"):
        play(clips, ",")


def test_what_is_missing_is_named(clips):
    """Without digits and phrases there is no call."""
    (clips.folder / "id/7.wav").unlink()
    assert "1 recordings missing" in clips.problem("id")
    assert "7" in clips.problem("id")
    (clips.folder / "id/q.wav").unlink()
    assert clips.problem("en") is None


def test_a_broken_recording_fails_with_its_name(clips):
    """Cut short, of another rate, with two channels."""
    (clips.folder / "id/3.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(EngineFailed, match=r"3\.wav: no WAV file"):
        play(clips, "tiga")
    (clips.folder / "id/4.wav").write_bytes(wav.write(tone(500, rate=16_000)))
    with pytest.raises(EngineFailed, match=r"4\.wav has another rate"):
        play(clips, "satu empat")


def test_the_fingerprint_follows_the_recordings(clips):
    """A new recording is heard at once, and what was kept of the old one is not."""
    before = clips.fingerprint("id")
    assert clips.fingerprint("id") == before
    (clips.folder / "id/3.wav").write_bytes(wav.write(tone(HZ["9"], 0.3)))
    assert clips.fingerprint("id") != before
    assert play(clips, "tiga") == ["9"]


def test_the_own_chime_is_there_where_it_was_recorded(clips):
    """None where it is missing or broken."""
    assert units(clips.chime("id")) == ["chime"]
    (clips.folder / "id/chime.wav").write_bytes(b"x")
    assert clips.chime("id") is None
    (clips.folder / "id/chime.wav").unlink()
    assert clips.chime("id") is None


# The check


def test_whole_recordings_have_nothing_wrong(tmp_path):
    """Exit code 0."""
    record(tmp_path)
    assert check(tmp_path) == []
    done = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert (done.exit_code, done.output) == (
        0, "id: all 52 recordings are there and fit together\n",
    )  # fmt: skip


def test_what_is_wrong_is_found(tmp_path):
    """Each kind, with its recording, and nothing else."""
    record(tmp_path, "jv", **{
        "1": tone(500, rate=16_000), "2": tone(500, level=0.05), "3": tone(500, level=0.9),
        "4": tone(500, level=0.0001), "5": tone(500, seconds=5), "chime": tone(500, level=0.9),
    })  # fmt: skip
    place = tmp_path / "jv"
    (place / "q.wav").unlink()
    (place / "7.wav").write_bytes((place / "7.wav").read_bytes()[:30])
    stereo = bytearray((place / "8.wav").read_bytes())
    stereo[22:24] = b"\2\0"
    (place / "8.wav").write_bytes(bytes(stereo))
    wide = bytearray((place / "9.wav").read_bytes())
    wide[32:36] = b"\1\0\x08\0"
    (place / "9.wav").write_bytes(bytes(wide))

    found = {(one.unit, one.kind): one.detail for one in check(tmp_path)}

    assert set(found) == {
        ("q", "missing"), ("1", "rate"), ("2", "level"), ("3", "level"), ("4", "silent"),
        ("5", "long"), ("7", "broken"), ("8", "broken"), ("9", "broken"),
    }  # fmt: skip
    assert found["1", "rate"] == "16000 Hz, most others 8000 Hz"
    assert found["8", "broken"] == "16 bits, 2 channels: 16 bits, 1 channel needed"
    assert found["9", "broken"] == "8 bits, 1 channels: 16 bits, 1 channel needed"
    assert "softer" in found["2", "level"]
    assert "louder" in found["3", "level"]
    assert found["5", "long"].startswith("5.0 s")


def test_the_command_says_what_is_wrong(tmp_path):
    """For people and programs, with exit code 1; the clinic's own folder where none is named."""
    record(tmp_path / "clips")
    (tmp_path / "clips/id/0.wav").unlink()
    ctx = SimpleNamespace(folder=tmp_path)
    done = CliRunner().invoke(command, ["check"], obj=ctx)
    assert (done.exit_code, done.output) == (1, "id/0: is missing\n")
    done = CliRunner().invoke(command, ["check", "--json"], obj=ctx)
    assert done.exit_code == 1
    assert json.loads(done.output) == [
        {"language": "id", "unit": "0", "kind": "missing", "detail": "is missing"}
    ]
    done = CliRunner().invoke(command, ["check", str(tmp_path / "none")], obj=ctx)
    assert (done.exit_code, "has no language" in done.output) == (1, True)
    assert len(CliRunner().invoke(command, ["list"]).output.splitlines()) == 52
