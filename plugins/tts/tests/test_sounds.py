"""What is kept: found again, bounded, whole or not at all, shared by processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from puskesmas_queue_tts.sounds import DIGEST_BYTES, Sounds, State, key_of

KEYS = [key_of("voice", 1.0, str(number)) for number in range(40)]
SOUND = bytes(range(256)) * 4
SIZE = len(SOUND) + DIGEST_BYTES


def test_a_sound_is_found_under_all_that_it_depends_on(tmp_path):
    """Another voice, speed or text is another sound."""
    sounds = Sounds(tmp_path / "kept", 1_000_000)
    key = key_of("voice", 1.0, "satu")
    assert sounds.find(key) is None
    assert not sounds.has(key)
    sounds.keep(key, SOUND)
    assert sounds.find(key) == SOUND
    assert sounds.has(key)
    others = {key_of("other", 1.0, "satu"), key_of("voice", 0.9, "satu"), key_of("voice", 1.0, "s")}
    assert len({key, *others}) == 4
    assert sounds.state() == State(1, SIZE)
    sounds.clear()
    assert sounds.state() == State(0, 0)
    assert sounds.find(key) is None


def test_the_least_used_go_first(tmp_path):
    """Used, not made: what is spoken every day stays."""
    sounds = Sounds(tmp_path, 10 * SIZE)
    long_ago = time.time() - 1000
    for place, key in enumerate(KEYS[:10]):
        sounds.keep(key, SOUND)
        path = tmp_path / key[:2] / f"{key}.wav"
        os.utime(path, (long_ago + place, long_ago + place))
    assert sounds.find(KEYS[0]) == SOUND

    sounds.keep(KEYS[10], SOUND)

    kept = [key for key in KEYS if sounds.has(key)]
    assert kept == [KEYS[0], *KEYS[3:11]]
    assert sounds.state().size <= 10 * SIZE


def test_a_limit_that_other_processes_fill_is_kept_too(tmp_path):
    """Each counts anew now and then."""
    mine, other = Sounds(tmp_path, 100 * SIZE), Sounds(tmp_path, 100 * SIZE)
    for number in range(150):
        mine.keep(key_of("mine", 1.0, str(number)), SOUND)
        other.keep(key_of("other", 1.0, str(number)), SOUND)
    # Between two counts both may write; never more than that comes on top.
    assert mine.state().count <= 100 + 2 * 64


@pytest.mark.parametrize("damage", [b"", b"x", SOUND, SOUND[:-1] + bytes(DIGEST_BYTES + 1)])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    """Empty, cut, without its end, full of zeros: it is no sound, and it is gone."""
    sounds = Sounds(tmp_path, 1_000_000)
    sounds.keep(KEYS[0], SOUND)
    (path,) = tmp_path.glob("*/*.wav")
    path.write_bytes(damage)

    assert sounds.find(KEYS[0]) is None
    assert not path.exists()
    sounds.keep(KEYS[0], SOUND)
    assert sounds.find(KEYS[0]) == SOUND


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    """The old sound stays, and no part of the new one."""
    sounds = Sounds(tmp_path, 1_000_000)
    sounds.keep(KEYS[0], SOUND)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sounds.keep(KEYS[0], SOUND * 2)
    assert sounds.find(KEYS[0]) == SOUND
    assert len(list(tmp_path.glob("*/*"))) == 1


def test_what_a_killed_process_left_is_swept_up(tmp_path):
    """Once it is old: a young one is perhaps being written."""
    sounds = Sounds(tmp_path, 1_000_000)
    sounds.keep(KEYS[0], SOUND)
    folder = tmp_path / KEYS[0][:2]
    old, young = folder / "a.wav.1.part", folder / "b.wav.2.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))

    assert sounds.state() == State(1, SIZE)
    assert (old.exists(), young.exists()) == (False, True)


WRITER = """
import sys
from pathlib import Path
from puskesmas_queue_tts.sounds import Sounds, key_of
sounds = Sounds(Path(sys.argv[1]), 10**9)
print("ready", flush=True)
number = 0
while True:
    key = key_of("voice", 1.0, str(number % 20))
    sounds.keep(key, bytes([number % 20]) * 300_000)
    number += 1
"""
SHARER = """
import sys
from pathlib import Path
from puskesmas_queue_tts.sounds import Sounds, key_of
sounds = Sounds(Path(sys.argv[1]), 300_000)
for number in range(120):
    name = (int(sys.argv[2]) + number) % 40
    key, sound = key_of("voice", 1.0, str(name)), bytes([name]) * 10_000
    found = sounds.find(key)
    if found not in (None, sound):
        print(f"{name}: {found[:20]!r}")
    sounds.keep(key, sound)
    if number % 50 == 49:
        sounds.clear()
print("done")
"""


def started(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
    """A process of its own that knows the plugin."""
    source = Path(sys.modules["puskesmas_queue_tts"].__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


def test_a_kill_in_the_middle_costs_one_sound_at_most(tmp_path):
    """Killed again and again while it writes, nothing wrong is ever found."""
    sounds = Sounds(tmp_path, 10**9)
    for round_ in range(4):
        with started(WRITER, tmp_path) as writer:
            try:
                assert writer.stdout.readline() == b"ready\n"
                until = time.monotonic() + 60
                while not any(tmp_path.glob("*/*.wav")):
                    assert time.monotonic() < until
                    time.sleep(0.01)
                time.sleep(0.1 + 0.03 * round_)
            finally:
                writer.kill()
        found = [sounds.find(key_of("voice", 1.0, str(number))) for number in range(20)]
        assert any(found)
        for number, sound in enumerate(found):
            assert sound is None or sound == bytes([number]) * 300_000


def test_processes_share_it(tmp_path):
    """Three read, write, make room and empty it at once."""
    sharers = [started(SHARER, tmp_path, place * 7) for place in range(3)]
    told = [one.communicate(timeout=300) for one in sharers]
    assert [out for out, _ in told] == [b"done\n"] * 3, told
