"""Devices: pairing machines and taking their tokens away."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain import devices as domain
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import (
    CodeExpired,
    InvalidRequest,
    KeyTaken,
    NotFound,
    UnknownName,
)
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.routes.counters import Nothing
from puskesmas_queue.rest.schemas import (
    Device,
    Devices,
    NewDevice,
    PairedDevice,
    PairingCode,
    WaitingDevice,
)
from puskesmas_queue.services import devices
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.services.line import default_zone

SUBJECT = "devices"


def list_devices(call: Call) -> Reply:
    """Read all machines, revoked ones last."""
    items = [_document(call.clinic, one) for one in devices.all_devices(call.clinic)]
    return reply(200, Devices(items=items))


def add_device(call: Call) -> Reply:
    """Add a machine that waits for its code."""
    asked = call.body(NewDevice)
    # Read before: a transaction must not wait for another connection.
    zone = asked.zone or default_zone(call.clinic)
    return call.once(
        lambda clinic: devices.add_device(
            clinic, asked.kind, asked.name, call.actor, zone=zone, counter=asked.counter
        ),
        lambda waiting: _waiting(call, waiting, 201),
    )


def renew_device_code(call: Call) -> Reply:
    """Give a machine a new code; the one that was paired goes on until it is used."""
    return call.once(
        lambda clinic: devices.renew_code(clinic, call.path["id"], call.actor),
        lambda waiting: _waiting(call, waiting, 200),
    )


def revoke_device(call: Call) -> Reply:
    """Take a machine's token away; it goes dark at once."""
    return call.once(
        lambda clinic: devices.revoke_device(clinic, call.path["id"], call.actor),
        lambda _: reply(204),
    )


def pair_device(call: Call) -> Reply:
    """Pair the machine that asks."""
    paired = devices.pair(call.clinic, call.body(PairingCode).code, call.actor)
    document = PairedDevice(device=_document(call.clinic, paired.device), token=paired.token)
    return reply(200, document)


def _waiting(call: Call, waiting: devices.WaitingDevice, status: int) -> Reply:
    document = WaitingDevice(device=_document(call.clinic, waiting.device), code=waiting.code)
    return reply(status, document)


def _document(clinic: Clinic, device: domain.Device) -> Device:
    times = {
        name: None if at is None else at.astimezone(clinic.timezone)
        for name, at in (
            ("code_expires_at", device.code_expires_at),
            ("paired_at", device.paired_at),
            ("seen_at", device.seen_at),
            ("revoked_at", device.revoked_at),
        )
    }
    return Device(
        id=device.id,
        kind=device.kind,
        name=device.name,
        zone=device.zone,
        counter=device.counter,
        state=device.state(clinic.clock.now()),
        **times,
    )


_MAY = Permission.MANAGE_SETTINGS
endpoints = (
    Endpoint(
        "GET",
        "/devices",
        list_devices,
        _MAY,
        SUBJECT,
        summary="Read all machines, revoked ones last",
        answers={200: Devices},
    ),
    Endpoint(
        "POST",
        "/devices",
        add_device,
        _MAY,
        SUBJECT,
        summary="Add a machine that waits for its code",
        answers={201: WaitingDevice},
        refusals=(InvalidRequest, UnknownName, NotFound, KeyTaken),
        body=NewDevice,
        takes_key="answer",
        more="The code is told here and never again; it is good for 15 minutes.",
        example={"kind": "kiosk", "name": "Kiosk at the door"},
    ),
    Endpoint(
        "POST",
        "/devices/pair",
        pair_device,
        Permission.PUBLIC,
        SUBJECT,
        summary="Pair the machine that asks",
        answers={200: PairedDevice},
        refusals=(NotFound, CodeExpired),
        body=PairingCode,
        more="The token is told here and never again.",
        example={"code": "K7QM 2XPA"},
    ),
    Endpoint(
        "POST",
        "/devices/{id}/code",
        renew_device_code,
        _MAY,
        SUBJECT,
        summary="Give a machine a new code",
        answers={200: WaitingDevice},
        refusals=(NotFound, KeyTaken),
        body=Nothing,
        is_body_needed=False,
        takes_key="answer",
        more="The machine that was paired goes on until the code was used.",
    ),
    Endpoint(
        "POST",
        "/devices/{id}/revoke",
        revoke_device,
        _MAY,
        SUBJECT,
        summary="Take a machine's token away; it goes dark at once",
        answers={204: None},
        refusals=(NotFound, KeyTaken),
        body=Nothing,
        is_body_needed=False,
        takes_key="answer",
    ),
)
