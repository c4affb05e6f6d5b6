"""The one function that says who may do what."""

import pytest

from puskesmas_queue.domain.access import (
    EVERYBODY,
    ROLE_PERMISSIONS,
    SYSTEM,
    Permission,
    Principal,
    Role,
    cli_actor,
    may,
)

P = Permission
STAFF = {
    Role.ADMIN: {P.CALL, P.DAY_VIEW, P.MANAGE_SETTINGS, P.MANAGE_USERS, P.AUDIT_VIEW},
    Role.PETUGAS_LOKET: {P.CALL, P.DAY_VIEW},
    Role.PETUGAS_RM: {P.DAY_VIEW},
    Role.KEPALA: {P.DAY_VIEW},
    Role.AUDITOR: {P.AUDIT_VIEW},
}


def someone(role: Role, *, is_locked: bool = False) -> Principal:
    return Principal(1, "budi", "Budi", role, "0" * 64, is_locked=is_locked)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_matrix(role, permission):
    """Every role has what everybody has, what logged-in people have, and its own."""
    granted = EVERYBODY | {P.SESSION, P.SELF} | STAFF[role]

    assert may(someone(role), permission) == (permission in granted)


@pytest.mark.parametrize("permission", Permission)
def test_nobody_gets_public_screens_only(permission):
    assert may(None, permission) == (permission in {P.PUBLIC, P.KIOSK, P.DISPLAY})


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_locked_screen_can_only_unlock_and_log_out(role, permission):
    expected = permission in EVERYBODY | {P.SESSION}

    assert may(someone(role, is_locked=True), permission) == expected


@pytest.mark.parametrize("principal", [None, *map(someone, Role)])
def test_demo_pages_exist_in_the_demo_only(principal):
    assert may(principal, P.DEMO, is_demo=True)
    assert not may(principal, P.DEMO, is_demo=False)


def test_demo_opens_nothing_else():
    assert not may(None, P.CALL, is_demo=True)
    assert not may(someone(Role.AUDITOR), P.CALL, is_demo=True)


def test_every_role_has_a_row():
    assert set(ROLE_PERMISSIONS) == set(Role)


def test_system_actors_are_no_users():
    assert SYSTEM.id is None
    assert cli_actor("root").name == "cli:root"
    assert cli_actor("root").role is None
