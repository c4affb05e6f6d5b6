"""
Devices: pairing by a one-time code, finding one by its token, revoking.

An administrator makes the device and reads its code out; whoever stands at the machine types it,
and the machine is given a token that is kept nowhere else.

Source: security rules, "Devices".
"""

import secrets
from dataclasses import dataclass, replace

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.devices import (
    CODE_LIFETIME,
    MAX_NAME,
    Device,
    DeviceKind,
    DeviceState,
)
from puskesmas_queue.domain.errors import CodeExpired, InvalidRequest, NotFound, UnknownName
from puskesmas_queue.domain.tickets import new_code
from puskesmas_queue.services.sessions import hash_token
from puskesmas_queue.storage import counters, units
from puskesmas_queue.storage import devices as rows
from puskesmas_queue.storage.transaction import Tx

DEVICES_TOPIC = "devices"
"""Given a new version when a device was paired, changed or revoked."""


@dataclass(frozen=True, slots=True)
class WaitingDevice:
    """A device that waits for its code; `code` is shown once and kept nowhere."""

    device: Device
    code: str


@dataclass(frozen=True, slots=True)
class PairedDevice:
    """A device that was paired just now; `token` is for that machine and kept nowhere else."""

    device: Device
    token: str


def all_devices(clinic: Clinic) -> tuple[Device, ...]:
    """Return all devices, by kind and name; revoked ones last."""
    return tuple(_as_seen(clinic, device) for device in clinic.db.read(rows.load))


def find_device(clinic: Clinic, device_id: int) -> Device:
    """
    Return one device, even a revoked one.

    Raises:
        NotFound: There is none with this id.
    """
    device = clinic.db.read(lambda tx: rows.by_id(tx, device_id))
    if device is None:
        raise NotFound(f"no device {device_id}")
    return _as_seen(clinic, device)


def add_device(
    clinic: Clinic,
    kind: DeviceKind,
    name: str,
    actor: Actor,
    *,
    zone: str,
    counter: int | None = None,
) -> WaitingDevice:
    """
    Make a device that waits to be paired.

    Args:
        clinic: The clinic.
        kind: What it is for.
        name: What staff call it, "Kiosk pintu depan".
        actor: Who asks.
        zone: The hall that it stands in; a counter's own hall counts in its place.
        counter: The counter that it is fixed to; for kind `counter` only, and needed there.

    Raises:
        InvalidRequest: The name is empty or too long, or kind and counter do not go together.
        UnknownName: No such zone.
        NotFound: No such counter.
    """
    name = _checked_name(name)
    if (kind is DeviceKind.COUNTER) != (counter is not None):
        raise InvalidRequest("a counter device, and no other, has the number of a counter")

    def run(tx: Tx) -> WaitingDevice:
        place = zone
        if counter is not None:
            found = counters.by_number(tx, counter)
            if found is None:
                raise NotFound(f"no counter {counter}")
            place = found.zone
        elif all(one.code != zone for one in units.load_zones(tx)):
            raise UnknownName("zone", zone)
        values = {"kind": kind.value, "name": name, "zone": place, "counter": counter}
        device_id = rows.insert(tx, {**values, "created_by": actor.id})
        tx.audit("add_device", actor=actor, table="devices", record=device_id, new=values)
        return _with_code(tx, device_id)

    return clinic.db.write(run)


def rename_device(clinic: Clinic, device_id: int, name: str, actor: Actor) -> None:
    """
    Call a device something else.

    Raises:
        NotFound: No such device, or it was revoked.
        InvalidRequest: The name is empty or too long.
    """
    name = _checked_name(name)

    def run(tx: Tx) -> None:
        before = _locked(tx, device_id)
        if before.name == name:
            return
        rows.change(tx, device_id, name=name)
        tx.audit(
            "rename_device",
            actor=actor,
            table="devices",
            record=device_id,
            old={"name": before.name},
            new={"name": name},
        )
        tx.touch(DEVICES_TOPIC)

    clinic.db.write(run)


def renew_code(clinic: Clinic, device_id: int, actor: Actor) -> WaitingDevice:
    """
    Give a device a new code: to pair it, or to pair another machine in its place.

    The machine that was paired goes on until the code was used.

    Raises:
        NotFound: No such device, or it was revoked.
    """

    def run(tx: Tx) -> WaitingDevice:
        _locked(tx, device_id)
        tx.audit("renew_device_code", actor=actor, table="devices", record=device_id)
        return _with_code(tx, device_id)

    return clinic.db.write(run)


def pair(clinic: Clinic, code: str, actor: Actor) -> PairedDevice:
    """
    Pair the machine that asks; a machine that was paired under this name is one no more.

    A code that is not good is audited, without what was typed.

    Args:
        clinic: The clinic.
        code: As typed; case, spaces and dashes do not matter.
        actor: The machine that asks.

    Raises:
        CodeExpired: It came too late.
        NotFound: No device waits for this code.
    """
    typed = tidy_code(code)
    token = secrets.token_urlsafe(32)

    def run(tx: Tx) -> PairedDevice | Device | None:
        found = rows.by_code(tx, hash_token(typed))
        if found is None or found.state(tx.now) is not DeviceState.WAITING:
            # Told by what is returned: raising here would take the audit back.
            record = None if found is None else found.id
            tx.audit("pairing_refused", actor=actor, table="devices", record=record)
            return found
        rows.change(
            tx,
            found.id,
            code_hash=None,
            code_expires_at=None,
            token_hash=hash_token(token),
            paired_at=tx.now,
            seen_at=tx.now,
            seen_address=actor.address,
        )
        tx.audit("pair_device", actor=actor, table="devices", record=found.id)
        tx.touch(DEVICES_TOPIC)
        return PairedDevice(_locked(tx, found.id), token)

    paired = clinic.db.write(run)
    if paired is None:
        raise NotFound("no device waits for this code")
    if isinstance(paired, Device):
        raise CodeExpired("this code was not typed in time")
    return paired


def tidy_code(text: str) -> str:
    """Write a code as it was made, however it was typed."""
    return "".join(text.upper().replace("-", "").split())


def device_of(clinic: Clinic, token: str) -> Device | None:
    """
    Return the device whose token this is, None where there is none any more.

    All tokens' hashes are remembered until a device changes: a kiosk's request costs no query.
    """
    known = clinic.remembered("devices", DEVICES_TOPIC, 0.0, lambda: clinic.db.read(rows.by_token))
    return known.get(hash_token(token))


def saw_device(clinic: Clinic, device: Device, address: str | None) -> None:
    """Note that a device is there; written later, so that no request waits for it."""
    clinic.sightings[device.id] = (clinic.clock.now(), address)


def write_sightings(clinic: Clinic) -> None:
    """Write when the devices of this process were last there. For the timer, once a minute."""
    sightings, clinic.sightings = clinic.sightings, {}
    # A copy: a request that began before may still add to it.
    seen = dict(sightings)

    def run(tx: Tx) -> None:
        # In one order, since another process may write the same devices.
        for device_id, (at, address) in sorted(seen.items()):
            rows.saw(tx, device_id, at, address)

    if seen:
        clinic.db.write(run)


def revoke_device(clinic: Clinic, device_id: int, actor: Actor) -> None:
    """
    Take a device's token away; it goes dark at once.

    Raises:
        NotFound: No such device, or it was revoked before.
    """

    def run(tx: Tx) -> None:
        _locked(tx, device_id)
        rows.change(
            tx,
            device_id,
            code_hash=None,
            code_expires_at=None,
            token_hash=None,
            revoked_at=tx.now,
        )
        tx.audit("revoke_device", actor=actor, table="devices", record=device_id)
        tx.touch(DEVICES_TOPIC)

    clinic.db.write(run)


def _checked_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a device has a name of 1 to {MAX_NAME} characters")
    return name


def _as_seen(clinic: Clinic, device: Device) -> Device:
    """Add what this process saw of a device and has not written yet."""
    at, address = clinic.sightings.get(device.id, (None, None))
    if at is None or (device.seen_at is not None and at <= device.seen_at):
        return device
    return replace(device, seen_at=at, seen_address=address)


def _with_code(tx: Tx, device_id: int) -> WaitingDevice:
    code = new_code()
    expires_at = tx.now + CODE_LIFETIME
    rows.change(tx, device_id, code_hash=hash_token(code), code_expires_at=expires_at)
    return WaitingDevice(_locked(tx, device_id), code)


def _locked(tx: Tx, device_id: int) -> Device:
    device = rows.by_id(tx, device_id, lock=True)
    if device is None or device.revoked_at is not None:
        raise NotFound(f"no device {device_id}")
    return device
