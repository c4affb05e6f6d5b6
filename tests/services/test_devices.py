"""Pairing machines: a code is good once and for a while, a token until it is revoked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.devices import CODE_LIFETIME, DeviceKind, DeviceState
from puskesmas_queue.domain.errors import InvalidRequest, NotFound, UnknownName
from puskesmas_queue.services import devices
from puskesmas_queue.storage import tables
from support.clinics import make_config
from support.desk import KIOSK, STAFF, at_once, rows_of


@pytest.fixture
def kiosk(clinic):
    return devices.add_device(clinic, DeviceKind.KIOSK, "Pintu depan", STAFF, zone="main")


def test_a_code_gives_a_token_once(clinic, kiosk):
    """However it is typed; the database knows neither."""
    typed = f" {kiosk.code[:4].lower()}-{kiosk.code[4:]} "

    paired = devices.pair(clinic, typed, KIOSK)

    assert devices.device_of(clinic, paired.token) == paired.device
    assert paired.device.state(clinic.clock.now()) is DeviceState.PAIRED
    with pytest.raises(NotFound):
        devices.pair(clinic, typed, KIOSK)
    (row,) = rows_of(clinic, tables.devices)
    assert kiosk.code not in str(row)
    assert paired.token not in str(row)


def test_of_two_machines_that_type_a_code_one_is_paired(clinic, kiosk):
    """At the same moment: the other is told that nobody waits for it."""
    answers = at_once([lambda: devices.pair(clinic, kiosk.code, KIOSK)] * 2)

    assert [type(one) for one in answers if isinstance(one, Exception)] == [NotFound]
    (paired,) = [one for one in answers if not isinstance(one, Exception)]
    assert devices.device_of(clinic, paired.token) is not None


def test_a_code_is_good_for_a_quarter_of_an_hour(clinic, kiosk):
    assert kiosk.device.state(clinic.clock.now()) is DeviceState.WAITING
    clinic.clock.advance(CODE_LIFETIME)

    with pytest.raises(NotFound):
        devices.pair(clinic, kiosk.code, KIOSK)

    assert kiosk.device.state(clinic.clock.now()) is DeviceState.LATE
    again = devices.renew_code(clinic, kiosk.device.id, STAFF)
    assert devices.pair(clinic, again.code, KIOSK).device.id == kiosk.device.id


def test_codes_that_are_not_good_are_audited(clinic, kiosk):
    """Whoever guesses leaves a trace; what was typed is in none."""
    for typed in ("ABCD2345", kiosk.code):
        clinic.clock.advance(CODE_LIFETIME)
        with pytest.raises(NotFound):
            devices.pair(clinic, typed, replace(KIOSK, address="192.168.1.66"))

    refused = [row for row in rows_of(clinic, tables.audit) if row.action == "pairing_refused"]
    assert [row.record_id for row in refused] == [None, str(kiosk.device.id)]
    assert {row.ip_address for row in refused} == {"192.168.1.66"}
    assert "ABCD2345" not in str(refused)
    assert kiosk.code not in str(refused)


def test_another_machine_takes_its_place(clinic, kiosk):
    """The old one goes on until the new code was used."""
    old = devices.pair(clinic, kiosk.code, KIOSK)
    again = devices.renew_code(clinic, kiosk.device.id, STAFF)
    assert devices.device_of(clinic, old.token) is not None

    new = devices.pair(clinic, again.code, KIOSK)

    assert devices.device_of(clinic, old.token) is None
    assert devices.device_of(clinic, new.token) is not None


def test_a_revoked_device_is_none(clinic, kiosk):
    """Neither its token nor a code of it is good any more."""
    paired = devices.pair(clinic, kiosk.code, KIOSK)
    open_code = devices.renew_code(clinic, kiosk.device.id, STAFF)
    before = clinic.versions[devices.DEVICES_TOPIC]

    devices.revoke_device(clinic, kiosk.device.id, STAFF)

    assert devices.device_of(clinic, paired.token) is None
    assert clinic.versions[devices.DEVICES_TOPIC] == before + 1
    with pytest.raises(NotFound):
        devices.pair(clinic, open_code.code, KIOSK)
    with pytest.raises(NotFound):
        devices.renew_code(clinic, kiosk.device.id, STAFF)
    with pytest.raises(NotFound):
        devices.revoke_device(clinic, kiosk.device.id, STAFF)
    (listed,) = devices.all_devices(clinic)
    assert listed.state(clinic.clock.now()) is DeviceState.REVOKED


def test_it_is_seen_without_a_write_of_its_own(clinic, kiosk):
    """Requests note it in memory; the timer writes the latest, an older one changes nothing."""
    device = devices.pair(clinic, kiosk.code, KIOSK).device
    for _ in range(3):
        clinic.clock.advance(timedelta(seconds=50))
        devices.saw_device(clinic, device, "192.168.1.31")
    latest = clinic.clock.now()
    (row,) = rows_of(clinic, tables.devices)
    assert row.seen_at == device.seen_at

    devices.write_sightings(clinic)
    clinic.sightings[device.id] = (latest - timedelta(minutes=5), "10.0.0.1")
    devices.write_sightings(clinic)

    (row,) = rows_of(clinic, tables.devices)
    assert timedelta(seconds=150) <= row.seen_at - device.paired_at < timedelta(seconds=155)
    assert row.seen_address == "192.168.1.31"
    assert clinic.sightings == {}


def test_finding_a_device_costs_no_query(clinic, kiosk, monkeypatch):
    """Neither a good token nor a wrong one, until a device changes."""
    token = devices.pair(clinic, kiosk.code, KIOSK).token
    asked = []
    read = clinic.db.read
    monkeypatch.setattr(clinic.db, "read", lambda run: asked.append(run) or read(run))

    for _ in range(20):
        assert devices.device_of(clinic, token) is not None
        assert devices.device_of(clinic, "x" * 43) is None
    assert len(asked) == 1

    devices.revoke_device(clinic, kiosk.device.id, STAFF)
    asked.clear()
    assert devices.device_of(clinic, token) is None
    assert len(asked) == 1


def test_another_process_hears_of_it(clinic, kiosk, database_url, tmp_path):
    """A device that was revoked elsewhere is none here as soon as the version is known."""
    token = devices.pair(clinic, kiosk.code, KIOSK).token
    other = open_clinic(make_config(database_url, tmp_path), clinic.clock)
    try:
        assert devices.device_of(other, token) is not None
        devices.revoke_device(clinic, kiosk.device.id, STAFF)

        other.heard(devices.DEVICES_TOPIC, clinic.versions[devices.DEVICES_TOPIC])

        assert devices.device_of(other, token) is None
    finally:
        other.close()


def test_a_counter_device_has_its_counter_and_hall(clinic):
    made = devices.add_device(clinic, DeviceKind.COUNTER, "Loket 2", STAFF, zone="", counter=2)

    assert (made.device.counter, made.device.zone) == (2, "main")


@pytest.mark.parametrize(
    ("kind", "name", "zone", "counter", "error"),
    [
        (DeviceKind.KIOSK, " ", "main", None, InvalidRequest),
        (DeviceKind.KIOSK, "x" * 61, "main", None, InvalidRequest),
        (DeviceKind.KIOSK, "a\x00b", "main", None, InvalidRequest),
        (DeviceKind.KIOSK, "Kiosk", "nowhere", None, UnknownName),
        (DeviceKind.DISPLAY, "TV", "main", 1, InvalidRequest),
        (DeviceKind.COUNTER, "Loket", "main", None, InvalidRequest),
        (DeviceKind.COUNTER, "Loket", "main", 99, NotFound),
    ],
)
def test_what_cannot_be_made(clinic, kind, name, zone, counter, error):
    with pytest.raises(error):
        devices.add_device(clinic, kind, name, STAFF, zone=zone, counter=counter)
    assert devices.all_devices(clinic) == ()


@pytest.mark.parametrize("typed", ["", "AAAA", "x" * 5000, "\ud800", "kiosk-1"])
def test_what_is_no_code(clinic, kiosk, typed):
    with pytest.raises(NotFound):
        devices.pair(clinic, typed, KIOSK)
