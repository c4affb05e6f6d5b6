"""
Whether a hall can be heard: what staff are told while no screen speaks.

A heartbeat tells them only where it changes that. That a screen is heard of no more tells nobody:
the timers notice it, and then every process reads once who speaks.
"""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.services.speech import VoiceTrouble, is_heard, tick, trouble_of
from puskesmas_queue.services.topics import VOICES_TOPIC, speech_topic
from puskesmas_queue.storage import speech as rows


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


class VoiceWatch:
    """
    Goes on with the announcements of a clinic's halls, and tells when a screen fell silent.

    Args:
        clinic: Whose halls they are.
    """

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._lost: set[str] = set()

    def look(self, zone: str) -> None:
        """Go on in one hall; everybody is told where its speaker is lost, or is not any more."""
        speaker = tick(self._clinic, zone)
        is_lost = speaker is not None and not is_heard(speaker, self._clinic.clock.now())
        if is_lost == (zone in self._lost):
            return
        # The hall's other screens are told as well, so that one of them takes over at once.
        self._clinic.db.write(lambda tx: tx.touch(VOICES_TOPIC, speech_topic(zone)))
        if is_lost:
            self._lost.add(zone)
        else:
            self._lost.discard(zone)
