"""
Logins of programs: an access token that is checked from memory, and a refresh token good once.

The access token is a JWT, signed with a key derived from the clinic's key file. It names its
login, the family, whose state decides: a family that ended takes its access tokens along. The
refresh token is a random text of 256 bits of which the database holds the hash; each use gives a
new one, and one that comes a second time was stolen, or its successor was, so the family ends.

Source: security rules, "API".
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import SYSTEM, Actor, Principal
from puskesmas_queue.domain.errors import LoginFailed, NotFound, TokenRefused
from puskesmas_queue.services.counters import release_family
from puskesmas_queue.services.credentials import as_user, settle, weigh
from puskesmas_queue.services.sessions import hash_token, limits_of
from puskesmas_queue.storage import accounts
from puskesmas_queue.storage import tokens as rows
from puskesmas_queue.storage.accounts import User
from puskesmas_queue.storage.crypto import Keyring
from puskesmas_queue.storage.tokens import Family
from puskesmas_queue.storage.transaction import Tx

LOGINS_TOPIC = "logins"
"""Given a new version when a program logged in, refreshed its login, or was logged out."""
ACCESS_LIFETIME = timedelta(minutes=10)
KEPT = timedelta(days=1)
"""Tokens of a login that is over are recognized for so long."""
MOST_REMEMBERED = 1000
"""Tokens whose signature is remembered; further ones are checked each time."""
PURPOSE = "jwt"
ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "puskesmas-queue"
CLAIMS = ["iss", "aud", "sub", "exp", "iat", "jti", "fam"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    What a program is given; it is kept nowhere else.

    Args:
        access: For the header `Authorization: Bearer`.
        refresh: For one more pair of tokens, once.
        expires_in_s: Seconds for which the access token is good.
    """

    access: str
    refresh: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class _Checked:
    """
    The signing keys, and the tokens whose signature was found good with them, for some seconds.

    To check a signature is a fifth of what a ticket costs, and a program sends the same token
    again and again. `good` holds the login and the end of each.
    """

    keys: Mapping[str, bytes]
    good: dict[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class ProgramView:
    """A program's login as its user sees it."""

    family_id: int
    created_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


def log_in(clinic: Clinic, username: str, password: str, actor: Actor) -> Tokens:
    """
    Log a program in.

    Args:
        clinic: The clinic.
        username: As it came.
        password: As it came.
        actor: The program that asks.

    Raises:
        LoginFailed: Unknown name, wrong password or disabled account.
        LoginDelayed: Too many wrong tries under this name; nothing was compared.
        SetupError: The clinic has no key file to sign with.
    """
    keys = _keys(clinic)
    proof = weigh(clinic, username, password)

    def write(tx: Tx) -> Tokens | None:
        user = settle(tx, proof, actor, "login_failed")
        if user is None:
            return None
        who = as_user(actor, user)
        end = _expiry(clinic, tx.now, tx.now)
        family_id = rows.insert_family(tx, user.id, end, actor.address, actor.user_agent)
        accounts.update_user(tx, user.id, last_login=tx.now)
        tx.audit("login", actor=who, table="token_families", record=family_id)
        return _new_tokens(clinic, tx, keys, user, family_id, end)

    given = clinic.db.write(write)
    if given is None:
        raise LoginFailed("wrong name or password")
    return given


def refresh(clinic: Clinic, token: str, actor: Actor) -> Tokens:
    """
    Take a refresh token for a new pair; it is used up.

    Raises:
        TokenRefused: Unknown, or its login is over. One that was used before ends its login.
        SetupError: The clinic has no key file to sign with.
    """
    keys, token_hash = _keys(clinic), hash_token(token)

    def write(tx: Tx) -> Tokens | None:
        found = rows.lock_refresh(tx, token_hash)
        known = None if found is None else rows.find_family(tx, found.family_id, lock=True)
        if found is None or known is None:
            return None
        family, user = known
        who = as_user(actor, user)
        if found.used_at is not None:
            end_family(clinic, tx, family.id, who, "token reused")
            return None
        if not _is_good(family, user, tx.now):
            return None
        rows.use_refresh(tx, token_hash)
        end = _expiry(clinic, family.created_at, tx.now)
        rows.update_family(tx, family.id, expires_at=end)
        return _new_tokens(clinic, tx, keys, user, family.id, end)

    given = clinic.db.write(write)
    if given is None:
        raise TokenRefused("this refresh token is not good")
    return given


def revoke(clinic: Clinic, token: str, actor: Actor) -> None:
    """End the login of a refresh token, used or not; an unknown one is over already."""

    def write(tx: Tx) -> None:
        found = rows.lock_refresh(tx, hash_token(token))
        known = None if found is None else rows.find_family(tx, found.family_id, lock=True)
        if known is not None:
            family, user = known
            end_family(clinic, tx, family.id, as_user(actor, user), "logout")

    clinic.db.write(write)


def program_of(clinic: Clinic, token: str) -> Principal:
    """
    Return whose access token this is.

    Reads the database once in ten seconds, after a change, and before one is refused whose login
    is not known, or not as a good one.

    Raises:
        TokenRefused: It is none of this clinic's, is too old, or its login is over.
        SetupError: The clinic has no key file to check with.
    """
    who = principal_of(clinic, _family_of(clinic, token))
    if who is None:
        raise TokenRefused("this login is over")
    return who


def principal_of(clinic: Clinic, family_id: int) -> Principal | None:
    """Return whose login this is, None where it is over."""
    good = clinic.remembered(
        "logins", LOGINS_TOPIC, 0.0, lambda: clinic.db.read(rows.good_families)
    )
    now = clinic.clock.now()
    found = good.get(family_id)
    if found is None or not _is_good(*found, now):
        # Another process may have begun or refreshed it just now, and word of it is on its way.
        found = clinic.db.read(lambda tx: rows.find_family(tx, family_id))
    if found is None or not _is_good(*found, now):
        return None
    family, user = found
    return Principal(
        user_id=user.id,
        username=user.username,
        name=user.name,
        role=user.role,
        session_hash="",
        language=user.language,
        family=family.id,
    )


def list_programs(clinic: Clinic, principal: Principal) -> tuple[ProgramView, ...]:
    """Return the user's programs that are logged in, the newest first."""
    now = clinic.clock.now()
    return tuple(
        ProgramView(one.id, one.created_at, one.expires_at, one.address, one.user_agent)
        for one in clinic.db.read(lambda tx: rows.families_of(tx, principal.user_id))
        if one.expires_at > now
    )


def end_own_program(clinic: Clinic, principal: Principal, family_id: int, actor: Actor) -> None:
    """
    Log one of the user's programs out.

    Raises:
        NotFound: The user has no such login (any more).
    """

    def write(tx: Tx) -> None:
        found = rows.find_family(tx, family_id, lock=True)
        is_own = found is not None and found[0].user_id == principal.user_id
        if not is_own or not end_family(clinic, tx, family_id, actor, "ended by user"):
            raise NotFound("no such login of a program")

    clinic.db.write(write)


def end_programs_of(clinic: Clinic, tx: Tx, user_id: int, actor: Actor, why: str) -> int:
    """Log all programs of a user out inside a transaction; return how many."""
    ids = sorted(one.id for one in rows.families_of(tx, user_id))
    return sum(end_family(clinic, tx, one, actor, why) for one in ids)


def end_family(clinic: Clinic, tx: Tx, family_id: int, actor: Actor, why: str) -> bool:
    """End a login inside a transaction, with its counters; False where it was over already."""
    # The login first: who opens a counter for it meanwhile holds it, or finds it over.
    is_ended = rows.revoke_family(tx, family_id, why)
    release_family(clinic, tx, family_id, actor)
    if is_ended:
        action = "logout" if why == "logout" else "session_ended"
        tx.audit(action, actor=actor, table="token_families", record=family_id, reason=why)
        tx.touch(LOGINS_TOPIC)
    return is_ended


def hold_family(tx: Tx, family_id: int) -> bool:
    """Keep a login from ending before this transaction does; False where it is over."""
    found = rows.find_family(tx, family_id, lock=True)
    return found is not None and _is_good(*found, tx.now)


def end_idle_programs(clinic: Clinic) -> int:
    """
    Log out what was not refreshed in time, and forget old tokens. For the timer.

    Returns:
        How many logins ended.
    """
    now = clinic.clock.now()
    late = clinic.db.read(lambda tx: rows.open_families(tx, expired_before=now))
    ended = 0
    for family in late:
        ended += clinic.db.write(lambda tx, one=family.id: _end_if_over(clinic, tx, one))  # type: ignore[misc]
    if clinic.db.read(lambda tx: rows.has_families(tx, now - KEPT)):
        clinic.db.write(lambda tx: rows.forget_families(tx, tx.now - KEPT))
    return ended


def shift_programs(clinic: Clinic, by: timedelta) -> None:
    """Move all logins with the clock of a demo, so that moving it logs no program out."""

    def write(tx: Tx) -> None:
        for family in rows.open_families(tx):
            rows.update_family(
                tx,
                family.id,
                created_at=family.created_at + by,
                expires_at=family.expires_at + by,
            )
        tx.touch(LOGINS_TOPIC)

    clinic.db.write(write)


def keyring_of(clinic: Clinic) -> Keyring:
    """
    Return the keys of the clinic's stored secrets.

    Raises:
        SetupError: The key file is missing or damaged, or others may read it.
    """
    return clinic.remembered(
        "keyring", SETTINGS_TOPIC, 0.0, lambda: Keyring.load(clinic.config.key_path)
    )


def _end_if_over(clinic: Clinic, tx: Tx, family_id: int) -> bool:
    found = rows.find_family(tx, family_id, lock=True)
    is_late = found is not None and found[0].expires_at <= tx.now
    return is_late and end_family(clinic, tx, family_id, SYSTEM, "expired")


def _is_good(family: Family, user: User, now: datetime) -> bool:
    return family.revoked_at is None and family.expires_at > now and user.is_active


def _expiry(clinic: Clinic, created_at: datetime, now: datetime) -> datetime:
    """Until when a login is good that was refreshed now."""
    idle, most = limits_of(clinic)
    return min(created_at + most, now + idle)


def _new_tokens(
    clinic: Clinic,
    tx: Tx,
    keys: Mapping[str, bytes],
    user: User,
    family_id: int,
    end: datetime,
) -> Tokens:
    token = secrets.token_urlsafe(32)
    rows.insert_refresh(tx, hash_token(token), family_id)
    tx.touch(LOGINS_TOPIC)
    lifetime = min(ACCESS_LIFETIME, end - tx.now)
    # By the machine's own clock, as the library checks it: a demo's moved clock moves no token.
    issued_at = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": _audience(clinic),
        "sub": str(user.id),
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": secrets.token_urlsafe(12),
        "fam": family_id,
    }
    key_id = list(keys)[-1]
    headers = {"typ": TYPE, "kid": key_id}
    access = jwt.encode(claims, keys[key_id], algorithm=ALGORITHM, headers=headers)
    return Tokens(access, token, int(lifetime.total_seconds()))


def _family_of(clinic: Clinic, token: str) -> int:
    """Check an access token and return the login that it names."""
    checked = _checked(clinic)
    known = checked.good.get(token)
    if known is not None and known[1] > time.time():
        return known[0]
    keys = checked.keys
    try:
        header = jwt.get_unverified_header(token)
        key = keys.get(str(header.get("kid")))
        if key is None or header.get("typ") != TYPE:
            raise TokenRefused("this is no access token of this clinic")
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=_audience(clinic),
            issuer=ISSUER,
            options={"require": CLAIMS},
        )
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise TokenRefused(str(error)) from None
    family_id, end = claims["fam"], float(claims["exp"])
    if type(family_id) is not int:
        raise TokenRefused("a login has a number")
    if len(checked.good) < MOST_REMEMBERED:
        checked.good[token] = (family_id, end)
    return family_id


def _audience(clinic: Clinic) -> str:
    return f"{clinic.id}/api/v1"


def _checked(clinic: Clinic) -> _Checked:
    return clinic.remembered(
        "tokens",
        SETTINGS_TOPIC,
        0.0,
        lambda: _Checked(keyring_of(clinic).signing_keys(PURPOSE), {}),
    )


def _keys(clinic: Clinic) -> Mapping[str, bytes]:
    return _checked(clinic).keys
