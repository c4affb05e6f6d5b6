"""From an utterance to what the TV plays."""

import array
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import DatabaseError

from puskesmas_queue.api import PluginDataUnavailable, Utterance
from puskesmas_queue_tts import background, wav
from puskesmas_queue_tts.background import Background, Wish
from puskesmas_queue_tts.engine import EngineFailed, TextRefused, Voice
from puskesmas_queue_tts.pronunciation import Pronunciation
from puskesmas_queue_tts.sounds import Sounds
from puskesmas_queue_tts.speaking import LONGEST_CALL_S, PAUSE_S, Speaker
from puskesmas_queue_tts.wording import Tables
from puskesmas_queue_tts.zones import ZoneVoice

RATE = 8_000
CALL = Utterance(
    ("Nomor antrean, A, nol nol tiga.", "Silakan menuju loket 2."), "id", "main", "call"
)


class FakeEngine:
    """Remembers what it was asked, and answers a second of sound."""

    def __init__(self, name: str = "espeak", seconds: float = 1.0) -> None:
        self.name = name
        self.asked: list[tuple[str, float]] = []
        self.seconds = seconds
        self.failure: Exception | None = None
        self.voice = "1"

    def problem(self, language: str) -> str | None:
        return None

    def fingerprint(self, language: str) -> str:
        return f"{self.name}-{self.voice}-{language}"

    def synthesise(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        self.asked.append((text, speed))
        if self.failure is not None:
            raise self.failure
        level = 1000 + len(self.asked)
        return wav.write(wav.Sound(array.array("h", [level] * round(self.seconds * RATE)), RATE))


class FakeTables(Tables):
    """What the clinic set, without a database."""

    def __init__(self, *halls: ZoneVoice, **own: str) -> None:
        super().__init__(lambda errand: errand())
        self._words = Pronunciation({("id", "", key): spoken for key, spoken in own.items()})
        self._zones = {one.zone: one for one in halls}

    def refresh(self, ctx: object) -> None:
        """Nothing is read."""


class Stage:
    """A speaker with two engines, whose new sounds are kept at once."""

    def __init__(self, folder, *halls: ZoneVoice, chime: bytes | None = None, **own: str) -> None:
        self.first, self.second = FakeEngine("piper"), FakeEngine("espeak")
        self.sounds = Sounds(folder, 10**8)
        self.tables = FakeTables(*halls, **own)
        self.speaker = Speaker(
            Voice([self.first, self.second]), self.tables, self.sounds, self.sounds.keep,
            lambda language: chime,
        )  # fmt: skip

    def announce(self, utterance: Utterance = CALL):
        """Speak."""
        return self.speaker.announce(utterance, None, 0.8)


def lengths(speech) -> list[float]:
    """Seconds of each sound."""
    return [wav.read(one).seconds for one in speech.sound]


def test_each_half_is_spoken_in_words_and_kept(tmp_path):
    """A second call of the number, or to the counter, asks no engine for that half."""
    stage = Stage(tmp_path)
    speech = stage.announce()
    assert stage.first.asked == [
        ("Nomor antrean, A, nol nol tiga.", 1.0), ("Silakan menuju loket dua.", 1.0),
    ]  # fmt: skip
    assert (lengths(speech), speech.has_chime, speech.media_type) == ([1, 1], False, "audio/wav")

    again = stage.announce()
    other = stage.announce(
        Utterance((CALL.parts[0], "Silakan menuju loket 3."), "id", "main", "call")
    )

    assert again == speech
    assert other.sound[0] == speech.sound[0]
    assert [text for text, _ in stage.first.asked[2:]] == ["Silakan menuju loket tiga."]


def test_what_is_kept_depends_on_voice_speed_and_pronunciation(tmp_path):
    """Each changed alone is another sound; changed back, the old one is there again."""
    call = Utterance(("Ke UGD.",), "id", "main", "call")
    stage = Stage(tmp_path)
    stage.announce(call)
    stage.first.voice = "2"
    stage.announce(call)
    stage.tables._zones = {"main": ZoneVoice("main", 80)}
    stage.announce(call)
    stage.tables._words = Pronunciation({("id", "", "UGD"): "gawat darurat"})
    stage.announce(call)
    stage.tables._words = Pronunciation({})
    stage.announce(call)
    assert stage.first.asked == [
        ("Ke U G D.", 1.0), ("Ke U G D.", 1.0), ("Ke U G D.", 0.8), ("Ke gawat darurat.", 0.8),
    ]  # fmt: skip


def test_a_kept_call_is_spoken_even_by_a_voice_that_died(tmp_path):
    """And what is new by the next one."""
    stage = Stage(tmp_path)
    kept = stage.announce()
    stage.first.failure = EngineFailed("it died")
    assert stage.announce() == kept
    stage.announce(Utterance(("Nomor B-001",), "id", "main", "call"))
    assert stage.second.asked == [("Nomor B, nol nol satu", 1.0)]


@pytest.mark.parametrize("text", ["", " ", "...", "a" * 201, "<b>a</b>", "a\0", "\ud800a", "[[a]]"])
def test_what_is_not_spoken_is_asked_of_nobody(tmp_path, text):
    """Not even its other half."""
    stage = Stage(tmp_path)
    with pytest.raises(TextRefused, match="the text "):
        stage.announce(Utterance(("Nomor A", text), "id", "main", "call"))
    assert stage.first.asked == stage.second.asked == []


def test_a_page_is_spoken_sentence_by_sentence(tmp_path):
    """Longer than a half may be, once, without a chime."""
    stage = Stage(tmp_path, ZoneVoice("main", 90, "three", 3))
    page = "Pilih poli. " + "Poli Umum, sisa 12. " * 20 + "Temui dr. Ani."
    speech = stage.announce(Utterance((page,), "id", "main", "page"))
    assert len(speech.sound) == 22
    assert not speech.has_chime
    asked = [text for text, _ in stage.first.asked]
    assert (asked[0], asked[-1]) == ("Pilih poli.", "Temui dokter Ani.")
    with pytest.raises(TextRefused, match="too long"):
        stage.announce(Utterance(("a " * 301,), "id", "main", "page"))


# A hall


def test_a_hall_has_its_chime_and_its_repeats(tmp_path):
    """The chime once in front, a pause between; the TV makes none of its own."""
    stage = Stage(tmp_path, ZoneVoice("main", 100, "ding-dong", 2))
    speech = stage.announce()
    assert speech.has_chime
    assert lengths(speech)[1:] == pytest.approx([1, 1, PAUSE_S, 1, 1], abs=0.01)
    assert speech.sound[1:3] == speech.sound[4:6]
    assert wav.read(speech.sound[0]).level_db > -30


@pytest.mark.parametrize(
    ("chime", "own", "count", "has_chime"),
    [
        ("tv", None, 2, False),
        ("none", None, 2, True),
        ("soft", None, 3, True),
        ("clips", wav.chime("soft"), 3, True),
        ("clips", None, 2, False),
    ],
)
def test_whose_chime_is_heard(tmp_path, chime, own, count, has_chime):
    """A recorded one that is missing leaves it to the TV."""
    stage = Stage(tmp_path, ZoneVoice("main", 100, chime, 1), chime=own)
    speech = stage.announce()
    assert (len(speech.sound), speech.has_chime) == (count, has_chime)


def test_repeats_end_before_the_next_call_begins(tmp_path):
    """Three times a long announcement would be cut off: it is spoken as often as there is time."""
    stage = Stage(tmp_path, ZoneVoice("main", 100, "three", 3))
    stage.first.seconds = 5.0
    speech = stage.announce()
    assert len(speech.sound) == 1 + 2 + 3
    assert sum(lengths(speech)) < LONGEST_CALL_S
    stage = Stage(tmp_path / "long", ZoneVoice("main", 100, "tv", 3))
    stage.first.seconds = 15.0
    assert len(stage.announce().sound) == 2


def test_other_halls_are_spoken_to_as_they_want(tmp_path):
    """Each has its own speed; one that nobody set has the voice's."""
    stage = Stage(tmp_path, ZoneVoice("main", 80), ZoneVoice("lantai2", 120))
    for zone in ("main", "lantai2", "baru"):
        stage.announce(Utterance(("Satu",), "id", zone, "call"))
    assert [speed for _, speed in stage.first.asked] == [0.8, 1.2, 1.0]


def test_an_engine_that_made_no_sound_is_told(tmp_path):
    """The TV is sent no rubbish."""
    stage = Stage(tmp_path)
    stage.first.synthesise = stage.second.synthesise = lambda *_: b"nothing"
    with pytest.raises(EngineFailed, match="made no sound"):
        stage.announce()


@pytest.mark.parametrize(
    "failure",
    [
        PluginDataUnavailable("tts", "the disk is gone"),
        DatabaseError("SELECT", {}, Exception("database disk image is malformed")),
    ],
)
def test_tables_that_cannot_be_read_cost_nothing(failure):
    """What was known counts, and the next look is a while off and on another thread."""
    looks, later, now = [], [], [0.0]

    class Broken:
        def read(self, do):
            looks.append(do)
            raise failure

    tables = Tables(later.append, clock=lambda: now[0])
    ctx = SimpleNamespace(clinic_id="uji", data=Broken(), now=datetime(2026, 2, 26, tzinfo=UTC))
    tables.refresh(ctx)
    tables.refresh(ctx)
    assert (len(looks), later) == (1, [])
    assert tables.zone("main") == ZoneVoice("main")
    now[0] = 60.0
    tables.refresh(ctx)
    tables.refresh(ctx)
    assert (len(looks), len(later)) == (1, 1)
    later[0]()
    assert len(looks) == 2
    tables.forget()
    tables.refresh(ctx)
    assert (len(looks), len(later)) == (3, 1)


def test_sounds_of_two_rates_become_one_file():
    """As long as all of them together, at the rate of what is spoken."""
    parts = (wav.chime("soft", 22_050), wav.write(wav.silence(1.0, 8_000)))
    made = wav.read(wav.chained(parts))
    assert made.rate == 8_000
    assert made.seconds == pytest.approx(1.0 + wav.read(parts[0]).seconds, abs=0.01)
    assert made.level_db > -40


# Behind


class Behind:
    """A background thread whose speaking is watched."""

    def __init__(self, folder, *, takes_s: float = 0.0) -> None:
        self.spoken: list[str] = []
        self.quiet = True
        self.takes_s = takes_s
        self.failure: Exception | None = None
        self.sounds = Sounds(folder, 10**8)
        self.thread = Background(self.sounds, lambda seconds: self.quiet, self._speak)

    def _speak(self, wish: Wish) -> bool:
        time.sleep(self.takes_s)
        self.spoken.append(wish.text)
        if self.failure is not None:
            raise self.failure
        return wish.text != "known"

    def wish(self, *texts: str) -> None:
        """Wish for texts."""
        self.thread.wish(Wish(text, "id", "main") for text in texts)

    def wait(self, is_true, limit_s: float = 60.0) -> bool:
        """Wait until something is so."""
        end = time.monotonic() + limit_s
        while not is_true() and time.monotonic() < end:
            time.sleep(0.01)
        return is_true()


@pytest.fixture
def behind(tmp_path):
    """Started, and ended afterwards."""
    made = Behind(tmp_path)
    made.thread.start()
    yield made
    made.thread.stop()


def test_likely_calls_are_spoken_while_nobody_is_called(behind):
    """In order, each once, and not as long as a call is spoken."""
    behind.quiet = False
    behind.wish("satu", "dua", "satu", "known")
    time.sleep(0.6)
    assert behind.spoken == []
    behind.quiet = True
    assert behind.wait(lambda: len(behind.spoken) == 3)
    assert behind.spoken == ["satu", "dua", "known"]
    behind.wish("satu", "tiga")
    assert behind.wait(lambda: "tiga" in behind.spoken)
    assert behind.spoken.count("satu") == 1
    behind.thread.forget()
    behind.wish("satu")
    assert behind.wait(lambda: behind.spoken.count("satu") == 2)


def test_it_works_for_a_fifth_of_the_time(tmp_path):
    """What takes long is followed by a long rest."""
    behind = Behind(tmp_path, takes_s=0.15)
    behind.thread.start()
    begin = time.monotonic()
    behind.wish(*(str(number) for number in range(20)))
    time.sleep(1.7)
    worked = behind.takes_s * len(behind.spoken)
    behind.thread.stop()
    assert behind.spoken
    assert worked / (time.monotonic() - begin) < 0.3


def test_new_sounds_are_stored_meanwhile(behind):
    """Soon, whatever else is to be done; a full disk only means that they are made anew."""
    behind.thread.keep("ab", b"sound")
    assert behind.wait(lambda: behind.sounds.find("ab") == b"sound")

    def fail() -> None:
        raise OSError("disk full")

    behind.thread.soon(fail)
    behind.thread.keep("cd", b"other")
    assert behind.wait(lambda: behind.sounds.find("cd") == b"other")


def test_a_voice_that_fails_is_left_alone(behind):
    """What it could not speak is wished for still; what nobody can speak is not."""
    behind.failure = EngineFailed("dead")
    behind.wish("satu")
    assert behind.wait(lambda: behind.spoken == ["satu"])
    assert behind.wait(lambda: behind.thread.waiting == 1)
    time.sleep(0.5)
    assert behind.spoken == ["satu"]


def test_what_nobody_can_speak_is_dropped(behind):
    """It would be refused for ever."""
    behind.failure = TextRefused("no")
    behind.wish("satu")
    assert behind.wait(lambda: behind.spoken == ["satu"])
    assert behind.thread.waiting == 0


def test_it_ends_at_once(tmp_path, monkeypatch):
    """Also while it rests for long, or has much to do."""
    monkeypatch.setattr(background, "AFTER_FAILURE_S", 60.0)
    monkeypatch.setattr(background, "STOP_S", 60.0)
    behind = Behind(tmp_path)
    behind.failure = EngineFailed("dead")
    behind.thread.start()
    behind.wish(*(str(number) for number in range(600)))
    assert behind.wait(lambda: bool(behind.spoken))
    begin = time.monotonic()
    behind.thread.stop()
    assert time.monotonic() - begin < 30
    assert not behind.thread._thread.is_alive()


def test_wishes_have_an_end(tmp_path):
    """Who came first is called first: what comes on top is spoken when it is called."""
    behind = Behind(tmp_path)
    behind.wish(*(str(number) for number in range(599)))
    behind.wish("5", "last", "too many")
    assert behind.thread.waiting == 600
    assert behind.thread.waits_for(Wish("last", "id", "main"))
    assert not behind.thread.waits_for(Wish("too many", "id", "main"))
