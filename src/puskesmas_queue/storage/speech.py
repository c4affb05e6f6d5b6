"""Announcements in their order, and the screen that speaks them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from puskesmas_queue.storage.round_trips import Rows, moment
from puskesmas_queue.storage.tables import ANNOUNCING_SQL, announcements
from puskesmas_queue.storage.transaction import Reading, Tx


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


@dataclass(frozen=True, slots=True)
class Heard:
    """What is spoken in a zone or waits to be, in order, and the screen that speaks."""

    open_ones: Sequence[Announced]
    speaker: Speaker | None


_COLUMNS = [announcements.c[field.name] for field in fields(Announced)]
_SELECT = f"SELECT {', '.join(column.name for column in _COLUMNS)} FROM announcements"
OPEN = f"{_SELECT} WHERE {ANNOUNCING_SQL} AND clinic_id = :clinic_id AND zone ="
"""What is spoken or waits to be; a zone comes behind it."""
_OPEN_IN_ZONE = text(f"{OPEN} :zone ORDER BY id")
_SPEAKER = text(
    "SELECT screen, has_voice, seen_at FROM speakers WHERE clinic_id = :clinic_id AND zone = :zone"
)
_ADD = {
    dialect: text(
        f"INSERT INTO announcements (clinic_id, {own}zone, ticket_id, number, counter, "
        "number_text, direction_text, language, state, created_at, started_at) "
        f"VALUES (:clinic_id, {drawn}:zone, :ticket_id, :number, :counter, :number_text, "
        ":direction_text, :language, :state, :created_at, :started_at)"
    )
    for dialect, own, drawn in (
        # SQLite has no sequences; its one writer takes the next number.
        (
            "sqlite",
            "id, ",
            "(SELECT coalesce(max(id), 0) + 1 FROM announcements WHERE clinic_id = :clinic_id), ",
        ),
        ("postgresql", "", ""),
    )
}
# Another transaction may have ended one while this one waited for its row.
_STILL_OPEN = f"WHERE clinic_id = :clinic_id AND id = :id AND {ANNOUNCING_SQL}"
_BEGIN = text(f"UPDATE announcements SET state = 'speaking', started_at = :now {_STILL_OPEN}")
_END = text(f"UPDATE announcements SET state = :state, ended_at = :now {_STILL_OPEN}")
_DROP_QUEUED = text(
    "UPDATE announcements SET state = 'expired', ended_at = :now WHERE clinic_id = :clinic_id "
    f"AND ticket_id = :ticket AND {ANNOUNCING_SQL} AND state = 'queued'"
)
_APPOINT = text(
    "INSERT INTO speakers (clinic_id, zone, screen, has_voice, seen_at) "
    "VALUES (:clinic_id, :zone, :screen, :has_voice, :now) ON CONFLICT (clinic_id, zone) "
    "DO UPDATE SET screen = excluded.screen, has_voice = excluded.has_voice, "
    "seen_at = excluded.seen_at"
)
_DISMISS = text("DELETE FROM speakers WHERE clinic_id = :clinic_id AND zone = :zone")


def add(
    tx: Tx,
    zone: str,
    ticket_id: int,
    number: str,
    counter: int,
    number_text: str,
    direction_text: str,
    language: str,
    *,
    begins: bool,
) -> None:
    """Put an announcement at the end of its zone's list; it may begin to be spoken at once."""
    values = {
        "clinic_id": tx.clinic_id,
        "zone": zone,
        "ticket_id": ticket_id,
        "number": number,
        "counter": counter,
        "number_text": number_text,
        "direction_text": direction_text,
        "language": language,
        "state": "speaking" if begins else "queued",
        "created_at": tx.now,
        "started_at": tx.now if begins else None,
    }
    tx.later(_ADD[tx.dialect], values)


def heard(tx: Reading, zone: str) -> Heard:
    """Read what is spoken or waits to be, and who speaks."""
    of = {"clinic_id": tx.clinic_id, "zone": zone}
    return heard_of(*tx.ask((_OPEN_IN_ZONE, of), (_SPEAKER, of)))


def heard_of(open_ones: Rows, speakers: Rows) -> Heard:
    """Make it of the rows of both questions."""
    return Heard([_announced(row) for row in open_ones], _speaker_of(speakers))


def speaker(tx: Reading, zone: str) -> Speaker | None:
    """Read who speaks."""
    (found,) = tx.ask((_SPEAKER, {"clinic_id": tx.clinic_id, "zone": zone}))
    return _speaker_of(found)


def open_ones(tx: Reading, zone: str) -> Sequence[Announced]:
    """Read what is spoken or waits to be, in order."""
    return heard(tx, zone).open_ones


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
    tx.later(_BEGIN, {"clinic_id": tx.clinic_id, "id": announcement_id, "now": tx.now})


def end(tx: Tx, announcement_id: int, state: str) -> None:
    """Mark one as `spoken` or `expired`."""
    of = {"clinic_id": tx.clinic_id, "id": announcement_id}
    tx.later(_END, {**of, "state": state, "now": tx.now})


def drop_queued(tx: Tx, ticket_id: int) -> None:
    """Drop what waits to be spoken of a ticket; what is being spoken comes to its end."""
    tx.later(_DROP_QUEUED, {"clinic_id": tx.clinic_id, "ticket": ticket_id, "now": tx.now})


def appoint(tx: Tx, zone: str, screen: str, has_voice: bool) -> None:
    """Let this screen speak, or note that it was heard of."""
    values = {"zone": zone, "screen": screen, "has_voice": has_voice}
    tx.later(_APPOINT, {"clinic_id": tx.clinic_id, "now": tx.now, **values})


def dismiss(tx: Tx, zone: str) -> None:
    """Let nobody speak in a zone until a screen is heard of."""
    tx.later(_DISMISS, {"clinic_id": tx.clinic_id, "zone": zone})


def _speaker_of(found: Rows) -> Speaker | None:
    for screen, has_voice, seen_at in found:
        return Speaker(screen, bool(has_voice), moment(seen_at))
    return None


def _announced(row: Sequence[Any]) -> Announced:
    values = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    values |= {
        "created_at": moment(values["created_at"]),
        "started_at": moment(values["started_at"]),
    }
    return Announced(**values)
