"""Hears of commits of other processes through PostgreSQL's LISTEN."""

import logging
import threading

import psycopg
from psycopg import sql

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.storage.transaction import channel

RETRY_S = 2.0
log = logging.getLogger(__name__)


class Listener:
    """
    A thread with a direct connection of its own, never through a pooler.

    It listens first and looks at all versions afterwards, so that nothing falls in between.
    """

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._stop = threading.Event()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
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
        while not self._stop.is_set():
            try:
                with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
                    name = sql.Identifier(channel(self._clinic.id))
                    connection.execute(sql.SQL("LISTEN {}").format(name))
                    self._clinic.look()
                    while not self._stop.is_set():
                        for notice in connection.notifies(timeout=1.0):
                            topic, _, version = notice.payload.rpartition(":")
                            self._clinic.heard(topic, int(version))
            except (psycopg.Error, StorageUnavailable) as error:
                log.warning("listening broke off: %s", error)
                self._stop.wait(RETRY_S)
