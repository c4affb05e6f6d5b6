"""
Our server with `synchronous=NORMAL`, to learn what durability costs. For this benchmark only.

The product has no such switch: a ticket that was given must be there after a power cut.
"""

import sqlite3
import sys

from puskesmas_queue.cli import main
from puskesmas_queue.storage import connect

_prepare = connect._prepare_sqlite


def _prepare_normal(driver: sqlite3.Connection, record: object) -> None:
    _prepare(driver, record)
    driver.execute("PRAGMA synchronous = NORMAL")


if __name__ == "__main__":
    connect._prepare_sqlite = _prepare_normal
    sys.argv[0] = "puskesmas-queue"
    main()
