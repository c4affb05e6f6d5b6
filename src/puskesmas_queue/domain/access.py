"""
Who may do what: roles, permissions and the one function that decides.

Source: security rules, "Roles".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from puskesmas_queue.domain.devices import Device, DeviceKind

ActorKind = Literal["user", "device", "system"]


class Role(StrEnum):
    """What a staff account is for; each has one."""

    ADMIN = "admin"
    """Looks after server, settings and accounts; may work at a counter."""
    PETUGAS_LOKET = "petugas_loket"
    """Works at a counter."""
    PETUGAS_RM = "petugas_rm"
    """Works with medical records."""
    KEPALA = "kepala"
    """Head of the clinic: looks at the day."""
    AUDITOR = "auditor"
    """Looks at who did what, and at nothing else."""


class Permission(StrEnum):
    """What a route asks for; every route declares exactly one."""

    PUBLIC = "public"
    """Anybody: landing page, login, a ticket's own page."""
    KIOSK = "kiosk"
    """The kiosk: for a machine that was paired as one."""
    DISPLAY = "display"
    """TV and speaker: numbers only, for a machine that was paired as one of them."""
    DEMO = "demo"
    """Exists in the demo only, needs no login there."""
    SESSION = "session"
    """Whoever holds a session, even a locked one: unlock, lock, log out."""
    SELF = "self"
    """Anybody logged in, for what is their own."""
    LINE_VIEW = "line_view"
    """The line's numbers, for programs and machines."""
    UNIT_VIEW = "unit_view"
    """The units and their places, for programs and kiosks."""
    ISSUE = "issue"
    """Give a number by a program or kiosk; a kiosk's own page asks for `KIOSK`."""
    CALL = "call"
    """Work at a counter."""
    DAY_VIEW = "day_view"
    """The page of the day."""
    MANAGE_SETTINGS = "manage_settings"
    """Settings, plugins, machines."""
    MANAGE_USERS = "manage_users"
    """Accounts of staff."""
    AUDIT_VIEW = "audit_view"
    """Who did what."""


EVERYBODY = frozenset({Permission.PUBLIC})
"""Granted without a session."""

OF_DEVICES = frozenset({Permission.KIOSK, Permission.DISPLAY})
"""Granted to machines, whoever is logged in there; requests for these look no session up."""

IN_DEMO = OF_DEVICES | {Permission.DEMO}
"""Granted to everybody where the server is a demo."""

LOGGED_IN = frozenset({Permission.SESSION, Permission.SELF})

_LOOKING = frozenset({Permission.LINE_VIEW, Permission.UNIT_VIEW, Permission.DAY_VIEW})
_COUNTER = _LOOKING | {Permission.ISSUE, Permission.CALL}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: _COUNTER
    | {Permission.MANAGE_SETTINGS, Permission.MANAGE_USERS, Permission.AUDIT_VIEW},
    Role.PETUGAS_LOKET: _COUNTER,
    Role.PETUGAS_RM: _LOOKING,
    Role.KEPALA: _LOOKING,
    Role.AUDITOR: frozenset({Permission.AUDIT_VIEW}),
}

DEVICE_PERMISSIONS: Mapping[DeviceKind, frozenset[Permission]] = {
    DeviceKind.KIOSK: frozenset(
        {Permission.KIOSK, Permission.ISSUE, Permission.UNIT_VIEW, Permission.LINE_VIEW}
    ),
    DeviceKind.DISPLAY: frozenset({Permission.DISPLAY, Permission.LINE_VIEW}),
    DeviceKind.SPEAKER: frozenset({Permission.DISPLAY, Permission.LINE_VIEW}),
    # Whoever works there logs in; the device says at which counter.
    DeviceKind.COUNTER: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """
    A logged-in user, as one request sees them.

    Args:
        session_hash: Hash of the session's id, never the id itself; empty for a program.
        is_locked: The screen is locked: nothing but unlocking and logging out until the
            password was typed again.
        family: The login of the program that acts for this user; None in a browser.
    """

    user_id: int
    username: str
    name: str
    role: Role
    session_hash: str
    language: str = "id"
    is_locked: bool = False
    family: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """
    Who did something, for events and the audit.

    Args:
        kind: `user` (a session), `device` (kiosk, TV, phone) or `system` (timer, command line).
        id: The user's id; None for devices and the system.
        name: The user's name, or what the device or job is called.
        device: What a paired machine is known by, else the anonymous id of the browser, if any.
        address: Network address, if any.
        role: The user's role; None for devices and the system.
    """

    kind: ActorKind
    id: int | None = None
    name: str = ""
    device: str | None = None
    address: str | None = None
    user_agent: str | None = None
    role: Role | None = None


SYSTEM = Actor("system", name="system")
"""Timers and whatever the server does by itself."""


def cli_actor(login: str) -> Actor:
    """Return the actor of a command, named by the operating system's login."""
    return Actor("system", name=f"cli:{login}", device="cli")


def may(who: Principal | Device | None, permission: Permission, *, is_demo: bool = False) -> bool:
    """
    Decide whether a user or machine may; the only place that does.

    Args:
        who: A session's user, a token's user or a paired machine; None for anybody else.
        permission: What is asked for.
        is_demo: Whether this server is a demo, where kiosk, TV and `/demo` are open to all.
    """
    if permission in EVERYBODY or (is_demo and permission in IN_DEMO):
        return True
    match who:
        case None:
            return False
        case Device():
            is_paired = who.paired_at is not None and who.revoked_at is None
            return is_paired and permission in DEVICE_PERMISSIONS[who.kind]
    if who.is_locked:
        return permission is Permission.SESSION
    return permission in LOGGED_IN or permission in ROLE_PERMISSIONS[who.role]
