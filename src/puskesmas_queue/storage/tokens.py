"""Rows of programs' logins: families, and the refresh tokens in them, known by their hashes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, insert, select, update

from puskesmas_queue.storage.accounts import USER_COLUMNS, User, to_user
from puskesmas_queue.storage.tables import refresh_tokens, token_families, users
from puskesmas_queue.storage.transaction import Reading, Tx, insert_row


@dataclass(frozen=True, slots=True)
class Family:
    """
    A login of a program.

    Args:
        expires_at: Until when it is good unless it is refreshed before.
        revoked_at: When it was ended, None while it was not.
    """

    id: int
    user_id: int
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token; `used_at` is None while it is good."""

    family_id: int
    created_at: datetime
    used_at: datetime | None


_FAMILY = (
    token_families.c.id,
    token_families.c.user_id,
    token_families.c.created_at,
    token_families.c.expires_at,
    token_families.c.revoked_at,
    token_families.c.ip_address,
    token_families.c.user_agent,
)
_WITH_USER = select(*USER_COLUMNS, *_FAMILY).join_from(
    token_families,
    users,
    and_(users.c.clinic_id == token_families.c.clinic_id, users.c.id == token_families.c.user_id),
)


def insert_family(
    tx: Tx, user_id: int, expires_at: datetime, address: str | None, user_agent: str | None
) -> int:
    """Insert a login that begins now and return its id."""
    return insert_row(
        tx,
        token_families,
        {
            "user_id": user_id,
            "created_at": tx.now,
            "expires_at": expires_at,
            "ip_address": address,
            "user_agent": user_agent,
        },
    )


def find_family(tx: Reading, family_id: int, *, lock: bool = False) -> tuple[Family, User] | None:
    """Return a login with its user, whether still good or not; `lock` keeps it from ending."""
    statement = _WITH_USER.where(
        token_families.c.clinic_id == tx.clinic_id, token_families.c.id == family_id
    )
    if lock:
        statement = statement.with_for_update(of=token_families)
    row = tx.conn.execute(statement).first()
    return None if row is None else _family_and_user(row)


def good_families(tx: Reading) -> dict[int, tuple[Family, User]]:
    """Return the logins that are good now, by id, with their users."""
    rows = tx.conn.execute(
        _WITH_USER.where(
            token_families.c.clinic_id == tx.clinic_id,
            token_families.c.revoked_at.is_(None),
            token_families.c.expires_at > tx.now,
            users.c.is_active,
        )
    )
    return {family.id: (family, user) for family, user in map(_family_and_user, rows)}


def families_of(tx: Reading, user_id: int) -> tuple[Family, ...]:
    """Return the logins of a user that were not ended, the newest first."""
    rows = tx.conn.execute(
        select(*_FAMILY)
        .where(
            token_families.c.clinic_id == tx.clinic_id,
            token_families.c.user_id == user_id,
            token_families.c.revoked_at.is_(None),
        )
        .order_by(token_families.c.id.desc())
    )
    return tuple(Family(*row) for row in rows)


def open_families(tx: Reading, *, expired_before: datetime | None = None) -> tuple[Family, ...]:
    """Return the logins that were not ended: all, or those that ran out before a moment."""
    statement = select(*_FAMILY).where(
        token_families.c.clinic_id == tx.clinic_id, token_families.c.revoked_at.is_(None)
    )
    if expired_before is not None:
        statement = statement.where(token_families.c.expires_at <= expired_before)
    rows = tx.conn.execute(statement.order_by(token_families.c.id))
    return tuple(Family(*row) for row in rows)


def update_family(tx: Tx, family_id: int, **values: object) -> None:
    """Change columns of a login."""
    tx.conn.execute(
        update(token_families)
        .where(token_families.c.clinic_id == tx.clinic_id, token_families.c.id == family_id)
        .values(**values)
    )


def revoke_family(tx: Tx, family_id: int, why: str) -> bool:
    """End a login; False where it was over already."""
    result = tx.conn.execute(
        update(token_families)
        .where(
            token_families.c.clinic_id == tx.clinic_id,
            token_families.c.id == family_id,
            token_families.c.revoked_at.is_(None),
        )
        .values(revoked_at=tx.now, revoked_why=why)
    )
    return result.rowcount == 1


def insert_refresh(tx: Tx, token_hash: str, family_id: int) -> None:
    """Insert a refresh token that was not used yet."""
    tx.conn.execute(
        insert(refresh_tokens).values(
            clinic_id=tx.clinic_id,
            token_hash=token_hash,
            family_id=family_id,
            created_at=tx.now,
        )
    )


def lock_refresh(tx: Tx, token_hash: str) -> RefreshToken | None:
    """Read a refresh token that nobody else uses until this transaction ends."""
    row = tx.conn.execute(
        select(refresh_tokens.c.family_id, refresh_tokens.c.created_at, refresh_tokens.c.used_at)
        .where(
            refresh_tokens.c.clinic_id == tx.clinic_id, refresh_tokens.c.token_hash == token_hash
        )
        .with_for_update()
    ).one_or_none()
    return None if row is None else RefreshToken(*row)


def use_refresh(tx: Tx, token_hash: str) -> None:
    """Note that a refresh token was used: it is good no more."""
    tx.conn.execute(
        update(refresh_tokens)
        .where(
            refresh_tokens.c.clinic_id == tx.clinic_id, refresh_tokens.c.token_hash == token_hash
        )
        .values(used_at=tx.now)
    )


def has_families(tx: Reading, before: datetime) -> bool:
    """Say whether there are logins that ended and ran out before a moment."""
    row = tx.conn.execute(_old(tx, before).limit(1)).first()
    return row is not None


def forget_families(tx: Tx, before: datetime) -> None:
    """Forget logins that ran out before a moment, with their refresh tokens."""
    old = _old(tx, before)
    tx.conn.execute(
        delete(refresh_tokens).where(
            refresh_tokens.c.clinic_id == tx.clinic_id, refresh_tokens.c.family_id.in_(old)
        )
    )
    tx.conn.execute(
        delete(token_families).where(
            token_families.c.clinic_id == tx.clinic_id, token_families.c.id.in_(old)
        )
    )


def _old(tx: Reading, before: datetime) -> Select[Any]:
    return select(token_families.c.id).where(
        token_families.c.clinic_id == tx.clinic_id,
        token_families.c.revoked_at.is_not(None),
        token_families.c.expires_at < before,
    )


def _family_and_user(row: Any) -> tuple[Family, User]:
    users_part = len(USER_COLUMNS)
    return Family(*row[users_part:]), to_user(row)
