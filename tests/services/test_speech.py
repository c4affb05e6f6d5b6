"""Announcements: one ordered list per zone, one screen that speaks."""

from datetime import timedelta

import pytest

from puskesmas_queue.domain.errors import InvalidRequest
from puskesmas_queue.services import counters, day
from puskesmas_queue.services.calling import call_next, recall, serve
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.speech import finished, heartbeat, leave, speech_state, tick
from puskesmas_queue.services.topics import speech_topic
from puskesmas_queue.storage import speech as rows
from puskesmas_queue.storage import tables
from support.desk import STAFF, add_counters, at_once, open_all, rows_of, session, take

TV, OTHER, MUTE = "screen-of-the-tv", "screen-of-another-tv", "screen-without-voice"


@pytest.fixture
def hall(clinic):
    """Four open counters, five people waiting, and a TV with a voice."""
    add_counters(clinic, 3, 4)
    open_all(clinic, 1, 2, 3, 4)
    take(clinic, "AAAAA")
    heartbeat(clinic, "main", TV, True)
    return clinic


def call(clinic, counter):
    ticket = call_next(clinic, counter, STAFF)
    assert ticket is not None
    return ticket


def said(clinic):
    """Number and state of every announcement, in order."""
    return [(row.number, row.state) for row in rows_of(clinic, tables.announcements)]


def speaks(clinic):
    """The number that is being spoken."""
    current = speech_state(clinic, "main").current
    return None if current is None else current.number


def finish(clinic, screen=TV):
    finished(clinic, "main", screen, speech_state(clinic, "main").current.id)


def wait(clinic, seconds, beat=True):
    """Let time pass; the TV is heard of now and then."""
    for _ in range(int(seconds // 5)):
        clinic.clock.advance(timedelta(seconds=5))
        if beat:
            heartbeat(clinic, "main", TV, True)
    clinic.clock.advance(timedelta(seconds=seconds % 5))
    tick(clinic, "main")


def test_ordered_list(hall):
    """The next begins when the speaker reports the end, in the order of the calls."""
    for counter in (3, 1, 2):
        call(hall, counter)
    assert said(hall) == [("A-001", "speaking"), ("A-002", "queued"), ("A-003", "queued")]

    finish(hall)
    assert said(hall) == [("A-001", "spoken"), ("A-002", "speaking"), ("A-003", "queued")]
    finish(hall)
    finish(hall)

    assert {state for _, state in said(hall)} == {"spoken"}
    assert speaks(hall) is None


def test_words_name_number_and_counter(hall):
    """In the language of the display."""
    call(hall, 2)
    set_option(hall, "display.language", "en", STAFF)
    call(hall, 3)

    first, second = rows_of(hall, tables.announcements)
    assert (first.number_text, first.direction_text) == (
        "Nomor antrean, A, nol nol satu.",
        "Silakan menuju loket dua.",
    )
    assert (second.number_text, second.direction_text, second.language) == (
        "Queue number, A, zero zero two.",
        "Please go to counter three.",
        "en",
    )


def test_end_reported_twice_or_by_another_changes_nothing(hall):
    """Only the speaker's first report of the present one counts."""
    call(hall, 1)
    call(hall, 2)
    first = speech_state(hall, "main").current.id

    finished(hall, "main", OTHER, first)
    finished(hall, "main", TV, first + 1)
    assert speaks(hall) == "A-001"
    finished(hall, "main", TV, first)
    finished(hall, "main", TV, first)

    assert speaks(hall) == "A-002"


def test_next_begins_after_25_seconds(hall):
    """Whether or not the speaker reported the end."""
    call(hall, 1)
    call(hall, 2)

    wait(hall, 24)
    assert speaks(hall) == "A-001"
    wait(hall, 2)

    assert said(hall) == [("A-001", "spoken"), ("A-002", "speaking")]


def test_stale_calls_are_not_spoken(hall):
    """Older than 90 s: shown, but the hall does not hear it any more."""
    for counter in (1, 2, 3):
        call(hall, counter)
    hall.clock.advance(timedelta(seconds=91))
    call(hall, 4)

    heartbeat(hall, "main", TV, True)

    assert said(hall) == [
        ("A-001", "spoken"),
        ("A-002", "expired"),
        ("A-003", "expired"),
        ("A-004", "speaking"),
    ]


def test_call_of_90_seconds_is_still_spoken(hall):
    """The limit is a limit."""
    hall.clock.advance(timedelta(seconds=16))
    call(hall, 1)
    assert said(hall) == [("A-001", "queued")]
    hall.clock.advance(timedelta(seconds=88))

    heartbeat(hall, "main", TV, True)

    assert said(hall) == [("A-001", "speaking")]


def test_nothing_is_spoken_without_a_speaker(clinic):
    """Calls wait for a screen, and begin with the first that comes."""
    open_all(clinic, 1)
    take(clinic, "A")
    call(clinic, 1)
    tick(clinic, "main")
    assert said(clinic) == [("A-001", "queued")]
    assert speech_state(clinic, "main").speaker is None

    state = heartbeat(clinic, "main", MUTE, False)

    assert (state.speaker, state.current.number) == (MUTE, "A-001")


def test_one_speaker_of_two_screens(hall):
    """The second screen keeps silent as long as the first is heard of."""
    state = heartbeat(hall, "main", OTHER, True)

    assert state.speaker == TV


def test_hand_over_after_15_seconds(hall):
    """A silent speaker loses its office; the other one begins anew what was not finished."""
    call(hall, 1)
    call(hall, 2)
    began = speech_state(hall, "main").current.started_at

    hall.clock.advance(timedelta(seconds=14))
    assert heartbeat(hall, "main", OTHER, True).speaker == TV
    hall.clock.advance(timedelta(seconds=2))
    assert speech_state(hall, "main").speaker is None
    state = heartbeat(hall, "main", OTHER, True)

    assert state.speaker == OTHER
    assert state.current.number == "A-001"
    assert state.current.started_at > began
    finish(hall, TV)
    assert speaks(hall) == "A-001"
    finish(hall, OTHER)
    assert speaks(hall) == "A-002"


@pytest.mark.parametrize(("age_s", "state"), [(88, "speaking"), (91, "expired")])
def test_a_call_that_is_too_old_is_not_begun_anew(hall, age_s, state):
    """Cut off in the middle, and the next screen comes too late: as if it had waited."""
    call(hall, 1)
    hall.clock.advance(timedelta(seconds=age_s))

    heartbeat(hall, "main", OTHER, True)

    assert said(hall) == [("A-001", state)]


def test_voice_is_preferred(clinic):
    """A screen with a voice takes over at once from one that only chimes, not the reverse."""
    assert heartbeat(clinic, "main", MUTE, False).speaker == MUTE
    assert heartbeat(clinic, "main", TV, True).speaker == TV
    assert heartbeat(clinic, "main", MUTE, False).speaker == TV
    assert heartbeat(clinic, "main", OTHER, True).speaker == TV


def test_recall_of_what_is_spoken_adds_nothing(hall):
    """Also not while it waits; once it was spoken a recall is heard again."""
    called = [call(hall, 1), call(hall, 2)]
    wait(hall, 20)
    for ticket in called:
        recall(hall, ticket.id, STAFF)
    assert [number for number, _ in said(hall)] == ["A-001", "A-002"]

    finish(hall)
    wait(hall, 20)
    recall(hall, called[0].id, STAFF)

    assert said(hall) == [("A-001", "spoken"), ("A-002", "speaking"), ("A-001", "queued")]


def test_ticket_called_by_another_counter_is_sent_there(hall):
    """The first counter closed before its call was spoken: nobody is sent to a closed counter."""
    call(hall, 1)
    waiting = call(hall, 2)
    counters.close_counter(hall, session(2), STAFF)

    again = call(hall, 3)

    assert again.id == waiting.id
    listed = [(r.number, r.counter, r.state) for r in rows_of(hall, tables.announcements)]
    assert listed == [
        ("A-001", 1, "speaking"),
        ("A-002", 2, "expired"),
        ("A-002", 3, "queued"),
    ]


def test_call_that_is_spoken_while_its_counter_closes(hall):
    """It is spoken to its end, then the new counter is named."""
    spoken = call(hall, 1)
    counters.close_counter(hall, session(1), STAFF)
    assert call(hall, 2).id == spoken.id
    assert [row.state for row in rows_of(hall, tables.announcements)] == ["speaking", "queued"]

    finish(hall)

    assert speech_state(hall, "main").current.counter == 2


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(days=2)])
def test_clock_set_back_silences_nobody(hall, back):
    """Times that lie in the future hold neither the list nor the office of a speaker."""
    call(hall, 1)
    call(hall, 2)
    hall.clock.advance(-back)
    day.confirm_clock(hall, STAFF)

    assert heartbeat(hall, "main", OTHER, True).speaker == OTHER
    finish(hall, OTHER)

    assert said(hall)[0] == ("A-001", "spoken")
    assert speaks(hall) == "A-002"


def test_one_that_ended_does_not_begin_again(hall):
    """A hand-over that comes at the moment of the end finds nothing to begin."""
    call(hall, 1)
    current = speech_state(hall, "main").current.id
    finish(hall)

    hall.db.write(lambda tx: rows.begin(tx, current))

    assert said(hall) == [("A-001", "spoken")]


def test_reports_at_once_let_one_begin(hall):
    """Speaker, timer and a call at the same moment: one is spoken, the order stays."""
    call(hall, 1)
    call(hall, 2)
    current = speech_state(hall, "main").current.id
    hall.clock.advance(timedelta(seconds=10))

    at_once(
        [
            lambda: finished(hall, "main", TV, current),
            lambda: tick(hall, "main"),
            lambda: heartbeat(hall, "main", TV, True),
            lambda: call(hall, 3),
        ]
    )
    tick(hall, "main")

    assert said(hall) == [("A-001", "spoken"), ("A-002", "speaking"), ("A-003", "queued")]


def test_changes_have_versions(hall):
    """Screens hear of every change of the list, and of nothing where there is none."""
    versions = [hall.versions[speech_topic("main")]]
    for step in (
        lambda: call(hall, 1),
        lambda: finish(hall),
        lambda: heartbeat(hall, "main", TV, True),
        lambda: tick(hall, "main"),
    ):
        step()
        versions.append(hall.versions[speech_topic("main")])

    assert versions[0] < versions[1] < versions[2] == versions[3] == versions[4]


def test_serving_leaves_the_list_alone(hall):
    """What was called is spoken, though the patient is quicker than the voice."""
    call(hall, 1)
    quick = call(hall, 2)
    serve(hall, quick.id, STAFF, 2)

    finish(hall)

    assert speaks(hall) == "A-002"


@pytest.mark.parametrize("screen", ["short", "x" * 65, ""])
def test_name_of_a_screen(sqlite_clinic, screen):
    """8 to 64 characters."""
    with pytest.raises(InvalidRequest):
        heartbeat(sqlite_clinic, "main", screen, True)
    assert speech_state(sqlite_clinic, "main").speaker is None


def test_a_speaker_that_leaves_is_missed_at_once(hall):
    """Another screen begins anew what it did not end; who does not speak, leaves unnoticed."""
    call(hall, 1)
    leave(hall, "main", OTHER)
    assert speech_state(hall, "main").speaker == TV

    leave(hall, "main", TV)

    assert speech_state(hall, "main").speaker is None
    assert heartbeat(hall, "main", OTHER, False).speaker == OTHER
    assert speaks(hall) == "A-001"
    finish(hall, OTHER)
    assert said(hall) == [("A-001", "spoken")]
