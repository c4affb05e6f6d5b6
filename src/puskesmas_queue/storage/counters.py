"""Counters: who works there, and which units they may take."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, text, update

from puskesmas_queue.storage.round_trips import Rows, locking
from puskesmas_queue.storage.tables import counter_units, counters
from puskesmas_queue.storage.transaction import Reading, Tx


@dataclass(frozen=True, slots=True)
class Counter:
    """
    A counter; `state` is open, paused or closed.

    `units` are the codes it is restricted to, empty for all.
    """

    number: int
    zone: str
    state: str
    session_id: str | None
    user_id: int | None
    user_name: str | None
    units: tuple[str, ...]


_COLUMNS = [
    counters.c[name] for name in ("number", "zone", "state", "session_id", "user_id", "user_name")
]
WITH_UNITS = (
    f"SELECT {', '.join(f'counters.{column.name}' for column in _COLUMNS)}, counter_units.unit "
    "FROM counters LEFT JOIN counter_units ON counter_units.clinic_id = counters.clinic_id "
    "AND counter_units.counter = counters.number "
)
_OF_CLINIC = f"{WITH_UNITS}WHERE counters.clinic_id = :clinic_id"
_BY_NUMBER = f"{_OF_CLINIC} AND counters.number = :counter ORDER BY counter_units.unit"
_READ_BY_NUMBER = text(_BY_NUMBER)
_LOCK_BY_NUMBER = locking(_BY_NUMBER, of="counters")
_BY_SESSION = text(f"{_OF_CLINIC} AND counters.session_id = :session ORDER BY counter_units.unit")


def load(tx: Reading, zone: str | None = None) -> list[Counter]:
    """Read the counters of a zone, or all, by number."""
    statement = select(*_COLUMNS).where(counters.c.clinic_id == tx.clinic_id)
    if zone is not None:
        statement = statement.where(counters.c.zone == zone)
    rows = tx.conn.execute(statement.order_by(counters.c.number))
    restricted = _restrictions(tx)
    return [_counter(row, restricted) for row in rows]


def by_number(tx: Reading, number: int, *, lock: bool = False) -> Counter | None:
    """Read one counter; with `lock` nobody else changes it until this transaction ends."""
    statement = _LOCK_BY_NUMBER[tx.dialect] if lock else _READ_BY_NUMBER
    (rows,) = tx.ask((statement, {"clinic_id": tx.clinic_id, "counter": number}))
    return counter_of(rows)


def by_session(tx: Reading, session_hash: str) -> Counter | None:
    """Read the counter that a session works at."""
    (rows,) = tx.ask((_BY_SESSION, {"clinic_id": tx.clinic_id, "session": session_hash}))
    return counter_of(rows)


def by_holder(tx: Reading, prefix: str) -> list[Counter]:
    """Read the counters whose session begins so, by zone and number."""
    statement = select(*_COLUMNS).where(
        counters.c.clinic_id == tx.clinic_id, counters.c.session_id.startswith(prefix)
    )
    found = tx.conn.execute(statement.order_by(counters.c.zone, counters.c.number)).all()
    restricted = _restrictions(tx) if found else {}
    return [_counter(row, restricted) for row in found]


def change(tx: Tx, number: int, **values: Any) -> None:
    """Change columns of a counter."""
    tx.conn.execute(
        update(counters)
        .where(counters.c.clinic_id == tx.clinic_id, counters.c.number == number)
        .values(changed_at=tx.now, **values)
    )


def counter_of(rows: Rows) -> Counter | None:
    """Make a counter of its rows, one for each unit that it is restricted to."""
    if not rows:
        return None
    own = dict(zip((column.name for column in _COLUMNS), rows[0], strict=False))
    return Counter(**own, units=tuple(row[-1] for row in rows if row[-1] is not None))


def _counter(row: Row[Any], restricted: dict[int, list[str]]) -> Counter:
    return Counter(**row._asdict(), units=tuple(restricted.get(row.number, ())))


def _restrictions(tx: Reading) -> dict[int, list[str]]:
    statement = (
        select(counter_units.c.counter, counter_units.c.unit)
        .where(counter_units.c.clinic_id == tx.clinic_id)
        .order_by(counter_units.c.unit)
    )
    found: dict[int, list[str]] = {}
    for row in tx.conn.execute(statement):
        found.setdefault(row.counter, []).append(row.unit)
    return found
