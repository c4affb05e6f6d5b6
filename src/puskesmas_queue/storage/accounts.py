"""Rows of users, their sessions, failed logins and password links."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, insert, select, update

from puskesmas_queue.domain.access import Role
from puskesmas_queue.storage.tables import login_failures, password_links, sessions, users
from puskesmas_queue.storage.transaction import Reading, Tx, insert_row, upsert


@dataclass(frozen=True, slots=True)
class User:
    """A staff account; its password's hash stays in `Credentials`."""

    id: int
    username: str
    name: str
    role: Role
    language: str
    is_active: bool
    last_login: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login is checked against; `password_hash` is None until a password was set."""

    user: User
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A login of a user, known by the hash of its id."""

    id_hash: str
    user_id: int
    created_at: datetime
    seen_at: datetime
    locked_at: datetime | None
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong tries under one typed name, since the last right one."""

    count: int
    last_at: datetime


USER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.name,
    users.c.role,
    users.c.language,
    users.c.is_active,
    users.c.last_login,
    users.c.created_at,
)
_SESSION = (
    sessions.c.id_hash,
    sessions.c.user_id,
    sessions.c.created_at,
    sessions.c.seen_at,
    sessions.c.locked_at,
    sessions.c.ip_address,
    sessions.c.user_agent,
)


def to_user(row: Any) -> User:
    """Make a user of a row that begins with `USER_COLUMNS`."""
    identity, username, name, role, language, is_active, last_login, created_at = row[:8]
    return User(identity, username, name, Role(role), language, is_active, last_login, created_at)


def _session(row: Any) -> Session:
    return Session(*row)


def find_credentials(tx: Reading, username: str, *, lock: bool = False) -> Credentials | None:
    """Return the account of that exact username, whether active or not."""
    statement = select(*USER_COLUMNS, users.c.password_hash).where(
        users.c.clinic_id == tx.clinic_id, users.c.username == username
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Credentials(to_user(row), row.password_hash)


def list_users(tx: Reading) -> tuple[User, ...]:
    """Return all accounts by username."""
    rows = tx.conn.execute(
        select(*USER_COLUMNS).where(users.c.clinic_id == tx.clinic_id).order_by(users.c.username)
    )
    return tuple(to_user(row) for row in rows)


def insert_user(tx: Tx, username: str, name: str, role: Role, password_hash: str | None) -> int:
    """Insert an active account and return its id."""
    return insert_row(
        tx,
        users,
        {
            "username": username,
            "name": name,
            "role": role.value,
            "password_hash": password_hash,
            "language": "id",
            "is_active": True,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )


def update_user(tx: Tx, user_id: int, **values: object) -> None:
    """Change columns of an account."""
    tx.conn.execute(
        update(users)
        .where(users.c.clinic_id == tx.clinic_id, users.c.id == user_id)
        .values(updated_at=tx.now, **values)
    )


def insert_session(
    tx: Tx, id_hash: str, user_id: int, address: str | None, user_agent: str | None
) -> None:
    """Insert a login that begins now."""
    tx.conn.execute(
        insert(sessions).values(
            clinic_id=tx.clinic_id,
            id_hash=id_hash,
            user_id=user_id,
            created_at=tx.now,
            seen_at=tx.now,
            ip_address=address,
            user_agent=user_agent,
        )
    )


def find_session(tx: Reading, id_hash: str) -> tuple[Session, User] | None:
    """Return a session with its user, whether still valid or not."""
    row = tx.conn.execute(
        select(*USER_COLUMNS, *_SESSION)
        .join_from(
            sessions,
            users,
            and_(users.c.clinic_id == sessions.c.clinic_id, users.c.id == sessions.c.user_id),
        )
        .where(sessions.c.clinic_id == tx.clinic_id, sessions.c.id_hash == id_hash)
    ).first()
    return None if row is None else (_session(row[8:]), to_user(row))


def hold_session(tx: Tx, id_hash: str) -> bool:
    """Keep a session from ending until this transaction does; False where it is over."""
    statement = select(sessions.c.user_id).where(
        sessions.c.clinic_id == tx.clinic_id, sessions.c.id_hash == id_hash
    )
    return tx.conn.execute(statement.with_for_update()).first() is not None


def sessions_of(tx: Reading, user_id: int) -> tuple[Session, ...]:
    """Return the sessions of a user, the one seen latest first."""
    rows = tx.conn.execute(
        select(*_SESSION)
        .where(sessions.c.clinic_id == tx.clinic_id, sessions.c.user_id == user_id)
        .order_by(sessions.c.seen_at.desc(), sessions.c.id_hash)
    )
    return tuple(_session(row) for row in rows)


def stale_sessions(
    tx: Reading, seen_before: datetime, created_before: datetime
) -> tuple[Session, ...]:
    """Return the sessions that were idle or open for too long."""
    rows = tx.conn.execute(
        select(*_SESSION)
        .where(
            sessions.c.clinic_id == tx.clinic_id,
            (sessions.c.seen_at <= seen_before) | (sessions.c.created_at <= created_before),
        )
        .order_by(sessions.c.id_hash)
    )
    return tuple(_session(row) for row in rows)


def all_sessions(tx: Reading) -> tuple[Session, ...]:
    """Return every session of the clinic."""
    rows = tx.conn.execute(select(*_SESSION).where(sessions.c.clinic_id == tx.clinic_id))
    return tuple(_session(row) for row in rows)


def update_session(tx: Tx, id_hash: str, **values: object) -> None:
    """Change columns of a session."""
    tx.conn.execute(
        update(sessions)
        .where(sessions.c.clinic_id == tx.clinic_id, sessions.c.id_hash == id_hash)
        .values(**values)
    )


def delete_session(tx: Tx, id_hash: str) -> bool:
    """Delete a session; False where it was gone already."""
    result = tx.conn.execute(
        delete(sessions).where(sessions.c.clinic_id == tx.clinic_id, sessions.c.id_hash == id_hash)
    )
    return result.rowcount == 1


def find_failures(tx: Reading, name_hash: str) -> Failures | None:
    """Return the wrong tries under a typed name."""
    row = tx.conn.execute(
        select(login_failures.c.failures, login_failures.c.last_at).where(
            login_failures.c.clinic_id == tx.clinic_id, login_failures.c.name_hash == name_hash
        )
    ).first()
    return None if row is None else Failures(row.failures, row.last_at)


def hold_failures(tx: Tx, name_hash: str) -> Failures:
    """Lock the tries under a typed name, so that tries at once are judged one after another."""
    table = login_failures
    statement = upsert(tx, table).values(
        clinic_id=tx.clinic_id, name_hash=name_hash, failures=0, last_at=tx.now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["clinic_id", "name_hash"], set_={"failures": table.c.failures}
    )
    row = tx.conn.execute(statement.returning(table.c.failures, table.c.last_at)).one()
    return Failures(row.failures, row.last_at)


def count_failure(tx: Tx, name_hash: str, forget_before: datetime) -> int:
    """Count one more wrong try, from one where the last is long ago; return the count."""
    table = login_failures
    statement = upsert(tx, table).values(
        clinic_id=tx.clinic_id, name_hash=name_hash, failures=1, last_at=tx.now
    )
    counted = case((table.c.last_at <= forget_before, 1), else_=table.c.failures + 1)
    statement = statement.on_conflict_do_update(
        index_elements=["clinic_id", "name_hash"],
        set_={"failures": counted, "last_at": tx.now},
    )
    return int(tx.conn.execute(statement.returning(table.c.failures)).scalar_one())


def clear_failures(tx: Tx, name_hash: str) -> None:
    """Forget the wrong tries under a typed name."""
    tx.conn.execute(
        delete(login_failures).where(
            login_failures.c.clinic_id == tx.clinic_id, login_failures.c.name_hash == name_hash
        )
    )


def has_failures(tx: Reading, before: datetime) -> bool:
    """Say whether there are wrong tries that are long ago."""
    row = tx.conn.execute(
        select(login_failures.c.failures)
        .where(login_failures.c.clinic_id == tx.clinic_id, login_failures.c.last_at <= before)
        .limit(1)
    ).first()
    return row is not None


def forget_failures(tx: Tx, before: datetime) -> None:
    """Forget all wrong tries that are long ago."""
    tx.conn.execute(
        delete(login_failures).where(
            login_failures.c.clinic_id == tx.clinic_id, login_failures.c.last_at <= before
        )
    )


def insert_link(tx: Tx, token_hash: str, user_id: int, expires_at: datetime) -> None:
    """Insert a password link and make the user's earlier ones worthless."""
    close_links(tx, user_id)
    tx.conn.execute(
        insert(password_links).values(
            clinic_id=tx.clinic_id,
            token_hash=token_hash,
            user_id=user_id,
            created_at=tx.now,
            expires_at=expires_at,
        )
    )


def find_link(tx: Reading, token_hash: str, *, lock: bool = False) -> User | None:
    """Return the active user whose unused, unexpired link this is."""
    statement = (
        select(*USER_COLUMNS)
        .join_from(
            password_links,
            users,
            and_(
                users.c.clinic_id == password_links.c.clinic_id,
                users.c.id == password_links.c.user_id,
            ),
        )
        .where(
            password_links.c.clinic_id == tx.clinic_id,
            password_links.c.token_hash == token_hash,
            password_links.c.used_at.is_(None),
            password_links.c.expires_at > tx.now,
            users.c.is_active,
        )
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else to_user(row)


def close_links(tx: Tx, user_id: int) -> None:
    """Make all open links of a user worthless."""
    tx.conn.execute(
        update(password_links)
        .where(
            password_links.c.clinic_id == tx.clinic_id,
            password_links.c.user_id == user_id,
            password_links.c.used_at.is_(None),
        )
        .values(used_at=tx.now)
    )
