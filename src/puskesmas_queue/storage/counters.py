"""Counters: who works there, and which units they may take."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, select, update

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

_WITH_UNITS = (
    select(*_COLUMNS, counter_units.c.unit)
    .select_from(
        counters.outerjoin(
            counter_units,
            and_(
                counter_units.c.clinic_id == counters.c.clinic_id,
                counter_units.c.counter == counters.c.number,
            ),
        )
    )
    .where(counters.c.clinic_id == bindparam("of_clinic"))
    .order_by(counter_units.c.unit)
)
_BY_NUMBER = _WITH_UNITS.where(counters.c.number == bindparam("of_what"))
_LOCK_BY_NUMBER = _BY_NUMBER.with_for_update(of=counters)
_BY_SESSION = _WITH_UNITS.where(counters.c.session_id == bindparam("of_what"))


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
    return _one(tx, _LOCK_BY_NUMBER if lock else _BY_NUMBER, number)


def by_session(tx: Reading, session_hash: str) -> Counter | None:
    """Read the counter that a session works at."""
    return _one(tx, _BY_SESSION, session_hash)


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


def _one(tx: Reading, statement: Select[Any], what: object) -> Counter | None:
    """Read one counter with its restrictions in one round trip."""
    found = tx.conn.execute(statement, {"of_clinic": tx.clinic_id, "of_what": what}).all()
    if not found:
        return None
    units = tuple(row.unit for row in found if row.unit is not None)
    own = {column.name: found[0]._mapping[column] for column in _COLUMNS}
    return Counter(**own, units=units)


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
