"""
Logins and what becomes of them: server-side sessions, their lock and their end.

The browser holds a random id of 256 bits; the database holds its hash only.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from puskesmas_queue.domain.access import SYSTEM, Actor, Principal
from puskesmas_queue.domain.errors import LoginFailed, NotFound
from puskesmas_queue.services.counters import release_session
from puskesmas_queue.services.credentials import FORGET_AFTER, as_user, settle, weigh
from puskesmas_queue.storage import accounts as rows
from puskesmas_queue.storage.transaction import Tx

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

SEEN_STEP = timedelta(minutes=1)
"""`seen_at` is written at most this often."""
HANDLE_LENGTH = 16
"""So much of a session's hash names it on screen and in the audit."""


@dataclass(frozen=True, slots=True)
class Login:
    """A new session: `token` is for the cookie and is kept nowhere else."""

    token: str
    principal: Principal


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as its user sees it; `handle` names it in forms."""

    handle: str
    created_at: datetime
    seen_at: datetime
    address: str | None
    user_agent: str | None
    is_this: bool


def hash_token(token: str) -> str:
    """Return what the database knows a session or link by."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def login(
    clinic: "Clinic", username: str, password: str, actor: Actor, *, old_token: str | None = None
) -> Login:
    """
    Begin a session under a new id.

    Args:
        clinic: The clinic.
        username: As typed.
        password: As typed.
        actor: The browser that asks.
        old_token: The session that the browser holds already, if any: it ends.

    Raises:
        LoginFailed: Unknown name, wrong password or disabled account.
        LoginDelayed: Too many wrong tries under this name; nothing was compared.
    """
    proof = weigh(clinic, username, password)
    token = secrets.token_urlsafe(32)

    def write(tx: Tx) -> Principal | None:
        user = settle(tx, proof, actor, "login_failed")
        if user is None:
            return None
        who = as_user(actor, user)
        if old_token is not None:
            end_session(clinic, tx, hash_token(old_token), who, "login")
        rows.insert_session(tx, hash_token(token), user.id, actor.address, actor.user_agent)
        rows.update_user(tx, user.id, last_login=tx.now)
        tx.audit("login", actor=who, table="sessions", record=hash_token(token)[:HANDLE_LENGTH])
        return _principal(user, hash_token(token), is_locked=False)

    principal = clinic.db.write(write)
    if principal is None:
        raise LoginFailed("wrong name or password")
    return Login(token, principal)


def load_session(clinic: "Clinic", token: str, *, extend: bool = True) -> Principal | None:
    """
    Return whose session this is, None where there is none or it is over.

    Args:
        clinic: The clinic.
        token: From the cookie.
        extend: Whether this request shows that somebody is there; streams and polls do not.
    """
    return principal_of(clinic, hash_token(token), extend=extend)


def principal_of(clinic: "Clinic", session_hash: str, *, extend: bool = False) -> Principal | None:
    """Do what `load_session` does, for a known hash."""
    found = clinic.db.read(lambda tx: rows.find_session(tx, session_hash))
    if found is None:
        return None
    session, user = found
    now = clinic.clock.now()
    why = _why_over(clinic, session, now)
    if why is not None or not user.is_active:
        clinic.db.write(lambda tx: end_session(clinic, tx, session_hash, SYSTEM, why or "disabled"))
        return None
    is_locked = session.locked_at is not None
    if extend and not is_locked and abs(now - session.seen_at) >= SEEN_STEP:
        clinic.db.write(lambda tx: rows.update_session(tx, session_hash, seen_at=tx.now))
    return _principal(user, session_hash, is_locked=is_locked)


def logout(clinic: "Clinic", principal: Principal, actor: Actor) -> None:
    """End the session and close the counter that is attached to it."""
    clinic.db.write(lambda tx: end_session(clinic, tx, principal.session_hash, actor, "logout"))


def list_sessions(clinic: "Clinic", principal: Principal) -> tuple[SessionView, ...]:
    """Return the user's valid sessions, this one first, then the one seen latest."""
    now = clinic.clock.now()
    views = [
        SessionView(
            handle=session.id_hash[:HANDLE_LENGTH],
            created_at=session.created_at,
            seen_at=session.seen_at,
            address=session.address,
            user_agent=session.user_agent,
            is_this=session.id_hash == principal.session_hash,
        )
        for session in clinic.db.read(lambda tx: rows.sessions_of(tx, principal.user_id))
        if _why_over(clinic, session, now) is None
    ]
    return tuple(sorted(views, key=lambda view: not view.is_this))


def end_own_session(clinic: "Clinic", principal: Principal, handle: str, actor: Actor) -> None:
    """
    End one of the user's sessions.

    Raises:
        NotFound: The user has no such session (any more).
    """

    def write(tx: Tx) -> None:
        for session in rows.sessions_of(tx, principal.user_id):
            if session.id_hash[:HANDLE_LENGTH] == handle:
                end_session(clinic, tx, session.id_hash, actor, "ended by user")
                return
        raise NotFound("no such session")

    clinic.db.write(write)


def end_other_sessions(clinic: "Clinic", principal: Principal, actor: Actor) -> int:
    """End all sessions of the user but this one; return how many."""
    return clinic.db.write(
        lambda tx: end_sessions_of(
            clinic, tx, principal.user_id, actor, "ended by user", keep=principal.session_hash
        )
    )


def end_sessions_of(
    clinic: "Clinic", tx: Tx, user_id: int, actor: Actor, why: str, *, keep: str | None = None
) -> int:
    """End the sessions of a user inside a transaction, all but `keep`; return how many."""
    hashes = [one.id_hash for one in rows.sessions_of(tx, user_id) if one.id_hash != keep]
    return sum(end_session(clinic, tx, one, actor, why) for one in sorted(hashes))


def end_session(clinic: "Clinic", tx: Tx, session_hash: str, actor: Actor, why: str) -> bool:
    """End a session inside a transaction, with its counter; False where it was over already."""
    # The session first: who opens a counter for it meanwhile holds it, or finds it gone.
    is_ended = rows.delete_session(tx, session_hash)
    release_session(clinic, tx, session_hash, actor)
    if is_ended:
        action = "logout" if why == "logout" else "session_ended"
        handle = session_hash[:HANDLE_LENGTH]
        tx.audit(action, actor=actor, table="sessions", record=handle, reason=why)
    return is_ended


def end_sessions_of_program(clinic: "Clinic", user_agent: str, actor: Actor) -> int:
    """End the sessions that a program left behind, with their counters; return how many."""

    def write(tx: Tx) -> int:
        left = [one.id_hash for one in rows.all_sessions(tx) if one.user_agent == user_agent]
        return sum(end_session(clinic, tx, one, actor, "left behind") for one in sorted(left))

    return clinic.db.write(write)


def hold_session(tx: Tx, session_hash: str) -> bool:
    """Keep a session from ending before this transaction does; False where it is over."""
    return rows.hold_session(tx, session_hash)


def end_idle_sessions(clinic: "Clinic") -> int:
    """
    End what was idle or open for too long, and forget old wrong tries. For the timer.

    Each session has a transaction of its own, so that one that cannot end keeps no other.

    Returns:
        How many sessions ended.
    """
    now = clinic.clock.now()
    idle, most = limits_of(clinic)
    stale = clinic.db.read(lambda tx: rows.stale_sessions(tx, now - idle, now - most))
    ended = 0
    for session in stale:
        ended += clinic.db.write(lambda tx, one=session.id_hash: _end_if_over(clinic, tx, one))  # type: ignore[misc]
    if clinic.db.read(lambda tx: rows.has_failures(tx, now - FORGET_AFTER)):
        clinic.db.write(lambda tx: rows.forget_failures(tx, tx.now - FORGET_AFTER))
    return ended


def shift_sessions(clinic: "Clinic", by: timedelta) -> None:
    """Move all sessions with the clock of a demo, so that moving it logs nobody out."""

    def write(tx: Tx) -> None:
        for session in rows.all_sessions(tx):
            rows.update_session(
                tx,
                session.id_hash,
                created_at=session.created_at + by,
                seen_at=session.seen_at + by,
            )

    clinic.db.write(write)


def lock(clinic: "Clinic", principal: Principal, actor: Actor) -> None:
    """Lock the screen: nothing but unlocking and logging out until the password was typed."""

    def write(tx: Tx) -> None:
        if not principal.is_locked:
            rows.update_session(tx, principal.session_hash, locked_at=tx.now)
            tx.audit("screen_locked", actor=actor, table="sessions", record=_handle(principal))

    clinic.db.write(write)


def unlock(clinic: "Clinic", principal: Principal, password: str, actor: Actor) -> None:
    """
    Unlock the screen; wrong tries count like those of a login.

    Raises:
        LoginFailed: The password is wrong.
        LoginDelayed: Too many wrong tries; nothing was compared.
    """
    proof = weigh(clinic, principal.username, password)

    def write(tx: Tx) -> bool:
        if settle(tx, proof, actor, "unlock_failed") is None:
            return False
        rows.update_session(tx, principal.session_hash, locked_at=None, seen_at=tx.now)
        tx.audit("screen_unlocked", actor=actor, table="sessions", record=_handle(principal))
        return True

    if not clinic.db.write(write):
        raise LoginFailed("wrong password")


def _end_if_over(clinic: "Clinic", tx: Tx, session_hash: str) -> bool:
    found = rows.find_session(tx, session_hash)
    why = None if found is None else _why_over(clinic, found[0], tx.now)
    return why is not None and end_session(clinic, tx, session_hash, SYSTEM, why)


def limits_of(clinic: "Clinic") -> tuple[timedelta, timedelta]:
    """Return for how long a login lasts without a touch, and in all."""
    security = clinic.config.security
    return (
        timedelta(minutes=security.session_idle_minutes),
        timedelta(hours=security.session_max_hours),
    )


def _why_over(clinic: "Clinic", session: rows.Session, now: datetime) -> str | None:
    idle, most = limits_of(clinic)
    if now - session.created_at >= most:
        return "expired"
    return "idle" if now - session.seen_at >= idle else None


def _principal(user: rows.User, session_hash: str, *, is_locked: bool) -> Principal:
    return Principal(
        user_id=user.id,
        username=user.username,
        name=user.name,
        role=user.role,
        session_hash=session_hash,
        language=user.language,
        is_locked=is_locked,
    )


def _handle(principal: Principal) -> str:
    return principal.session_hash[:HANDLE_LENGTH]
