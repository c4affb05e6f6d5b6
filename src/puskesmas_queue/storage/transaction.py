"""
Transactions: one consistent look, or one change, of a clinic's rows.

Events, audit rows and topic versions are collected by the transaction and written at its end,
topics last and sorted, so that locks are always taken in one order.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Table, TextClause, func, insert, select

from puskesmas_queue.domain.access import Actor
from puskesmas_queue.storage.columns import Insert, insert_for
from puskesmas_queue.storage.round_trips import Question, Rows, ask, sqlite_driver

Audience = Callable[[str], Sequence[str]]
"""Names the plugins that hear of a kind of event."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class Reading:
    """One consistent look at a clinic's rows."""

    def __init__(self, conn: Connection, clinic_id: str, now: datetime) -> None:
        self._conn = conn
        self.clinic_id = clinic_id
        self.now = now

    @property
    def conn(self) -> Connection:
        """Where SQLAlchemy's statements are executed."""
        return self._conn

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._conn.dialect.name

    def ask(self, *questions: Question) -> list[Rows]:
        """Run statements in one round trip and return the rows of each; see `round_trips.ask`."""
        return ask(self._conn, questions)


class Tx(Reading):
    """
    One transaction: rows now; events, audit and topic versions at its end.

    What was put off by `later` is done before anything else is asked.
    """

    def __init__(self, conn: Connection, clinic_id: str, now: datetime) -> None:
        super().__init__(conn, clinic_id, now)
        self._put_off: list[Question] = []
        self.topics: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self.audits: list[dict[str, Any]] = []
        self.callbacks: list[Callable[[], None]] = []

    @property
    def conn(self) -> Connection:
        """Where SQLAlchemy's statements are executed."""
        self.ask()
        return self._conn

    def ask(self, *questions: Question) -> list[Rows]:
        """Run statements, and what was put off before them, in one round trip."""
        before = self.put_off()
        return ask(self._conn, [*before, *questions])[len(before) :] if before or questions else []

    def later(self, statement: TextClause, values: Mapping[str, Any]) -> None:
        """Run a statement whose rows nobody asks for: with the next one, or the commit."""
        if sqlite_driver(self._conn) is None:
            self._put_off.append((statement, values))
        else:
            ask(self._conn, [(statement, values)])

    def put_off(self) -> list[Question]:
        """Hand over what was put off; the caller runs it now."""
        put_off, self._put_off = self._put_off, []
        return put_off

    def touch(self, *topics: str) -> None:
        """Give these topics a new version when the transaction commits."""
        self.topics.update(topics)

    def event(
        self,
        kind: str,
        *,
        actor: Actor,
        zone: str | None = None,
        ticket_id: int | None = None,
        counter: int | None = None,
        reason: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that something happened, with who, where, when and why."""
        self.events.append(
            {
                "clinic_id": self.clinic_id,
                "occurred_at": self.now,
                "kind": kind,
                "zone": zone,
                "ticket_id": ticket_id,
                "counter": counter,
                "actor_id": actor.id,
                "device": actor.device,
                "reason": reason,
                "data": dict(data or {}),
            }
        )

    def audit(
        self,
        action: str,
        *,
        actor: Actor,
        table: str | None = None,
        record: str | int | None = None,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record who changed what, with old and new values of the changed fields."""
        self.audits.append(
            {
                "clinic_id": self.clinic_id,
                "occurred_at": self.now,
                "user_id": actor.id,
                "action": action,
                "table_name": table,
                "record_id": None if record is None else str(record),
                "reason": reason,
                "old_values": dict(old) if old is not None else None,
                "new_values": dict(new) if new is not None else None,
                "device": actor.device,
                "ip_address": actor.address,
                "user_agent": actor.user_agent,
            }
        )

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run `callback` once the rows are safe; never when they are not."""
        self.callbacks.append(callback)


def next_id(table: Table, clinic_id: str) -> Any:
    """Name the next id of a table for SQLite, where its one writer makes this safe."""
    same_clinic = table.c.clinic_id == clinic_id
    return select(func.coalesce(func.max(table.c.id), 0) + 1).where(same_clinic).scalar_subquery()


def insert_row(tx: Tx, table: Table, values: Mapping[str, Any]) -> int:
    """
    Insert one row of a table with a drawn id.

    Args:
        tx: The transaction.
        table: A table whose key is `(clinic_id, id)`.
        values: The row without `clinic_id` and `id`.

    Returns:
        The new id.
    """
    row: dict[str, Any] = {"clinic_id": tx.clinic_id, **values}
    if tx.dialect == "sqlite":
        row["id"] = next_id(table, tx.clinic_id)
    result = tx.conn.execute(insert(table).values(row).returning(table.c.id))
    return int(result.scalar_one())


def upsert(tx: Reading, table: Table) -> Insert:
    """Return the dialect's insert, which knows ON CONFLICT."""
    return insert_for(tx.dialect, table)


def channel(clinic_id: str) -> str:
    """Name the PostgreSQL notification channel of a clinic."""
    return f"puskesmas_queue_{clinic_id}"
