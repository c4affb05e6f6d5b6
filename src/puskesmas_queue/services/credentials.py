"""
Passwords: hashing, and trying one with a growing delay for wrong tries.

A try has two halves. `weigh` reads and hashes outside any transaction, since argon2id takes tens
of milliseconds; `settle` judges inside one, after whatever other tries did meanwhile.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import LoginDelayed
from puskesmas_queue.domain.passwords import normalize_password, retry_delay_s
from puskesmas_queue.storage import accounts as rows
from puskesmas_queue.storage.transaction import Reading, Tx

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's argon2id parameters for a small machine: 19 MiB, two passes."""
NOBODY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$yT/hF5LVAL6wa4JTOySCSw"
    "$r1xBzqzlmDabhZhjbXRyS+XVMh28jWIzBiglQJ4CL4s"
)
"""Of a password that nobody has: an unknown name costs what a known one does."""
FORGET_AFTER = timedelta(hours=1)
"""Wrong tries count together until this long after the last."""


@dataclass(frozen=True, slots=True)
class Proof:
    """
    A password held against an account, not yet judged.

    Args:
        name_hash: Key of the tries under the typed name.
        credentials: The account as it was read, None for an unknown name.
        is_right: The password fits and the account is active.
        new_hash: The right password hashed anew, where the stored hash has old parameters.
    """

    name_hash: str
    credentials: rows.Credentials | None
    is_right: bool
    new_hash: str | None


def normalize_username(typed: str) -> str:
    """Make `Budi ` and `budi` one name."""
    return normalize_password(typed).strip().casefold()


def hash_password(password: str) -> str:
    """Hash a password with argon2id. Slow on purpose: never inside a transaction."""
    return HASHER.hash(normalize_password(password))


def weigh(clinic: "Clinic", typed_name: str, password: str) -> Proof:
    """
    Hold a password against the account of a typed name.

    Raises:
        LoginDelayed: Wrong tries under this name must wait; nothing was compared.
    """
    username = normalize_username(typed_name)
    name_hash = hashlib.sha256(username.encode()).hexdigest()

    def read(tx: Reading) -> tuple[rows.Failures | None, rows.Credentials | None]:
        return rows.find_failures(tx, name_hash), rows.find_credentials(tx, username)

    failures, credentials = clinic.db.read(read)
    if failures is not None:
        _refuse_too_early(failures, clinic.clock.now())
    stored = None if credentials is None else credentials.password_hash
    is_right = _verify(stored or NOBODY_HASH, password)
    if credentials is None or stored is None or not credentials.user.is_active:
        return Proof(name_hash, credentials, False, None)
    is_old = is_right and HASHER.check_needs_rehash(stored)
    return Proof(name_hash, credentials, is_right, hash_password(password) if is_old else None)


def settle(tx: Tx, proof: Proof, actor: Actor, wrong: str) -> rows.User | None:
    """
    Judge a weighed password: count a wrong one, forget the wrong ones before a right one.

    Args:
        tx: The transaction.
        proof: From `weigh`.
        actor: Who tried, for the audit of a wrong try.
        wrong: How the audit calls a wrong try.

    Returns:
        The user, None where the password was wrong. The caller commits in either case.

    Raises:
        LoginDelayed: Other tries failed meanwhile and this one came too early.
    """
    _refuse_too_early(rows.hold_failures(tx, proof.name_hash), tx.now)
    known = proof.credentials
    current = None if known is None else rows.find_credentials(tx, known.user.username, lock=True)
    if not _still_holds(proof, current):
        count = rows.count_failure(tx, proof.name_hash, tx.now - FORGET_AFTER)
        # An unknown name may be a password in the wrong field: it is not kept.
        tx.audit(
            wrong,
            actor=actor if current is None else as_user(actor, current.user),
            table="users",
            record=None if current is None else current.user.id,
            new={"failures": count},
        )
        return None
    assert current is not None
    rows.clear_failures(tx, proof.name_hash)
    if proof.new_hash is not None:
        rows.update_user(tx, current.user.id, password_hash=proof.new_hash)
    return current.user


def as_user(actor: Actor, user: rows.User) -> Actor:
    """Name the user that acts through this browser or command."""
    return replace(actor, kind="user", id=user.id, name=user.name, role=user.role)


def _still_holds(proof: Proof, current: rows.Credentials | None) -> bool:
    """Whether the password is right and neither it nor the account changed since it was read."""
    known = proof.credentials
    if not proof.is_right or known is None or current is None:
        return False
    return current.user.is_active and current.password_hash == known.password_hash


def _verify(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, normalize_password(password))
    except VerificationError:
        return False


def _refuse_too_early(failures: rows.Failures, now: datetime) -> None:
    passed_s = (now - failures.last_at).total_seconds()
    left_s = retry_delay_s(failures.count) - passed_s
    # A clock that was set back must not lock anybody out.
    if passed_s >= 0 and left_s > 0:
        raise LoginDelayed(math.ceil(left_s))
