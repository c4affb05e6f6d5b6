"""The plugin's own tables, as the migrations make them, and what every statement on them needs."""

import time

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from puskesmas_queue.plugin_tables import Instant

METADATA = MetaData()


PRINTERS = Table(
    "escpos_printer_printers",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("printer_id", String(16), primary_key=True),
    Column("name", String(40), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("address", String(160), nullable=False),
    Column("is_answering", Boolean, nullable=False),
    Column("width_mm", Integer, nullable=False),
    Column("code_page", String(12), nullable=False),
    Column("images", String(10), nullable=False),
    Column("cut", String(10), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("is_near_end", Boolean, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
PLACES = Table(
    "escpos_printer_places",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("place", String(10), primary_key=True),
    Column("place_name", String(80), primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("printer_id", String(16), nullable=False),
)
JOBS = Table(
    "escpos_printer_jobs",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("subject", String(40), primary_key=True),
    Column("job", String(64), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("number", String(12), nullable=False),
    Column("place", String(10), nullable=False),
    Column("place_name", String(80), nullable=False),
    Column("state", String(10), nullable=False),
    Column("printer_id", String(16), nullable=False),
    Column("printer_name", String(40), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("slip", Text, nullable=False),
    Column("is_settled", Boolean, nullable=False),
    Column("claim", String(32), nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
)
TURNS = Table(
    "escpos_printer_turns",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("address", String(180), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)


def now_ms() -> int:
    """
    Return the computer's time, milliseconds since 1970.

    Leases and ages of states are about what devices do: the clinic's own clock, which a demo
    moves, has nothing to do with them.
    """
    return time.time_ns() // 1_000_000
