"""Sound files of 16 bits and one channel, with the standard library only."""

import array
import io
import math
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FULL = 32_767
MOST_S = 60.0
"""A longer file is no word and no announcement."""
CHIMES: dict[str, tuple[tuple[float, float], ...]] = {
    # Notes: Hz, and seconds until the next one begins.
    "ding-dong": ((659.26, 0.45), (523.25, 0.9)),
    "three": ((523.25, 0.3), (659.26, 0.3), (783.99, 0.9)),
    "soft": ((440.0, 0.9),),
}
CHIME_LEVEL = 0.35


class NotWave(ValueError):
    """A file is no WAV of 16 bits and one channel; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Sound:
    """
    A sound.

    Args:
        samples: 16-bit, one channel.
        rate: Samples a second.
    """

    samples: "array.array[int]"
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    @property
    def level_db(self) -> float:
        """Its root mean square, dB below full; -100 for silence."""
        if not self.samples:
            return -100.0
        mean = sum(one * one for one in self.samples) / len(self.samples)
        return max(-100.0, 20 * math.log10(math.sqrt(mean) / FULL)) if mean else -100.0


def read(source: Path | bytes) -> Sound:
    """
    Read a WAV file.

    Raises:
        NotWave: It is something else, or broken.
        OSError: The file cannot be read.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            count = file.getnframes()
            if (channels, width) != (1, 2):
                raise NotWave(f"{width * 8} bits, {channels} channels: 16 bits, 1 channel needed")
            if rate <= 0 or count > rate * MOST_S:
                raise NotWave(f"longer than {MOST_S:.0f} s")
            samples = array.array("h", file.readframes(count))
    except NotWave:
        raise
    except (wave.Error, EOFError, ValueError) as error:
        raise NotWave(f"no WAV file: {str(error) or 'it ends too early'}") from error
    if sys.byteorder == "big":
        samples.byteswap()
    return Sound(samples, rate)


def write(sound: Sound) -> bytes:
    """Return a sound as a WAV file."""
    samples = sound.samples
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(samples.tobytes())
    return made.getvalue()


def trimmed(sound: Sound, threshold_db: float = -45.0, margin_s: float = 0.02) -> Sound:
    """Leave out the silence before and behind, but for a margin."""
    least = FULL * 10 ** (threshold_db / 20)
    loud = [place for place, one in enumerate(sound.samples) if abs(one) >= least]
    if not loud:
        return Sound(array.array("h"), sound.rate)
    margin = round(margin_s * sound.rate)
    begin, end = max(0, loud[0] - margin), loud[-1] + 1 + margin
    return Sound(sound.samples[begin:end], sound.rate)


def joined(sounds: Sequence[Sound], gap_s: float) -> Sound:
    """
    Put sounds of one rate behind each other.

    Args:
        sounds: At least one.
        gap_s: Silence between two of them.
    """
    rate = sounds[0].rate
    gap = array.array("h", bytes(2 * round(gap_s * rate)))
    samples = sounds[0].samples[:]
    for one in sounds[1:]:
        samples += gap
        samples += one.samples
    return Sound(samples, rate)


def chained(files: Sequence[bytes]) -> bytes:
    """
    Put WAV files behind each other, at the rate of the last one.

    Raises:
        NotWave: One of them is none.
    """
    sounds = [read(one) for one in files]
    rate = sounds[-1].rate
    return write(joined([_at_rate(one, rate) for one in sounds], 0.0))


def silence(seconds: float, rate: int) -> Sound:
    """Return a pause."""
    return Sound(array.array("h", bytes(2 * round(seconds * rate))), rate)


@cache
def chime(name: str, rate: int = 22_050) -> bytes:
    """
    Return one of `CHIMES` as a WAV file: struck bars that fade.

    Args:
        name: Which.
        rate: Samples a second.
    """
    notes = CHIMES[name]
    total = sum(gap for _, gap in notes) + 0.3
    heard = [0.0] * round(total * rate)
    begin = 0.0
    for pitch, gap in notes:
        first = round(begin * rate)
        for place in range(first, len(heard)):
            at = (place - first) / rate
            swing = math.sin(2 * math.pi * pitch * at) + 0.25 * math.sin(4 * math.pi * pitch * at)
            heard[place] += swing * math.exp(-4.0 * at) * min(1.0, at / 0.004)
        begin += gap
    fade = round(0.05 * rate)
    for place in range(fade):
        heard[-1 - place] *= place / fade
    loudest = max(map(abs, heard))
    samples = array.array("h", (round(one / loudest * CHIME_LEVEL * FULL) for one in heard))
    return write(Sound(samples, rate))


def _at_rate(sound: Sound, rate: int) -> Sound:
    """Take the nearest sample at each moment: good enough for a chime that somebody tries out."""
    if sound.rate == rate:
        return sound
    count = len(sound.samples) * rate // sound.rate
    step = sound.rate / rate
    return Sound(array.array("h", (sound.samples[int(at * step)] for at in range(count))), rate)
