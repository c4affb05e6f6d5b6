"""What the clinic set for its voices, and the words that each voice is given."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue_tts import pronunciation, words, zones
from puskesmas_queue_tts.engine import TextRefused
from puskesmas_queue_tts.pronunciation import Pronunciation
from puskesmas_queue_tts.refusal import Unspeakable
from puskesmas_queue_tts.zones import ZoneVoice

FRESH_S = 2.0
"""Another process of the clinic may have changed the tables; they are read again after so long."""
log = logging.getLogger(__name__)


class Tables:
    """
    What the clinic set, as it was read lately: a call waits for no table that is slow.

    Args:
        later: Does something on another thread, soon; not at all where too much waits there.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        later: Callable[[Callable[[], None]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._later = later
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._words = Pronunciation({})
        self._zones: dict[str, ZoneVoice] = {}

    def refresh(self, ctx: Context) -> None:
        """
        Read them anew where that was long ago; what was known stays where they cannot be read.

        What was never read, or was changed by this process, is read at once; else what was known
        counts until it was read.
        """
        with self._lock:
            is_known = self._read_at is not None
            if self._read_at is not None and self._clock() - self._read_at < FRESH_S:
                return
            self._read_at = self._clock()
        if is_known:
            self._later(partial(self._read, ctx))
        else:
            self._read(ctx)

    def forget(self) -> None:
        """Read them anew at the next look: something was changed."""
        with self._lock:
            self._read_at = None

    def _read(self, ctx: Context) -> None:
        try:
            self._words = pronunciation.load(ctx)
            self._zones = {one.zone: one for one in zones.load(ctx)}
        except (PluginDataUnavailable, SQLAlchemyError) as error:
            log.warning("voice: the tables of this clinic cannot be read: %s", error)

    @property
    def words(self) -> Pronunciation:
        """How words are pronounced."""
        return self._words

    def zone(self, code: str) -> ZoneVoice:
        """Return how a hall is spoken to."""
        return self._zones.get(code) or ZoneVoice(code)

    def worded(self, engine: str, text: str, language: str) -> str:
        """
        Return a half of a call or a sentence as an engine is asked to speak it.

        Args:
            engine: Its name; empty for what people read.
            text: As it was written.
            language: `id` or `en`.

        Raises:
            TextRefused: It cannot be spoken.
        """
        entries = self._words.entries(language, engine)
        letters = pronunciation.letters(language, engine)
        try:
            return words.speak(text, language, "page", entries, letters)
        except Unspeakable as error:
            raise TextRefused(str(error)) from error
