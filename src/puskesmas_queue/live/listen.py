"""Hears of commits of other processes through PostgreSQL's LISTEN."""

import logging
import threading
from typing import Any

import psycopg
from psycopg import sql

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.storage.transaction import channel

FIRST_RETRY_S, LAST_RETRY_S = 0.05, 2.0
"""A connection that broke is made anew at once; a server that is away is tried ever less often."""
ALIVE: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A machine that went dark says no goodbye: seconds, seconds, times."""
log = logging.getLogger(__name__)


class Listener:
    """
    A thread with a direct connection of its own, never through a pooler.

    It listens first and looks at all versions afterwards, so that nothing falls in between.
    """

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listen", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        url = self._clinic.db.engine.url.set(drivername="postgresql")
        address = url.render_as_string(hide_password=False)
        pause_s = FIRST_RETRY_S
        while not self._stop.is_set():
            try:
                with psycopg.connect(
                    address, autocommit=True, connect_timeout=5, **ALIVE
                ) as connection:
                    name = sql.Identifier(channel(self._clinic.id))
                    connection.execute(sql.SQL("LISTEN {}").format(name))
                    self._clinic.look()
                    pause_s = FIRST_RETRY_S
                    while not self._stop.is_set():
                        for notice in connection.notifies(timeout=1.0):
                            self._hear(notice.payload)
            except (psycopg.Error, StorageUnavailable) as error:
                log.warning("listening broke off: %s", error)
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, LAST_RETRY_S)

    def _hear(self, payload: str) -> None:
        topic, _, version = payload.rpartition(":")
        # Whoever may connect to the database may send here: what is not ours says nothing.
        if version.isdecimal():
            self._clinic.heard(topic, int(version))
