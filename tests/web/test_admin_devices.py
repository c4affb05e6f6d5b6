"""The administrator's pages of devices."""

import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import HERE_FOR, DeviceKind
from puskesmas_queue.services import accounts, devices, sessions
from puskesmas_queue.storage import tables
from support.desk import rows_of
from support.machines import pair_machine

CODE = re.compile(r"([2-9A-HJKMNP-Z]{4}) ([2-9A-HJKMNP-Z]{4})</p>")


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


@pytest.fixture
def admin(app, sqlite_clinic) -> TestClient:
    password = accounts.add_user(sqlite_clinic, "ani", SYSTEM, role=Role.ADMIN)
    token = sessions.login(sqlite_clinic, "ani", password, SYSTEM).token
    return TestClient(
        app,
        base_url="http://192.168.1.5:8000",
        client=("127.0.0.1", 1),
        headers={"sec-fetch-site": "same-origin"},
        cookies={"pq_session": token},
        follow_redirects=False,
    )


def test_a_device_is_added_and_its_code_shown_once(admin, sqlite_clinic):
    assert 'name="kind" value="kiosk"' in admin.get("/admin/devices/add?kind=kiosk").text

    made = admin.post("/admin/devices/add", data={"kind": "kiosk", "name": " Pintu <depan> "})

    assert made.status_code == 200
    code = "".join(CODE.search(made.text).groups())
    assert "http://192.168.1.5:8000/pair" in made.text
    assert made.text.count("<svg") > made.text.count('<svg class="icon"')  # the QR code
    assert "Alamat ini hanya sampai" not in made.text
    page = admin.get("/admin/devices").text
    assert "Pintu &lt;depan&gt;" in page
    assert "Menunggu kode sampai 07:45 WIB" in page
    assert code not in page
    assert devices.pair(sqlite_clinic, code, SYSTEM).device.kind is DeviceKind.KIOSK
    assert "Terhubung" in admin.get("/admin/devices").text


def test_a_counter_device_needs_its_counter(admin, sqlite_clinic):
    lacking = admin.post("/admin/devices/add", data={"kind": "counter", "name": ""})
    assert lacking.status_code == 422
    assert "<title>Kesalahan:" in lacking.text
    assert lacking.text.count("Pilih loketnya.") == 2
    assert lacking.text.count("Tulis nama perangkat, misalnya") == 2
    assert devices.all_devices(sqlite_clinic) == ()

    admin.post("/admin/devices/add", data={"kind": "counter", "name": "PC 2", "counter": "2"})

    (device,) = devices.all_devices(sqlite_clinic)
    assert (device.name, device.counter, device.zone) == ("PC 2", 2, "main")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"kind": "robot", "name": "x"}, 422),
        ({"kind": "kiosk", "name": "x" * 61}, 422),
        ({"kind": "kiosk", "name": "a\u200eb"}, 422),
        ({"kind": "kiosk", "name": "x", "zone": "nowhere"}, 404),
        ({"kind": "counter", "name": "x", "counter": "99"}, 404),
        ({"kind": "counter", "name": "x", "counter": "9" * 30}, 422),
    ],
)
def test_what_cannot_be_added(admin, sqlite_clinic, form, status):
    assert admin.post("/admin/devices/add", data=form).status_code == status
    assert devices.all_devices(sqlite_clinic) == ()


def test_a_device_is_renamed(admin, sqlite_clinic):
    made = pair_machine(sqlite_clinic, DeviceKind.DISPLAY).device
    path = f"/admin/devices/{made.id}"

    assert admin.post(f"{path}/name", data={"name": ""}).status_code == 422
    done = admin.post(f"{path}/name", data={"name": "TV timur"})

    assert "Nama baru tersimpan." in admin.get(done.headers["location"]).text
    assert devices.find_device(sqlite_clinic, made.id).name == "TV timur"
    row = rows_of(sqlite_clinic, tables.audit)[-1]
    assert (row.action, row.old_values, row.new_values) == (
        "rename_device",
        {"name": "display"},
        {"name": "TV timur"},
    )


def test_a_new_code_is_for_a_machine_in_its_place(admin, sqlite_clinic):
    old = pair_machine(sqlite_clinic, DeviceKind.DISPLAY)

    shown = admin.post(f"/admin/devices/{old.device.id}/code").text

    new = devices.pair(sqlite_clinic, "".join(CODE.search(shown).groups()), SYSTEM)
    assert new.device.id == old.device.id
    assert devices.device_of(sqlite_clinic, old.token) is None


def test_revoking_is_asked_first(admin, sqlite_clinic):
    made = pair_machine(sqlite_clinic, DeviceKind.DISPLAY)
    path = f"/admin/devices/{made.device.id}"

    assert "Cabut display?" in admin.get(f"{path}/revoke").text
    assert devices.device_of(sqlite_clinic, made.token) is not None
    done = admin.post(f"{path}/revoke")

    assert devices.device_of(sqlite_clinic, made.token) is None
    page = admin.get(done.headers["location"]).text
    assert "Perangkat itu sudah dicabut." in page
    assert "Yang sudah dicabut (1)" in page
    shown = admin.get(path).text
    assert "Dicabut" in shown
    assert "Buat kode baru" not in shown
    assert admin.get(f"{path}/revoke").headers["location"] == "/admin/devices"
    assert admin.post(f"{path}/revoke").status_code == 404
    actions = [row.action for row in rows_of(sqlite_clinic, tables.audit)]
    assert actions[-1] == "revoke_device"


def test_a_machine_that_fell_silent_is_seen(admin, sqlite_clinic):
    made = pair_machine(sqlite_clinic, DeviceKind.DISPLAY)
    assert "Tidak terlihat" not in admin.get("/admin/devices").text

    sqlite_clinic.clock.advance(HERE_FOR + timedelta(seconds=1))
    assert "Tidak terlihat" in admin.get("/admin/devices").text
    # Noted by this process, not written yet.
    devices.saw_device(sqlite_clinic, made.device, "192.168.1.40")

    page = admin.get("/admin/devices").text
    assert "Tidak terlihat" not in page
    assert "192.168.1.40" in page


def test_ids_that_are_none(admin):
    assert admin.get("/admin/devices/999").status_code == 404
    assert admin.get(f"/admin/devices/{'9' * 30}").status_code == 404


def test_the_office_links_to_it(admin):
    assert 'href="/admin/devices"' in admin.get("/dashboard").text


def test_an_address_that_means_this_machine_only_is_warned_of(admin):
    admin.base_url = "http://127.0.0.1"

    made = admin.post("/admin/devices/add", data={"kind": "kiosk", "name": "Pintu depan"})

    assert "Alamat ini hanya sampai di komputer ini sendiri." in made.text
