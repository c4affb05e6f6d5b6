"""Which process runs the timers."""

import zlib

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from puskesmas_queue.storage.engine import Database


class Leader:
    """
    Holds the leadership of one clinic's timers.

    SQLite has one server process, which leads. On PostgreSQL a session-level advisory lock says
    who does; it falls to another process when the connection of this one ends.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: Connection | None = None
        self._key = zlib.crc32(f"puskesmas_queue timers {db.clinic_id}".encode())

    def is_leading(self) -> bool:
        """Say whether this process leads, trying to where nobody does."""
        if self._db.dialect == "sqlite":
            return True
        try:
            if self._connection is None:
                options = {"isolation_level": "AUTOCOMMIT"}
                self._connection = self._db.engine.connect().execution_options(**options)
                got = self._connection.execute(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
                ).scalar_one()
                if not got:
                    self.resign()
                return bool(got)
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            self.resign()
            return False
        return True

    def resign(self) -> None:
        """Let another process lead."""
        if self._connection is not None:
            # The lock belongs to the connection: it must not go back into the pool with it.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
