"""Which engine is asked, and how long one that failed is left alone."""

import pytest

from puskesmas_queue_tts.engine import (
    LONGEST_TEXT,
    EngineFailed,
    EngineStarting,
    TextRefused,
    Voice,
)

PARTS = ("Nomor antrean, A, nol nol satu.", "Silakan menuju loket dua.")


class Clock:
    """Stands until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeEngine:
    """Answers `sound` after `takes_s` of the clock, or raises `failure`."""

    def __init__(self, name, clock, takes_s=0.0):
        self.name, self.clock, self.takes_s = name, clock, takes_s
        self.failure = None
        self.languages = {"id": None}
        self.asked = []

    def problem(self, language):
        return self.languages.get(language, f"no voice for {language}")

    def fingerprint(self, language):
        return f"{self.name}-1"

    def synthesise(self, text, language, speed, deadline_s):
        self.asked.append((text, deadline_s))
        self.clock.now += min(self.takes_s, deadline_s)
        if self.failure is not None:
            raise self.failure
        if self.takes_s > deadline_s:
            raise EngineFailed("too slow")
        return f"{self.name}: {text}".encode()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pair(clock):
    return FakeEngine("one", clock), FakeEngine("two", clock)


@pytest.fixture
def voice(pair, clock):
    return Voice(pair, clock)


def test_the_first_engine_speaks_all_parts(voice, pair):
    spoken = voice.speak(PARTS, "id", 1.0, 1.0)

    assert spoken.sounds == tuple(f"one: {part}".encode() for part in PARTS)
    assert (spoken.engine, spoken.fingerprint) == ("one", "one-1")
    assert pair[1].asked == []


def test_one_voice_speaks_both_halves(voice, pair):
    """Where the first fails at the second half, the next speaks the first half as well."""
    pair[0].takes_s = 0.5

    spoken = voice.speak(PARTS, "id", 1.0, 1.0)

    assert spoken.sounds == tuple(f"two: {part}".encode() for part in PARTS)


def test_each_later_engine_has_its_share_of_the_time(voice, pair, clock):
    """A slow one leaves enough for the next, and the budget holds."""
    pair[0].takes_s = 60.0
    began = clock.now

    assert voice.speak(PARTS, "id", 1.0, 1.0).engine == "two"
    assert clock.now - began == pytest.approx(0.85)
    assert pair[1].asked[0][1] == pytest.approx(0.15)


def test_an_engine_that_failed_is_left_alone_longer_each_time(voice, pair, clock):
    pair[0].failure = EngineFailed("ended")
    for rest_s in (5.0, 10.0, 20.0):
        voice.speak(PARTS, "id", 1.0, 1.0)
        asked = len(pair[0].asked)
        clock.now += rest_s - 0.1
        assert voice.is_resting(pair[0])
        voice.speak(PARTS, "id", 1.0, 1.0)
        assert len(pair[0].asked) == asked
        clock.now += 0.2
    for _ in range(20):
        clock.now += 300.1
        voice.speak(PARTS, "id", 1.0, 1.0)
        assert voice.is_resting(pair[0])

    pair[0].failure = None
    clock.now += 300.1
    assert voice.speak(PARTS, "id", 1.0, 1.0).engine == "one"
    pair[0].failure = EngineFailed("ended")
    voice.speak(PARTS, "id", 1.0, 1.0)
    clock.now += 5.1
    assert not voice.is_resting(pair[0])


def test_who_has_time_asks_an_engine_that_is_left_alone(voice, pair, clock):
    """What is spoken in advance finds out that it speaks again; its failures count for nothing."""
    pair[0].failure = EngineFailed("too slow")
    voice.speak(PARTS, "id", 1.0, 1.0)
    asked = len(pair[0].asked)
    assert voice.speak(PARTS, "id", 1.0, 6.0).engine == "two"
    assert len(pair[0].asked) == asked + 1
    clock.now += 5.1
    assert not voice.is_resting(pair[0])

    voice.speak(PARTS, "id", 1.0, 1.0)
    assert voice.is_resting(pair[0])
    pair[0].failure = None
    assert voice.speak(PARTS, "id", 1.0, 6.0).engine == "one"
    assert not voice.is_resting(pair[0])
    assert voice.speak(PARTS, "id", 1.0, 1.0).engine == "one"


@pytest.mark.parametrize("failure", [EngineStarting("loading"), TextRefused("no clip for Q")])
def test_an_engine_is_not_left_alone_for_what_is_no_fault(voice, pair, failure):
    pair[0].failure = failure
    assert voice.speak(PARTS, "id", 1.0, 1.0).engine == "two"
    assert not voice.is_resting(pair[0])
    pair[0].failure = None
    assert voice.speak(PARTS, "id", 1.0, 1.0).engine == "one"


def test_what_is_kept_is_not_spoken_again_even_while_the_engine_rests(voice, pair):
    pair[0].failure = EngineFailed("ended")
    voice.speak(PARTS, "id", 1.0, 1.0)
    pair[0].asked.clear()
    kept = {("one-1", part): part.encode() for part in PARTS}

    spoken = voice.speak(PARTS, "id", 1.0, 1.0, lambda *key: kept.get(key))

    assert spoken.sounds == tuple(part.encode() for part in PARTS)
    assert spoken.engine == "one"
    assert pair[0].asked == []
    del kept["one-1", PARTS[1]]
    assert voice.speak(PARTS, "id", 1.0, 1.0, lambda *key: kept.get(key)).engine == "two"


def test_only_the_missing_half_is_spoken(voice, pair):
    kept = {("one-1", PARTS[0]): b"kept"}

    spoken = voice.speak(PARTS, "id", 1.0, 1.0, lambda *key: kept.get(key))

    assert spoken.sounds == (b"kept", f"one: {PARTS[1]}".encode())
    assert [text for text, _ in pair[0].asked] == [PARTS[1]]


def test_each_engine_is_given_its_own_words(voice, pair):
    """What one has no word for, another may say."""

    def worded(engine, part):
        if engine == "one":
            raise TextRefused("no clip for Q")
        return part.replace("A", "a")

    spoken = voice.speak(PARTS, "id", 1.0, 1.0, worded=worded)

    assert spoken.sounds[0] == b"two: Nomor antrean, a, nol nol satu."
    assert pair[0].asked == []
    assert not voice.is_resting(pair[0])


def test_an_engine_that_cannot_speak_the_language_is_passed_over(voice, pair):
    pair[1].languages["en"] = None

    assert voice.speak(PARTS, "en", 1.0, 1.0).engine == "two"
    with pytest.raises(EngineFailed, match="no engine speaks jv"):
        voice.speak(PARTS, "jv", 1.0, 1.0)


def test_nobody_speaks(voice, pair):
    """Every reason is told."""
    for one in pair:
        one.failure = EngineFailed("ended")

    with pytest.raises(EngineFailed, match="one: ended; two: ended"):
        voice.speak(PARTS, "id", 1.0, 1.0)
    with pytest.raises(EngineFailed, match="one: failed lately; two: failed lately"):
        voice.speak(PARTS, "id", 1.0, 1.0)


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", "—", "x" * (LONGEST_TEXT + 1), "A\x00", "A\nB", "A\x1b[31m", "A\u202eB"],
)
def test_what_nobody_can_say_reaches_no_engine(voice, pair, text):
    with pytest.raises(EngineFailed, match=r"one: (there is nothing|the text has)"):
        voice.speak((PARTS[0], text), "id", 1.0, 1.0)

    assert pair[0].asked == []
