"""Announcements in their order, and the screen that speaks them."""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import bindparam, select, text, update

from puskesmas_queue.storage.tables import ANNOUNCING_SQL, announcements, speakers
from puskesmas_queue.storage.transaction import Reading, Tx, insert_row, upsert


@dataclass(frozen=True, slots=True)
class Announced:
    """One announcement; `state` is queued, speaking, spoken or expired."""

    id: int
    zone: str
    ticket_id: int
    number: str
    counter: int
    number_text: str
    direction_text: str
    language: str
    state: str
    created_at: datetime
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Speaker:
    """The screen that speaks in a zone."""

    screen: str
    has_voice: bool
    seen_at: datetime


_COLUMNS = [announcements.c[field.name] for field in fields(Announced)]
_OPEN = (
    select(*_COLUMNS)
    .where(
        announcements.c.clinic_id == bindparam("of_clinic"),
        announcements.c.zone == bindparam("of_zone"),
        text(ANNOUNCING_SQL),
    )
    .order_by(announcements.c.id)
)


def add(
    tx: Tx,
    zone: str,
    ticket_id: int,
    number: str,
    counter: int,
    number_text: str,
    direction_text: str,
    language: str,
) -> int:
    """Put an announcement at the end of its zone's list and return its id."""
    return insert_row(
        tx,
        announcements,
        {
            "zone": zone,
            "ticket_id": ticket_id,
            "number": number,
            "counter": counter,
            "number_text": number_text,
            "direction_text": direction_text,
            "language": language,
            "state": "queued",
            "created_at": tx.now,
        },
    )


def open_ones(tx: Reading, zone: str) -> list[Announced]:
    """Read what is spoken or waits to be, in order."""
    rows = tx.conn.execute(_OPEN, {"of_clinic": tx.clinic_id, "of_zone": zone})
    return [Announced(*row) for row in rows]


def latest(tx: Reading, limit: int) -> list[Announced]:
    """Read the latest announcements of all zones, newest first."""
    rows = tx.conn.execute(
        select(*_COLUMNS)
        .where(announcements.c.clinic_id == tx.clinic_id)
        .order_by(announcements.c.id.desc())
        .limit(limit)
    )
    return [Announced(*row) for row in rows]


def by_id(tx: Reading, announcement_id: int) -> Announced | None:
    """Read one announcement."""
    row = tx.conn.execute(
        select(*_COLUMNS).where(
            announcements.c.clinic_id == tx.clinic_id, announcements.c.id == announcement_id
        )
    ).one_or_none()
    return None if row is None else Announced(*row)


def begin(tx: Tx, announcement_id: int) -> None:
    """Mark one as being spoken from now on."""
    _change(tx, announcement_id, {"state": "speaking", "started_at": tx.now})


def end(tx: Tx, announcement_id: int, state: str) -> None:
    """Mark one as `spoken` or `expired`."""
    _change(tx, announcement_id, {"state": state, "ended_at": tx.now})


def drop_queued(tx: Tx, ticket_id: int) -> None:
    """Drop what waits to be spoken of a ticket; what is being spoken comes to its end."""
    tx.conn.execute(
        update(announcements)
        .where(
            announcements.c.clinic_id == tx.clinic_id,
            announcements.c.ticket_id == ticket_id,
            text(ANNOUNCING_SQL),
            text("state = 'queued'"),
        )
        .values(state="expired", ended_at=tx.now)
    )


def speaker(tx: Reading, zone: str) -> Speaker | None:
    """Read which screen speaks in a zone."""
    row = tx.conn.execute(
        select(speakers.c.screen, speakers.c.has_voice, speakers.c.seen_at).where(
            speakers.c.clinic_id == tx.clinic_id, speakers.c.zone == zone
        )
    ).one_or_none()
    return None if row is None else Speaker(*row)


def appoint(tx: Tx, zone: str, screen: str, has_voice: bool) -> None:
    """Let this screen speak, or note that it was heard of."""
    values = {"screen": screen, "has_voice": has_voice, "seen_at": tx.now}
    tx.conn.execute(
        upsert(tx, speakers)
        .values(clinic_id=tx.clinic_id, zone=zone, **values)
        .on_conflict_do_update(index_elements=["clinic_id", "zone"], set_=values)
    )


def _change(tx: Tx, announcement_id: int, values: dict[str, object]) -> None:
    tx.conn.execute(
        update(announcements)
        .where(
            announcements.c.clinic_id == tx.clinic_id,
            announcements.c.id == announcement_id,
            # Another transaction may have ended it while this one waited for the row.
            text(ANNOUNCING_SQL),
        )
        .values(**values)
    )
