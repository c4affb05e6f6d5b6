"""
What is done while nobody is called: new sounds are stored, likely calls are spoken in advance.

One thread, which does little: after each sound it rests for several times as long as that took,
and it does nothing as long as somebody is called or was just now.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from puskesmas_queue.api import PluginDataUnavailable
from puskesmas_queue_tts.engine import EngineFailed, TextRefused
from puskesmas_queue_tts.sounds import Sounds

QUIET_S = 2.0
"""After a call nothing is spoken in advance for so long."""
REST_TIMES = 4.0
"""It works for a fifth of the time at most."""
SHORTEST_REST_S = 0.2
AFTER_FAILURE_S = 15.0
MOST_WAITING = 64
"""Sounds that wait to be stored, some MB; what comes on top is made anew another time."""
MOST_WISHES = 600
FULFILLED_S = 1800.0
"""What was spoken in advance is not looked at again for so long."""
STOP_S = 3.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """
    A half of a call that will be wanted.

    Args:
        text: As the core words it.
        language: `id` or `en`.
        zone: The hall, whose speed counts.
    """

    text: str
    language: str
    zone: str


class Background:
    """
    The thread of one clinic.

    Args:
        sounds: Where new sounds are stored.
        is_quiet: Says whether nobody was spoken to for so many seconds.
        speak: Speaks a wish and keeps it; says whether there was anything to do.
    """

    def __init__(
        self,
        sounds: Sounds,
        is_quiet: Callable[[float], bool],
        speak: Callable[[Wish], bool],
    ) -> None:
        self._sounds = sounds
        self._is_quiet = is_quiet
        self._speak = speak
        self._errands: queue.Queue[Callable[[], None]] = queue.Queue(MOST_WAITING)
        self._wishes: deque[Wish] = deque()
        self._fulfilled: dict[Wish, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tts-background", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Begin nothing more; what waits to be stored is made anew another time."""
        self._ended.set()
        self.soon(lambda: None)  # wakes it

    def stop(self) -> None:
        """End, and wait for what is being done."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def keep(self, key: str, sound: bytes) -> None:
        """Store a sound soon."""
        self.soon(lambda: self._sounds.keep(key, sound))

    def soon(self, errand: Callable[[], None]) -> None:
        """Do something short soon; where too much waits already it is not done."""
        try:
            self._errands.put_nowait(errand)
        except queue.Full:
            log.debug("voice: too much waits to be stored")

    def wish(self, wishes: Iterable[Wish]) -> None:
        """Speak these in advance, after earlier wishes: who came first is called first."""
        long_ago = time.monotonic() - FULFILLED_S
        with self._lock:
            self._fulfilled = {one: at for one, at in self._fulfilled.items() if at > long_ago}
            wanted = dict.fromkeys([*self._wishes, *wishes])
            left = [wish for wish in wanted if wish not in self._fulfilled]
            self._wishes = deque(left[:MOST_WISHES])

    def forget(self) -> None:
        """Look again at what was spoken in advance: it would sound otherwise now."""
        with self._lock:
            self._fulfilled.clear()

    def drop_wishes(self) -> None:
        """Speak nothing more in advance."""
        with self._lock:
            self._wishes.clear()

    def waits_for(self, wish: Wish) -> bool:
        """Say whether a wish is left."""
        with self._lock:
            return wish in self._wishes

    @property
    def waiting(self) -> int:
        """How many wishes are left."""
        return len(self._wishes)

    def _run(self) -> None:
        rest_s = SHORTEST_REST_S
        while not self._ended.is_set():
            try:
                self._do(self._errands.get(timeout=rest_s))
                continue
            except queue.Empty:
                pass
            rest_s = self._advance()

    def _do(self, errand: Callable[[], None]) -> None:
        try:
            errand()
        except (OSError, PluginDataUnavailable, SQLAlchemyError) as error:
            log.warning("voice: %s", error)

    def _advance(self) -> float:
        """Speak one wish; return how long to rest, seconds."""
        if not self._wishes or not self._is_quiet(QUIET_S):
            return SHORTEST_REST_S
        with self._lock:
            wish = self._wishes.popleft()
        begin = time.monotonic()
        try:
            is_new = self._speak(wish)
            with self._lock:
                self._fulfilled[wish] = time.monotonic()
            if not is_new:
                return 0.0
        except TextRefused as error:
            log.debug("voice: %s is never spoken: %s", wish.text, error)
        except EngineFailed as error:
            log.debug("voice: %s is not spoken in advance: %s", wish.text, error)
            with self._lock:
                self._wishes.append(wish)
            return AFTER_FAILURE_S
        return max(SHORTEST_REST_S, REST_TIMES * (time.monotonic() - begin))
