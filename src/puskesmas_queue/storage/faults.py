"""Faults of plugins, counted for the doctor."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import delete, or_, select

from puskesmas_queue.storage.tables import hook_faults
from puskesmas_queue.storage.transaction import Reading, Tx, upsert


class SeenFault(Protocol):
    """What the dispatcher reports."""

    @property
    def plugin(self) -> str: ...
    @property
    def hook(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def is_switched_off(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class FaultRow:
    """
    What went wrong in one hook of one plugin, and how: a row for each kind.

    `detail` is of the latest time.
    """

    plugin: str
    hook: str
    kind: str
    detail: str
    count: int
    first_at: datetime
    last_at: datetime
    is_switched_off: bool


def count(tx: Tx, seen: Sequence[SeenFault]) -> None:
    """Add faults to their rows."""
    latest = {(fault.plugin, fault.hook, fault.kind): fault for fault in seen}
    times = Counter((fault.plugin, fault.hook, fault.kind) for fault in seen)
    off = {(fault.plugin, fault.hook, fault.kind) for fault in seen if fault.is_switched_off}
    table = hook_faults
    for key in sorted(latest):
        fault = latest[key]
        statement = upsert(tx, table).values(
            clinic_id=tx.clinic_id,
            plugin=fault.plugin,
            hook=fault.hook,
            kind=fault.kind,
            detail=fault.detail,
            count=times[key],
            first_at=tx.now,
            last_at=tx.now,
            is_switched_off=key in off,
        )
        new = statement.excluded
        tx.conn.execute(
            statement.on_conflict_do_update(
                index_elements=["clinic_id", "plugin", "hook", "kind"],
                set_={
                    "detail": new.detail,
                    "count": table.c.count + new.count,
                    "last_at": new.last_at,
                    "is_switched_off": or_(table.c.is_switched_off, new.is_switched_off),
                },
            )
        )


def load(tx: Reading) -> list[FaultRow]:
    """Read all faults, latest first."""
    table = hook_faults
    rows = tx.conn.execute(
        select(table, table.c.count.label("times"))
        .where(table.c.clinic_id == tx.clinic_id)
        .order_by(table.c.last_at.desc(), table.c.plugin, table.c.hook, table.c.kind)
    )
    return [
        FaultRow(
            row.plugin,
            row.hook,
            row.kind,
            row.detail,
            row.times,
            row.first_at,
            row.last_at,
            row.is_switched_off,
        )
        for row in rows
    ]


def switched_off(tx: Reading) -> set[str]:
    """Name the plugins whose decisions are switched off."""
    table = hook_faults
    rows = tx.conn.execute(
        select(table.c.plugin).where(
            table.c.clinic_id == tx.clinic_id, table.c.is_switched_off.is_(True)
        )
    )
    return set(rows.scalars())


def clear(tx: Tx, plugin: str) -> set[str]:
    """Forget the faults of a plugin; return their hooks, none where there was no fault."""
    table = hook_faults
    mine = (table.c.clinic_id == tx.clinic_id, table.c.plugin == plugin)
    return set(tx.conn.execute(delete(table).where(*mine).returning(table.c.hook)).scalars())
