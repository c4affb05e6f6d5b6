"""Zones and units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update

from puskesmas_queue.storage.tables import counter_units, counters, units, zones
from puskesmas_queue.storage.transaction import Reading, Tx


@dataclass(frozen=True, slots=True)
class Unit:
    """A service unit; `quota_per_day` is None where unlimited."""

    code: str
    name: str
    name_en: str
    icon: str
    zone: str
    queue_prefix: str
    room: str
    quota_per_day: int | None
    sort_order: int
    is_active: bool
    is_emergency: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """A hall with its own line, counters and screens."""

    code: str
    name: str


_COLUMNS = [units.c[name] for name in Unit.__dataclass_fields__]


def load(tx: Reading) -> list[Unit]:
    """Read all units in the order of the screens."""
    rows = tx.conn.execute(
        select(*_COLUMNS)
        .where(units.c.clinic_id == tx.clinic_id)
        .order_by(units.c.sort_order, units.c.code)
    )
    return [Unit(*row) for row in rows]


def load_zones(tx: Reading) -> list[Zone]:
    """Read all zones; the first is the default."""
    rows = tx.conn.execute(
        select(zones.c.code, zones.c.name)
        .where(zones.c.clinic_id == tx.clinic_id)
        .order_by(zones.c.sort_order, zones.c.code)
    )
    return [Zone(*row) for row in rows]


def change(tx: Tx, code: str, values: dict[str, Any]) -> None:
    """Change columns of one unit."""
    tx.conn.execute(
        update(units)
        .where(units.c.clinic_id == tx.clinic_id, units.c.code == code)
        .values(**values)
    )


def is_furnished(tx: Reading) -> bool:
    """Say whether the clinic has its first units."""
    return bool(
        tx.conn.execute(
            select(func.count()).select_from(units).where(units.c.clinic_id == tx.clinic_id)
        ).scalar_one()
    )


def furnish(tx: Tx, zone: Zone, new: Sequence[Unit], counter_numbers: Sequence[int]) -> None:
    """Put in a zone with its units and counters."""
    row = {"clinic_id": tx.clinic_id}
    tx.conn.execute(insert(zones), [{**row, "code": zone.code, "name": zone.name}])
    tx.conn.execute(
        insert(units),
        [
            {**row, "created_at": tx.now}
            | {name: getattr(unit, name) for name in Unit.__dataclass_fields__}
            for unit in new
        ],
    )
    tx.conn.execute(
        insert(counters),
        [{**row, "number": number, "zone": zone.code} for number in counter_numbers],
    )


def restrict_counter(tx: Tx, number: int, codes: Sequence[str]) -> None:
    """Let a counter take these units only; none lifts the restriction."""
    table = counter_units
    tx.conn.execute(
        table.delete().where(table.c.clinic_id == tx.clinic_id, table.c.counter == number)
    )
    if codes:
        tx.conn.execute(
            insert(table),
            [{"clinic_id": tx.clinic_id, "counter": number, "unit": code} for code in codes],
        )
