"""Connections: reading a database's address and making its engine."""

import sqlite3
from typing import Any

from sqlalchemy import (
    Engine,
    create_engine,
    event,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from puskesmas_queue.domain.errors import SetupError

BUSY_TIMEOUT_MS = 5_000
POOL_SIZE = 12
"""Connections of one process to PostgreSQL; more only queue on the same row locks."""


def parse_url(url: str) -> URL:
    """
    Read a database address as everybody writes it.

    Raises:
        SetupError: Neither `sqlite:///file` nor `postgresql://…`.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SetupError(f'database.url "{url}" is not an address') from error
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if not parsed.database:
            raise SetupError("database.url names no database: postgresql://user@host/name")
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise SetupError(
        "database.url must be sqlite:///path/to/file.db or postgresql://user@host/name"
    )


def make_engine(
    url: str, *, pooler: bool = False, pool_size: int = POOL_SIZE, wait_s: float = 10
) -> Engine:
    """
    Make the engine for an address.

    Args:
        url: See `parse_url`.
        pooler: PostgreSQL is reached through PgBouncer, which cannot keep prepared statements.
        pool_size: Connections to PostgreSQL that are kept; a third more may be made.
        wait_s: How long to wait for one of them, seconds.
    """
    parsed = parse_url(url)
    if parsed.drivername == "sqlite":
        engine = create_engine(
            parsed, connect_args={"check_same_thread": False}, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    arguments: dict[str, Any] = {"connect_timeout": 5, "application_name": "puskesmas-queue"}
    if pooler:
        arguments["prepare_threshold"] = None
    return create_engine(
        parsed,
        connect_args=arguments,
        pool_size=pool_size,
        max_overflow=-(-pool_size // 3),
        pool_timeout=wait_s,
        # Values of rows are nothing for a log.
        hide_parameters=True,
    )


def _prepare_sqlite(driver: sqlite3.Connection, record: object) -> None:
    driver.isolation_level = None
    cursor = driver.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.close()
