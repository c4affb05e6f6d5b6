"""
Whether a hall can be heard: what staff are told while no screen speaks.

The screens' heartbeats tell nobody, since they come every few seconds; the timers notice when a
hall falls silent or is heard again, and then every process reads once who speaks.
"""

from datetime import datetime
from typing import Literal

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.services.speech import is_heard, tick
from puskesmas_queue.services.topics import VOICES_TOPIC, speech_topic
from puskesmas_queue.storage import speech as rows
from puskesmas_queue.storage.speech import Speaker

VoiceTrouble = Literal["away", "muted"]
"""`away`: no screen is heard of. `muted`: those that are have no sound."""


def voice_trouble(clinic: Clinic, zone: str) -> VoiceTrouble | None:
    """Return why a hall hears no call; None where it does, or where the clinic wants no voice."""
    if not clinic.settings.get("display.voice"):
        return None
    return clinic.remembered(
        f"voice:{zone}",
        VOICES_TOPIC,
        0.0,
        lambda: clinic.db.read(lambda tx: trouble_of(rows.speaker(tx, zone), tx.now)),
    )


def trouble_of(speaker: Speaker | None, now: datetime) -> VoiceTrouble | None:
    """Say what is wrong with the screen that speaks in a hall."""
    if speaker is None or not is_heard(speaker, now):
        return "away"
    return None if speaker.has_voice else "muted"


class VoiceWatch:
    """
    Goes on with the announcements of a clinic's halls, and tells when one falls silent.

    Args:
        clinic: Whose halls they are.
    """

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._told: dict[str, VoiceTrouble | None] = {}

    def look(self, zone: str) -> None:
        """Go on in one hall; staff are told where it is not as it was."""
        trouble = trouble_of(tick(self._clinic, zone), self._clinic.clock.now())
        # What the leader before this one told is not known: once more does no harm.
        if zone not in self._told or self._told[zone] != trouble:
            # The hall's other screens are told as well, so that one of them takes over at once.
            self._clinic.db.write(lambda tx: tx.touch(VOICES_TOPIC, speech_topic(zone)))
            self._told[zone] = trouble
