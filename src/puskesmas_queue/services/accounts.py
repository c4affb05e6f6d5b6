"""Staff accounts: who there is, their passwords, and their end."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from puskesmas_queue.domain.access import Actor, Permission, Principal, Role
from puskesmas_queue.domain.errors import (
    Conflict,
    InvalidRequest,
    LoginFailed,
    NotFound,
    UnknownName,
)
from puskesmas_queue.domain.passwords import check_password, generate_password
from puskesmas_queue.services.credentials import (
    as_user,
    hash_password,
    normalize_username,
    settle,
    weigh,
)
from puskesmas_queue.services.sessions import end_sessions_of, hash_token
from puskesmas_queue.services.tokens import end_programs_of
from puskesmas_queue.storage import accounts as rows
from puskesmas_queue.storage.accounts import User
from puskesmas_queue.storage.transaction import Reading, Tx

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,49}")
LINK_HOURS = 24
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link `/reset/<token>` that sets a password once; the token is kept nowhere else."""

    username: str
    token: str
    expires_at: datetime


def add_user(
    clinic: "Clinic",
    username: str,
    actor: Actor,
    *,
    role: Role = Role.ADMIN,
    name: str = "",
    password: str | None = None,
) -> str:
    """
    Add an account that can log in at once.

    Args:
        clinic: The clinic.
        username: 2 to 50 letters, digits, dots, hyphens; capitals do not count.
        actor: Who adds it.
        role: What it is for.
        name: The person's name, else the username.
        password: None to make one up.

    Returns:
        The password.

    Raises:
        InvalidRequest: The username cannot be.
        WeakPassword: The password rule says no.
        Conflict: There is such an account.
    """
    username, name = _names(username, name)
    if password is None:
        password = generate_password()
    check_password(password, (username, name, clinic.name))
    hashed = hash_password(password)
    clinic.db.write(lambda tx: _insert(tx, username, name, role, hashed, actor))
    return password


def check_username(username: str) -> None:
    """
    Say beforehand what `add_user` would refuse.

    Raises:
        InvalidRequest: The username cannot be.
    """
    _names(username, "")


def invite_user(
    clinic: "Clinic", username: str, actor: Actor, *, role: Role, name: str = ""
) -> PasswordLink:
    """
    Add an account whose owner sets the password through a one-time link.

    Raises:
        InvalidRequest: The username cannot be.
        Conflict: There is such an account.
    """
    username, name = _names(username, name)

    def write(tx: Tx) -> PasswordLink:
        user_id = _insert(tx, username, name, role, None, actor)
        return _make_link(tx, user_id, username, actor)

    return clinic.db.write(write)


def list_users(clinic: "Clinic") -> tuple[User, ...]:
    """Return all accounts by username, disabled ones too."""
    return clinic.db.read(rows.list_users)


def reset_password(clinic: "Clinic", username: str, actor: Actor) -> PasswordLink:
    """
    Make a one-time link for a new password; earlier links become worthless.

    The old password and the sessions hold until the link is used.

    Raises:
        UnknownName: There is no such account.
        Conflict: It is disabled.
    """

    def write(tx: Tx) -> PasswordLink:
        user = _the_user(tx, username)
        if not user.is_active:
            raise Conflict(f"{user.username} is disabled")
        return _make_link(tx, user.id, user.username, actor)

    return clinic.db.write(write)


def link_owner(clinic: "Clinic", token: str) -> User:
    """
    Say whose password a link sets.

    Raises:
        NotFound: No such link, used, replaced or expired.
    """
    user = clinic.db.read(lambda tx: rows.find_link(tx, hash_token(token)))
    if user is None:
        raise NotFound("no such password link")
    return user


def use_reset_link(clinic: "Clinic", token: str, password: str, actor: Actor) -> User:
    """
    Set a password through a link; the link is used up, all sessions and programs end.

    Raises:
        NotFound: No such link, used, replaced or expired.
        WeakPassword: The password rule says no; the link stays good.
    """
    user = link_owner(clinic, token)
    check_password(password, (user.username, user.name, clinic.name))
    hashed = hash_password(password)

    def write(tx: Tx) -> User:
        owner = rows.find_link(tx, hash_token(token), lock=True)
        if owner is None:
            raise NotFound("no such password link")
        who = as_user(actor, owner)
        rows.update_user(tx, owner.id, password_hash=hashed)
        rows.close_links(tx, owner.id)
        end_sessions_of(clinic, tx, owner.id, who, "password reset")
        end_programs_of(clinic, tx, owner.id, who, "password reset")
        tx.audit("password_reset", actor=who, table="users", record=owner.id)
        return owner

    return clinic.db.write(write)


def change_password(
    clinic: "Clinic", principal: Principal, old: str, new: str, actor: Actor
) -> None:
    """
    Change one's own password; one's other sessions and all programs are logged out.

    Raises:
        WeakPassword: The password rule says no to the new one.
        LoginFailed: The old one is wrong.
        LoginDelayed: Too many wrong tries; nothing was compared.
    """
    check_password(new, (principal.username, principal.name, clinic.name))
    proof = weigh(clinic, principal.username, old)
    hashed = hash_password(new) if proof.is_right else ""

    def write(tx: Tx) -> bool:
        user = settle(tx, proof, actor, "password_change_failed")
        if user is None:
            return False
        rows.update_user(tx, user.id, password_hash=hashed)
        rows.close_links(tx, user.id)
        keep = principal.session_hash
        end_sessions_of(clinic, tx, user.id, actor, "password changed", keep=keep)
        end_programs_of(clinic, tx, user.id, actor, "password changed")
        tx.audit("password_changed", actor=actor, table="users", record=user.id)
        return True

    if not clinic.db.write(write):
        raise LoginFailed("wrong password")


def disable_user(clinic: "Clinic", username: str, actor: Actor) -> int:
    """
    Disable an account and end its sessions and programs at once; nothing of it is deleted.

    Returns:
        How many sessions and programs ended.

    Raises:
        UnknownName: There is no such account.
        Conflict: It is disabled already.
    """

    def write(tx: Tx) -> int:
        user = _the_user(tx, username)
        if not user.is_active:
            raise Conflict(f"{user.username} is disabled already")
        rows.update_user(tx, user.id, is_active=False)
        rows.close_links(tx, user.id)
        tx.audit(
            "user_disabled",
            actor=actor,
            table="users",
            record=user.id,
            old={"is_active": True},
            new={"is_active": False},
        )
        ended = end_sessions_of(clinic, tx, user.id, actor, "disabled")
        return ended + end_programs_of(clinic, tx, user.id, actor, "disabled")

    return clinic.db.write(write)


def set_language(clinic: "Clinic", principal: Principal, language: str, actor: Actor) -> None:
    """Keep the language in which this user reads."""

    def write(tx: Tx) -> None:
        rows.update_user(tx, principal.user_id, language=language)
        tx.audit(
            "user_changed",
            actor=actor,
            table="users",
            record=principal.user_id,
            old={"language": principal.language},
            new={"language": language},
        )

    if language != principal.language:
        clinic.db.write(write)


def record_refusal(
    clinic: "Clinic", permission: Permission, method: str, path: str, actor: Actor
) -> None:
    """Audit that somebody asked for what their role may not."""
    asked = {"permission": permission.value, "method": method, "path": path[:200]}
    clinic.db.write(lambda tx: tx.audit("access_refused", actor=actor, new=asked))


def _names(username: str, name: str) -> tuple[str, str]:
    username = normalize_username(username)
    if USERNAME.fullmatch(username) is None:
        raise InvalidRequest(
            f'username "{username}" cannot be: 2 to 50 letters, digits, dots, hyphens, underscores'
        )
    name = " ".join(name.split()) or username
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"name must be 1 to {MAX_NAME} characters")
    return username, name


def _insert(
    tx: Tx, username: str, name: str, role: Role, password_hash: str | None, actor: Actor
) -> int:
    if rows.find_credentials(tx, username) is not None:
        raise Conflict(f'there is a user "{username}" already')
    user_id = rows.insert_user(tx, username, name, role, password_hash)
    tx.audit(
        "user_added",
        actor=actor,
        table="users",
        record=user_id,
        new={"username": username, "name": name, "role": role.value},
    )
    return user_id


def _make_link(tx: Tx, user_id: int, username: str, actor: Actor) -> PasswordLink:
    token = secrets.token_urlsafe(32)
    expires_at = tx.now + timedelta(hours=LINK_HOURS)
    rows.insert_link(tx, hash_token(token), user_id, expires_at)
    tx.audit(
        "password_link",
        actor=actor,
        table="users",
        record=user_id,
        new={"expires_at": expires_at.isoformat()},
    )
    return PasswordLink(username, token, expires_at)


def _the_user(tx: Reading, typed: str) -> User:
    username = normalize_username(typed)
    found = rows.find_credentials(tx, username, lock=True)
    if found is None:
        known = [user.username for user in rows.list_users(tx)]
        nearest = get_close_matches(username, known, n=1)
        raise UnknownName("user", username, nearest[0] if nearest else None)
    return found.user
