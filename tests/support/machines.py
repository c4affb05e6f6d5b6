"""Paired machines: what a browser of the hall brings with each request."""

from collections.abc import Iterable

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import devices
from puskesmas_queue.web.cookies import machine_cookie

HALL = (DeviceKind.KIOSK, DeviceKind.DISPLAY)


def pair_machine(
    clinic: Clinic, kind: DeviceKind, *, zone: str = "main", counter: int = 1
) -> devices.PairedDevice:
    """Add a device and pair a machine as it; `counter` is for kind `counter` only."""
    number = counter if kind is DeviceKind.COUNTER else None
    made = devices.add_device(clinic, kind, kind.value, SYSTEM, zone=zone, counter=number)
    return devices.pair(clinic, made.code, SYSTEM)


def hall_cookies(
    clinic: Clinic, kinds: Iterable[DeviceKind] = HALL, *, is_https: bool = False
) -> dict[str, str]:
    """Return the cookies of a browser that is a machine of each kind."""
    return {
        machine_cookie(kind, is_https=is_https): pair_machine(clinic, kind).token for kind in kinds
    }
