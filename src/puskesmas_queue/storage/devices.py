"""Rows of devices; codes and tokens are known by their hashes only."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from puskesmas_queue.domain.devices import Device, DeviceKind
from puskesmas_queue.storage.tables import devices
from puskesmas_queue.storage.transaction import Reading, Tx, insert_row

_COLUMNS = (
    devices.c.id,
    devices.c.kind,
    devices.c.name,
    devices.c.zone,
    devices.c.counter,
    devices.c.code_expires_at,
    devices.c.paired_at,
    devices.c.seen_at,
    devices.c.seen_address,
    devices.c.revoked_at,
)


def _device(row: Any) -> Device:
    values = {column.key: getattr(row, column.key) for column in _COLUMNS}
    return Device(**{**values, "kind": DeviceKind(values["kind"])})


def load(tx: Reading) -> tuple[Device, ...]:
    """Read all devices, by kind and name; revoked ones last."""
    rows = tx.conn.execute(
        select(*_COLUMNS)
        .where(devices.c.clinic_id == tx.clinic_id)
        .order_by(devices.c.revoked_at.is_not(None), devices.c.kind, devices.c.name, devices.c.id)
    )
    return tuple(_device(row) for row in rows)


def by_id(tx: Reading, device_id: int, *, lock: bool = False) -> Device | None:
    """Read one device."""
    return _one(tx, devices.c.id == device_id, lock)


def by_code(tx: Reading, code_hash: str) -> Device | None:
    """Read the device whose code this is, whether it is still good or not; locks it."""
    return _one(tx, devices.c.code_hash == code_hash, True)


def by_token(tx: Reading) -> dict[str, Device]:
    """Read all devices that have a token, by its hash."""
    rows = tx.conn.execute(
        select(devices.c.token_hash, *_COLUMNS).where(
            devices.c.clinic_id == tx.clinic_id, devices.c.token_hash.is_not(None)
        )
    )
    return {row.token_hash: _device(row) for row in rows}


def insert(tx: Tx, values: dict[str, object]) -> int:
    """Insert a device and return its id."""
    return insert_row(tx, devices, {**values, "created_at": tx.now})


def change(tx: Tx, device_id: int, **values: object) -> None:
    """Change columns of a device."""
    tx.conn.execute(
        update(devices)
        .where(devices.c.clinic_id == tx.clinic_id, devices.c.id == device_id)
        .values(**values)
    )


def saw(tx: Tx, device_id: int, at: datetime, address: str | None) -> None:
    """Note that a device was there at a moment, unless a later one is known."""
    tx.conn.execute(
        update(devices)
        .where(
            devices.c.clinic_id == tx.clinic_id,
            devices.c.id == device_id,
            devices.c.seen_at.is_(None) | (devices.c.seen_at < at),
        )
        .values(seen_at=at, seen_address=address)
    )


def _one(tx: Reading, condition: Any, lock: bool) -> Device | None:
    statement = select(*_COLUMNS).where(devices.c.clinic_id == tx.clinic_id, condition)
    row = tx.conn.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _device(row)
