"""A hall that falls silent: who is told, and what it costs while all is well."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from puskesmas_queue.live.topics import LiveTopics
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.speech import heartbeat, leave
from puskesmas_queue.services.topics import VOICES_TOPIC, speech_topic
from puskesmas_queue.services.voices import VoiceWatch, voice_trouble
from puskesmas_queue.web.rendering import Rendering
from support.desk import STAFF, open_all

TV = "screen-of-the-tv"
WORDS = {
    "id": {
        "away": "Suara mati.</strong> TV ruang tunggu tidak terhubung.",
        "muted": "Sentuh “Aktifkan suara” di TV.",
    },
    "en": {
        "away": "No voice.</strong> The hall's TV is not connected.",
        "muted": "Touch “Turn on sound” on the TV.",
    },
}


@pytest.fixture
def watch(clinic):
    """What the timers look with each second."""
    return VoiceWatch(clinic)


def seen(clinic, watch, after_s=0):
    clinic.clock.advance(timedelta(seconds=after_s))
    watch.look("main")
    return voice_trouble(clinic, "main")


def test_a_hall_is_silent_until_a_tv_is_heard_of(clinic, watch):
    assert seen(clinic, watch) == "away"

    heartbeat(clinic, "main", TV, True)

    assert seen(clinic, watch) is None


def test_a_tv_that_falls_silent_is_told_and_told_to_be_back(clinic, watch):
    heartbeat(clinic, "main", TV, True)
    assert [seen(clinic, watch, 5) for _ in range(4)] == [None, None, "away", "away"]

    heartbeat(clinic, "main", TV, True)

    assert seen(clinic, watch) is None


def test_a_tv_whose_sound_waits_for_a_touch_is_muted(clinic, watch):
    heartbeat(clinic, "main", TV, False)
    assert seen(clinic, watch) == "muted"

    heartbeat(clinic, "main", TV, True)
    assert seen(clinic, watch) is None

    heartbeat(clinic, "main", TV, False)
    assert seen(clinic, watch) == "muted"


def test_what_happens_between_two_looks_is_told(clinic, watch):
    """A TV that comes and goes within a second leaves nobody with a word that is not true."""
    assert seen(clinic, watch) == "away"
    told = []

    for has_voice in (True, False, True):
        heartbeat(clinic, "main", TV, has_voice)
        told.append(voice_trouble(clinic, "main"))
    leave(clinic, "main", TV)

    assert told == [None, "muted", None]
    assert voice_trouble(clinic, "main") == "away"


def test_one_that_comes_back_as_it_is_missed_is_missed_again(clinic, watch):
    heartbeat(clinic, "main", TV, True)
    assert seen(clinic, watch, 15) == "away"
    heartbeat(clinic, "main", TV, True)
    assert voice_trouble(clinic, "main") is None
    assert [seen(clinic, watch, 5) for _ in range(3)] == [None, None, "away"]


def test_the_other_screens_are_told_that_nobody_speaks(clinic, watch):
    """The hall's stream names no speaker any more, so that one of them takes over at once."""
    heartbeat(clinic, "main", TV, True)
    seen(clinic, watch)
    before = clinic.versions[speech_topic("main")]

    assert seen(clinic, watch, 15) == "away"

    assert clinic.versions[speech_topic("main")] == before + 1
    assert '"speaker":null' in LiveTopics(clinic, Rendering(clinic)).render("speech-main")


def test_another_tv_takes_over_in_time(clinic, watch):
    heartbeat(clinic, "main", TV, True)
    heartbeat(clinic, "main", "screen-of-another-tv", True)
    clinic.clock.advance(timedelta(seconds=15))
    heartbeat(clinic, "main", "screen-of-another-tv", True)

    assert seen(clinic, watch) is None


def test_a_clinic_that_wants_no_voice_is_told_nothing(clinic, watch):
    set_option(clinic, "display.voice", "false", STAFF)

    assert seen(clinic, watch) is None


def test_nobody_is_told_while_nothing_changes(clinic, watch):
    """A morning of heartbeats gives no topic a new version."""
    heartbeat(clinic, "main", TV, True)
    seen(clinic, watch)
    before = clinic.versions[VOICES_TOPIC]
    for _ in range(20):
        heartbeat(clinic, "main", TV, True)
        assert seen(clinic, watch, 5) is None

    assert clinic.versions[VOICES_TOPIC] == before


def test_screens_of_staff_read_it_once(clinic, watch):
    """No page and no fragment costs a query more, whoever asks."""
    seen(clinic, watch)
    voice_trouble(clinic, "main")

    statements = []
    event.listen(clinic.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    assert [voice_trouble(clinic, "main") for _ in range(3)] == ["away"] * 3
    assert statements == []


@pytest.mark.parametrize("lang", ["id", "en"])
def test_counters_and_the_page_of_the_day_say_it(clinic, watch, lang):
    open_all(clinic, 1)
    topics = LiveTopics(clinic, Rendering(clinic))
    suffix = "" if lang == "id" else ".en"
    shown = [f"counter-main{suffix}", f"day-main{suffix}"]
    for name in shown:
        assert VOICES_TOPIC in topics.depends_on(name)
    for kind in ("display", "speech", "kiosk", "phone"):
        assert VOICES_TOPIC not in topics.depends_on(f"{kind}-main")

    seen(clinic, watch)
    assert all(WORDS[lang]["away"] in topics.render(name) for name in shown)

    heartbeat(clinic, "main", TV, False)
    seen(clinic, watch)
    assert all(WORDS[lang]["muted"] in topics.render(name) for name in shown)

    heartbeat(clinic, "main", TV, True)
    seen(clinic, watch)
    assert not any("data-voice" in topics.render(name) for name in shown)


def test_where_nobody_works_the_page_of_the_day_says_nothing(clinic, watch):
    seen(clinic, watch)

    assert "data-voice" not in LiveTopics(clinic, Rendering(clinic)).render("day-main")
