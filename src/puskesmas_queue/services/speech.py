"""
Announcements: one ordered list per zone, one screen that speaks.

Source: domain rules, section 8.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.announcements import (
    SPEAKER_LOST_AFTER,
    SPEAKING_LIMIT,
    STALE_AFTER,
    Call,
)
from puskesmas_queue.domain.errors import InvalidRequest
from puskesmas_queue.domain.tickets import Ticket
from puskesmas_queue.services.topics import VOICES_TOPIC, line_topic, speech_topic
from puskesmas_queue.storage import speech as rows
from puskesmas_queue.storage.speech import Announced, Heard, Speaker
from puskesmas_queue.storage.transaction import Reading, Tx

LONGEST_SCREEN_ID = 64
VoiceTrouble = Literal["away", "muted"]
"""`away`: no screen is heard of. `muted`: those that are have no sound."""


@dataclass(frozen=True, slots=True)
class SpeechState:
    """Which screen speaks in a zone (None while none is heard of), and what it speaks now."""

    speaker: str | None
    current: Announced | None


def speech_state(clinic: Clinic, zone: str) -> SpeechState:
    """Read who speaks and what."""

    def run(tx: Reading) -> SpeechState:
        heard = rows.heard(tx, zone)
        speaker = heard.speaker
        alive = speaker is not None and is_heard(speaker, tx.now)
        current = next((one for one in heard.open_ones if one.state == "speaking"), None)
        return SpeechState(speaker.screen if speaker is not None and alive else None, current)

    return clinic.db.read(run)


def heartbeat(clinic: Clinic, zone: str, screen: str, has_voice: bool) -> SpeechState:
    """
    Hear of a screen: it becomes the speaker where there is none, or none with a voice.

    Raises:
        InvalidRequest: A screen's name has 8 to 64 characters.
    """
    if not 8 <= len(screen) <= LONGEST_SCREEN_ID:
        raise InvalidRequest("a screen's name has 8 to 64 characters")

    def run(tx: Tx) -> None:
        speaker = rows.heard(tx, zone).speaker
        is_free = (
            speaker is None
            or speaker.screen == screen
            or not is_heard(speaker, tx.now)
            or (has_voice and not speaker.has_voice)
        )
        if is_free:
            rows.appoint(tx, zone, screen, has_voice)
            if speaker is None or speaker.screen != screen:
                restart(tx, zone)
                tx.touch(speech_topic(zone))
            appointed = Speaker(screen, has_voice, tx.now)
            if trouble_of(appointed, tx.now) != trouble_of(speaker, tx.now):
                tx.touch(VOICES_TOPIC)
        advance(tx, zone)

    clinic.db.write(run)
    return speech_state(clinic, zone)


def finished(clinic: Clinic, zone: str, screen: str, announcement_id: int) -> None:
    """Hear from the speaker that it came to an announcement's end; anybody else is ignored."""

    def run(tx: Tx) -> None:
        heard = rows.heard(tx, zone)
        if heard.speaker is None or heard.speaker.screen != screen:
            return
        for one in heard.open_ones:
            if one.id == announcement_id and one.state == "speaking":
                rows.end(tx, one.id, "spoken")
                tx.touch(speech_topic(zone))
        advance(tx, zone)

    clinic.db.write(run)


def leave(clinic: Clinic, zone: str, screen: str) -> None:
    """Hear that a screen is being closed: where it is the speaker, another one takes over now."""

    def run(tx: Tx) -> None:
        speaker = rows.heard(tx, zone).speaker
        if speaker is not None and speaker.screen == screen:
            rows.dismiss(tx, zone)
            tx.touch(VOICES_TOPIC, speech_topic(zone))

    clinic.db.write(run)


def is_heard(speaker: Speaker, now: datetime) -> bool:
    """Say whether a speaker was heard of lately; a clock that was set back keeps none."""
    return abs(now - speaker.seen_at) < SPEAKER_LOST_AFTER


def trouble_of(speaker: Speaker | None, now: datetime) -> VoiceTrouble | None:
    """Say what is wrong with the screen that speaks in a hall."""
    if speaker is None or not is_heard(speaker, now):
        return "away"
    return None if speaker.has_voice else "muted"


def tick(clinic: Clinic, zone: str) -> Speaker | None:
    """Go on where a speaker fell silent or a call grew too old; return the screen that speaks."""
    heard = clinic.db.read(lambda tx: rows.heard(tx, zone))
    if heard.open_ones:
        clinic.db.write(lambda tx: advance(tx, zone))
    return heard.speaker


def restart(tx: Tx, zone: str) -> None:
    """Let the new speaker begin anew what the old one did not finish, unless it is too old now."""
    for one in rows.open_ones(tx, zone):
        if one.state != "speaking":
            continue
        if tx.now - one.created_at > STALE_AFTER:
            rows.end(tx, one.id, "expired")
        else:
            rows.begin(tx, one.id)


def advance(tx: Tx, zone: str) -> None:
    """Drop what is too old, end what took too long, begin the next; idempotent."""
    go_on(tx, zone, rows.heard(tx, zone))


def go_on(tx: Tx, zone: str, heard: Heard) -> bool:
    """
    Do the same with what was read before.

    Returns:
        Whether the next one that comes may begin at once.
    """
    has_speaker = heard.speaker is not None and is_heard(heard.speaker, tx.now)
    is_busy = False
    for one in heard.open_ones:
        if one.state == "speaking":
            assert one.started_at is not None
            if abs(tx.now - one.started_at) < SPEAKING_LIMIT:
                is_busy = True
                continue
            rows.end(tx, one.id, "spoken")
        elif tx.now - one.created_at > STALE_AFTER:
            rows.end(tx, one.id, "expired")
        elif has_speaker and not is_busy:
            rows.begin(tx, one.id)
            is_busy = True
        else:
            continue
        tx.touch(speech_topic(zone))
    return has_speaker and not is_busy


def announce(clinic: Clinic, tx: Tx, ticket: Ticket, heard: Heard) -> None:
    """Put the call on the zone's list, unless it is being spoken or waits to be."""
    assert ticket.counter is not None
    others = []
    for one in heard.open_ones:
        if one.ticket_id == ticket.id and one.counter == ticket.counter:
            return
        if one.ticket_id == ticket.id and one.state == "queued":
            # Another counter called it and gave it back: nobody is sent there any more.
            rows.end(tx, one.id, "expired")
        else:
            others.append(one)
    language = clinic.settings.get("display.language")
    call = Call(ticket.number, ticket.prefix, ticket.sequence, ticket.counter, language)
    words = clinic.hooks.format_announcement(call, tx.now)
    rows.add(
        tx,
        ticket.zone,
        ticket.id,
        ticket.number,
        ticket.counter,
        words.number_text,
        words.direction_text,
        language,
        begins=go_on(tx, ticket.zone, Heard(others, heard.speaker)),
    )
    tx.touch(speech_topic(ticket.zone), line_topic(ticket.zone))
