"""The one function that says who may do what."""

from datetime import UTC, datetime

import pytest

from puskesmas_queue.domain.access import (
    DEVICE_PERMISSIONS,
    EVERYBODY,
    ROLE_PERMISSIONS,
    SYSTEM,
    Permission,
    Principal,
    Role,
    cli_actor,
    may,
)
from puskesmas_queue.domain.devices import Device, DeviceKind

P = Permission
LOOKING = {P.LINE_VIEW, P.UNIT_VIEW, P.DAY_VIEW}
COUNTER = LOOKING | {P.ISSUE, P.CALL}
STAFF = {
    Role.ADMIN: COUNTER | {P.MANAGE_SETTINGS, P.MANAGE_USERS, P.AUDIT_VIEW},
    Role.PETUGAS_LOKET: COUNTER,
    Role.PETUGAS_RM: LOOKING,
    Role.KEPALA: LOOKING,
    Role.AUDITOR: {P.AUDIT_VIEW},
}


def someone(role: Role, *, is_locked: bool = False) -> Principal:
    return Principal(1, "budi", "Budi", role, "0" * 64, is_locked=is_locked)


def machine(kind: DeviceKind, **more) -> Device:
    at = datetime(2026, 2, 26, tzinfo=UTC)
    values = {"paired_at": at, "seen_at": at, "revoked_at": None, **more}
    return Device(
        1, kind, "Pintu depan", "main", None, code_expires_at=None, seen_address=None, **values
    )


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_matrix(role, permission):
    """Every role has what everybody has, what logged-in people have, and its own."""
    granted = EVERYBODY | {P.SESSION, P.SELF} | STAFF[role]

    assert may(someone(role), permission) == (permission in granted)


@pytest.mark.parametrize("permission", Permission)
def test_nobody_gets_public_screens_only(permission):
    assert may(None, permission) == (permission is P.PUBLIC)


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (DeviceKind.KIOSK, {P.KIOSK, P.ISSUE, P.UNIT_VIEW, P.LINE_VIEW}),
        (DeviceKind.DISPLAY, {P.DISPLAY, P.LINE_VIEW}),
        (DeviceKind.SPEAKER, {P.DISPLAY, P.LINE_VIEW}),
        (DeviceKind.COUNTER, set()),
    ],
)
@pytest.mark.parametrize("permission", Permission)
def test_a_machine_has_its_own_screen_only(kind, own, permission):
    at = datetime(2026, 2, 26, tzinfo=UTC)

    assert may(machine(kind), permission) == (permission in own | {P.PUBLIC})
    assert may(machine(kind, paired_at=None), permission) == (permission is P.PUBLIC)
    assert may(machine(kind, revoked_at=at), permission) == (permission is P.PUBLIC)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_locked_screen_can_only_unlock_and_log_out(role, permission):
    expected = permission in EVERYBODY | {P.SESSION}

    assert may(someone(role, is_locked=True), permission) == expected


@pytest.mark.parametrize(
    "who", [None, machine(DeviceKind.COUNTER), someone(Role.ADMIN, is_locked=True)]
)
@pytest.mark.parametrize("permission", [P.DEMO, P.KIOSK, P.DISPLAY])
def test_the_demo_opens_its_pages_and_the_hall_to_all(who, permission):
    assert may(who, permission, is_demo=True)
    assert not may(who, permission, is_demo=False)


def test_demo_opens_nothing_else():
    assert not may(None, P.CALL, is_demo=True)
    assert not may(machine(DeviceKind.KIOSK), P.CALL, is_demo=True)
    assert not may(someone(Role.AUDITOR), P.CALL, is_demo=True)


def test_every_role_and_kind_has_a_row():
    assert set(ROLE_PERMISSIONS) == set(Role)
    assert set(DEVICE_PERMISSIONS) == set(DeviceKind)


def test_system_actors_are_no_users():
    assert SYSTEM.id is None
    assert cli_actor("root").name == "cli:root"
    assert cli_actor("root").role is None
