"""
The administrator's pages of devices: which there are, a new one and its code, revoking.

A code is shown once, on the page that answers its making; a link to it would be a second copy.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.devices import MAX_NAME, Device, DeviceKind
from puskesmas_queue.domain.errors import InvalidRequest, NotFound
from puskesmas_queue.services import counters, devices
from puskesmas_queue.services.line import all_zones, known_zone
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import PAIRING_PATH, route

Errors = list[tuple[str, str]]

DEVICES = "/admin/devices"
DONE = ("revoked", "renamed")


def overview(page: Page) -> Response:
    """Show every device by its kind, and how each stands."""
    found = devices.all_devices(page.clinic)
    kept = [device for device in found if device.revoked_at is None]
    return _page(
        page,
        "admin/devices.html",
        by_kind=[(kind, [one for one in kept if one.kind is kind]) for kind in DeviceKind],
        revoked=[device for device in found if device.revoked_at is not None],
        done=page.query.get("done"),
    )


def new(page: Page) -> Response:
    """Ask for what a new device of a kind needs."""
    return _form(page, _kind(page.query.get("kind")), [])


def add(page: Page) -> Response:
    """Make a device and show its code."""
    kind = _kind(page.form.get("kind"))
    errors = _name_errors(page)
    number = page.form.get("counter", "")
    counter = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else None
    if kind is DeviceKind.COUNTER and counter is None:
        errors.append(("counter", page.gettext("Pilih loketnya.")))
    if errors:
        return _form(page, kind, errors, status=422)
    made = devices.add_device(
        page.clinic,
        kind,
        page.form["name"],
        page.actor,
        zone=known_zone(page.clinic, page.form.get("zone")),
        counter=counter if kind is DeviceKind.COUNTER else None,
    )
    return _code(page, made)


def show(page: Page) -> Response:
    """Show one device and what can be done with it."""
    return _show(page, _device(page), [])


def rename(page: Page) -> Response:
    """Call a device something else."""
    device = _device(page)
    errors = _name_errors(page)
    if errors:
        return _show(page, device, errors, status=422)
    devices.rename_device(page.clinic, device.id, page.form["name"], page.actor)
    return page.redirect(f"{DEVICES}/{device.id}", done="renamed")


def renew(page: Page) -> Response:
    """Make a new code for a device, and show it."""
    return _code(page, devices.renew_code(page.clinic, _device(page).id, page.actor))


def ask_revoke(page: Page) -> Response:
    """Ask whether a device is to be revoked, and say what that does."""
    device = _device(page)
    if device.revoked_at is not None:
        return page.redirect(DEVICES)
    return _page(page, "admin/device_revoke.html", device=device)


def revoke(page: Page) -> Response:
    """Revoke a device."""
    devices.revoke_device(page.clinic, _device(page).id, page.actor)
    return page.redirect(DEVICES, done="revoked")


def _page(page: Page, template: str, *, status: int = 200, **context: object) -> Response:
    values = {"group": "devices", "zones": all_zones(page.clinic), "now": page.clinic.clock.now()}
    return page.render(template, status=status, **{"errors": [], **values, **context})


def _form(page: Page, kind: DeviceKind, errors: Errors, *, status: int = 200) -> Response:
    return _page(
        page,
        "admin/device_new.html",
        status=status,
        kind=kind,
        counters=[one.number for one in counters.all_counters(page.clinic)],
        typed=page.form,
        most=MAX_NAME,
        errors=errors,
    )


def _show(page: Page, device: Device, errors: Errors, *, status: int = 200) -> Response:
    return _page(
        page,
        "admin/device.html",
        status=status,
        device=device,
        typed=page.form.get("name", device.name),
        most=MAX_NAME,
        errors=errors,
        done=page.query.get("done") if not errors else None,
    )


def _code(page: Page, made: devices.WaitingDevice) -> Response:
    own = page.request.url
    base = f"{own.scheme}://{own.netloc}"
    known = page.clinic.config.staff_url
    if _is_loopback(base) and not _is_loopback(known):
        # Whoever administers on the server itself asked by a name that is good there only.
        base = known
    return _page(
        page,
        "admin/device_code.html",
        device=made.device,
        code=made.code,
        address=base + PAIRING_PATH,
        is_own_address=_is_loopback(base),
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_errors(page: Page) -> Errors:
    name = page.form.get("name", "").strip()
    if not name:
        return [("name", page.gettext("Tulis nama perangkat, misalnya Mesin antrean pintu depan."))]
    if len(name) > MAX_NAME:
        long = page.gettext("Nama perangkat paling banyak %(n)s huruf.", n=MAX_NAME)
        return [("name", long)]
    if not name.isprintable():
        return [("name", page.gettext("Nama perangkat memuat tanda yang tidak bisa dipakai."))]
    return []


def _device(page: Page) -> Device:
    text = page.path["id"]
    if len(text) > 18:
        raise NotFound("no such device")
    return devices.find_device(page.clinic, int(text))


def _kind(text: str | None) -> DeviceKind:
    try:
        return DeviceKind(text or "")
    except ValueError:
        raise InvalidRequest("no such kind of device") from None


_POST: Sequence[str] = ("POST",)
_MAY = Permission.MANAGE_SETTINGS
_ONE = DEVICES + "/{id:int}"
routes = [
    route(DEVICES, overview, permission=_MAY),
    route(DEVICES + "/add", new, permission=_MAY),
    route(DEVICES + "/add", add, methods=_POST, permission=_MAY),
    route(_ONE, show, permission=_MAY),
    route(_ONE + "/name", rename, methods=_POST, permission=_MAY),
    route(_ONE + "/code", renew, methods=_POST, permission=_MAY),
    route(_ONE + "/revoke", ask_revoke, permission=_MAY),
    route(_ONE + "/revoke", revoke, methods=_POST, permission=_MAY),
]
