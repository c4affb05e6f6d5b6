"""
What programs were answered, by their idempotency key, kept with the very change that it tells of.

Source: docs/decisions/0026-answers-of-programs.md
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, delete, select, update

from puskesmas_queue.storage.engine import Database
from puskesmas_queue.storage.tables import api_answers
from puskesmas_queue.storage.transaction import Reading, Tx, upsert

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A request that is to be carried out once.

    Args:
        holder: Whose keys these are, a user or a device.
        key: The request's idempotency key.
        request_hash: What the request said, to know a key that comes with another one.
    """

    holder: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered; `answer` is encrypted."""

    request_hash: str
    status: int
    answer: str


class Answered(Exception):
    """This key was answered before; nothing was changed."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__("answered before")
        self.kept = kept


class AnsweringDatabase(Database):
    """
    A clinic's rows for one request: its change and its answer are one transaction.

    Args:
        db: The clinic's rows.
        claim: The request.
        answer: Makes status and encrypted answer of what the change returned; no I/O.
    """

    def __init__(
        self, db: Database, claim: Claim, answer: Callable[[object], tuple[int, str]]
    ) -> None:
        super().__init__(db.engine, db.clinic_id, db.clock)
        self._db = db
        self._claim = claim
        self._answer = answer

    def read(self, fn: Callable[[Reading], T]) -> T:
        return self._db.read(fn)

    def write(self, fn: Callable[[Tx], T]) -> T:
        """
        Run `fn` in one transaction together with keeping its answer.

        Raises:
            Answered: The key was answered before.
            StorageUnavailable: The database did not take it; nothing was kept.
        """

        def run(tx: Tx) -> T:
            # Taking the key first makes a second request with it wait for this one.
            kept = None if _take(tx, self._claim) else find(tx, self._claim)
            if kept is not None:
                raise Answered(kept)
            result = fn(tx)
            _keep(tx, self._claim, *self._answer(result))
            return result

        return self._db.write(run)

    def close(self) -> None:
        """Leave the clinic's rows open: they are not this request's."""


def find(tx: Reading, claim: Claim) -> KeptAnswer | None:
    """Read what a key was answered."""
    row = tx.conn.execute(
        select(api_answers.c.request_hash, api_answers.c.status, api_answers.c.answer).where(
            *_is(tx, claim)
        )
    ).one_or_none()
    return None if row is None else KeptAnswer(*row)


def has_answers(tx: Reading, before: datetime) -> bool:
    """Say whether there are answers of before that moment."""
    table = api_answers
    old = (table.c.clinic_id == tx.clinic_id, table.c.created_at < before)
    return tx.conn.execute(select(table.c.status).where(*old).limit(1)).first() is not None


def forget_answers(tx: Tx, before: datetime) -> None:
    """Forget answers of before that moment."""
    table = api_answers
    tx.conn.execute(
        delete(table).where(table.c.clinic_id == tx.clinic_id, table.c.created_at < before)
    )


def _take(tx: Tx, claim: Claim) -> bool:
    taken = tx.conn.execute(
        upsert(tx, api_answers)
        .values(
            clinic_id=tx.clinic_id,
            holder=claim.holder,
            key=claim.key,
            request_hash=claim.request_hash,
            status=0,
            answer="",
            created_at=tx.now,
        )
        .on_conflict_do_nothing()
        .returning(api_answers.c.key)
    )
    return taken.first() is not None


def _keep(tx: Tx, claim: Claim, status: int, answer: str) -> None:
    tx.conn.execute(update(api_answers).where(*_is(tx, claim)).values(status=status, answer=answer))


def _is(tx: Reading, claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        api_answers.c.clinic_id == tx.clinic_id,
        api_answers.c.holder == claim.holder,
        api_answers.c.key == claim.key,
    )
