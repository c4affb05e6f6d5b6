"""
Jobs, stored before anything is sent.

A job is named by what it prints and by who asked (`subject`, `job`): asked for again it is not
printed again, and the answer is how it fared. It is `waiting` until its first byte may leave,
`sending` from then on, and `printed`, `unsure` or `failed` at its end. Whoever has it says until
when (`lease_ms`): a job of a process that died is `unsure` where it was sending, and `failed`
where it was not. There is nothing in it about a person: a number, its unit and its code.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, case, delete, func, select, update

from puskesmas_queue.api import Context
from puskesmas_queue.plugin_tables import insert, own_data
from puskesmas_queue_escpos_printer.protocol import Sent
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.tables import JOBS, now_ms

WAITING_S = 15.0
"""A job that waits longer belongs to nobody any more."""
SENDING_S = 60.0
"""Longer than a printer's `Limits.whole_s` with all around it."""
LONGEST_DETAIL = 200
TROUBLE = ("unsure", "failed")
_PROCESS = secrets.token_hex(8)
"""Begins the claims of this process: what it has itself is not lost."""

JobState = Literal["waiting", "sending", "printed", "unsure", "failed"]


@dataclass(frozen=True, slots=True)
class Order:
    """
    What is to be printed.

    Args:
        subject: A ticket's code; for anything else its kind.
        job: The same where somebody asks again.
        kind: `ticket`, `test` or `day`.
        number: Of the ticket, for staff.
        place: Where it was asked for; empty: at an office page.
        place_name: Which kiosk or counter.
        slip: The slip as text, so that it can be printed again; empty where it cannot.
    """

    subject: str
    job: str
    kind: str
    number: str = ""
    place: str = ""
    place_name: str = ""
    slip: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job as it stands.

    Args:
        order: What is printed.
        state: See the module.
        printer_id: Which printer has or had it; empty: none yet.
        printer_name: What it was called then.
        reason: Why it is not printed; or what staff should see to though it is.
        detail: What the system or the printer said.
        is_settled: Whether staff did something about it: nobody needs to look any more.
        created_at: When it was asked for, aware.
        changed_at: When its state last changed, aware.
    """

    order: Order
    state: JobState
    printer_id: str
    printer_name: str
    reason: Reason | None
    detail: str
    is_settled: bool
    created_at: datetime
    changed_at: datetime

    @property
    def needs_somebody(self) -> bool:
        """Whether staff should look; of anything but a ticket, whoever asked was told at once."""
        return self.state in TROUBLE and bool(self.order.slip) and not self.is_settled


def claim(ctx: Context, order: Order) -> str | None:
    """
    Store a job as waiting, for oneself.

    Returns:
        What the other functions ask for; None where the job was there before.
    """
    mine = _PROCESS + secrets.token_hex(8)
    row = {
        "clinic_id": ctx.clinic_id,
        "subject": order.subject,
        "job": order.job,
        "kind": order.kind,
        "number": order.number,
        "place": order.place,
        "place_name": order.place_name,
        "slip": order.slip,
        "state": "waiting",
        "printer_id": "",
        "printer_name": "",
        "reason": "",
        "detail": "",
        "is_settled": False,
        "claim": mine,
        "lease_ms": _lease(WAITING_S),
        "created_at": ctx.now,
        "changed_at": ctx.now,
    }

    def run(connection: Connection) -> bool:
        added = insert(connection, JOBS, row).on_conflict_do_nothing().returning(JOBS.c.job)
        return connection.execute(added).first() is not None

    return mine if own_data(ctx).write(run) else None


def begin(ctx: Context, order: Order, mine: str, printer_id: str, printer_name: str) -> bool:
    """Store that a job is being sent; False where it is no longer one's own to send."""
    statement = (
        update(JOBS)
        .where(*_one(ctx, order), JOBS.c.claim == mine)
        .values(
            state="sending",
            printer_id=printer_id,
            printer_name=printer_name,
            lease_ms=_lease(SENDING_S),
            changed_at=ctx.now,
        )
    )

    def run(connection: Connection) -> bool:
        return connection.execute(statement).rowcount == 1

    return own_data(ctx).write(run)


def end(ctx: Context, order: Order, mine: str, sent: Sent, printer: tuple[str, str]) -> None:
    """Store how a job fared, and with which printer."""
    statement = (
        update(JOBS)
        .where(*_one(ctx, order), JOBS.c.claim == mine)
        .values(
            state=sent.state,
            printer_id=printer[0],
            printer_name=printer[1],
            reason="" if sent.reason is None else sent.reason.value,
            detail=sent.detail[:LONGEST_DETAIL],
            lease_ms=0,
            changed_at=ctx.now,
        )
    )

    def run(connection: Connection) -> None:
        connection.execute(statement)

    own_data(ctx).write(run)


def find(ctx: Context, subject: str, job: str) -> Job | None:
    """Return a job; None where there is none, or it was cleared."""
    query = select(JOBS).where(
        JOBS.c.clinic_id == ctx.clinic_id, JOBS.c.subject == subject, JOBS.c.job == job
    )

    def run(connection: Connection) -> Job | None:
        row = connection.execute(query).first()
        return None if row is None else _job(row)

    return own_data(ctx).read(run)


def latest(ctx: Context, limit: int = 50) -> list[Job]:
    """Return the latest jobs, newest first."""
    query = (
        select(JOBS)
        .where(JOBS.c.clinic_id == ctx.clinic_id)
        .order_by(JOBS.c.created_at.desc(), JOBS.c.job)
        .limit(limit)
    )

    def run(connection: Connection) -> list[Job]:
        return [_job(row) for row in connection.execute(query)]

    return own_data(ctx).read(run)


def in_trouble(ctx: Context, since: datetime, limit: int = 20) -> list[Job]:
    """Return the jobs that staff should look at, newest first."""
    query = (
        select(JOBS)
        .where(*_troubled(ctx, since))
        .order_by(JOBS.c.created_at.desc(), JOBS.c.job)
        .limit(limit)
    )

    def run(connection: Connection) -> list[Job]:
        return [_job(row) for row in connection.execute(query)]

    return own_data(ctx).read(run)


def count_in_trouble(ctx: Context, since: datetime) -> int:
    """Count the jobs that staff should look at."""
    query = select(func.count()).select_from(JOBS).where(*_troubled(ctx, since))

    def run(connection: Connection) -> int:
        return connection.scalar(query) or 0

    return own_data(ctx).read(run)


def settle(ctx: Context, order: Order, *, is_printed: bool) -> bool:
    """
    Note that staff did something about a job that ended without being surely printed.

    Args:
        is_printed: They have seen the paper; else they had it printed again.

    Returns:
        Whether there was such a job.
    """
    values: dict[str, Any] = {"is_settled": True}
    if is_printed:
        values |= {"state": "printed", "reason": Reason.BY_HAND.value, "changed_at": ctx.now}
    statement = update(JOBS).where(*_one(ctx, order), JOBS.c.state.in_(TROUBLE)).values(**values)

    def run(connection: Connection) -> bool:
        return connection.execute(statement).rowcount == 1

    return own_data(ctx).write(run)


def release_lost(ctx: Context, *, is_starting: bool = False) -> int:
    """
    End the jobs of processes that died: `unsure` where something may be out, else `failed`.

    Args:
        is_starting: The server begins. On SQLite it is the only one: every job that has not
            ended and is not its own is lost then, however short ago it was begun.

    Returns:
        How many there were.
    """
    own = (JOBS.c.clinic_id == ctx.clinic_id, JOBS.c.state.in_(("waiting", "sending")))
    lost = update(JOBS).values(
        state=case((JOBS.c.state == "sending", "unsure"), else_="failed"),
        reason=Reason.INTERRUPTED.value,
        claim="",
        lease_ms=0,
        changed_at=ctx.now,
    )

    def are_lost(connection: Connection) -> tuple[Any, ...]:
        is_alone = is_starting and connection.dialect.name == "sqlite"
        if is_alone:
            return (*own, ~JOBS.c.claim.startswith(_PROCESS))
        return (*own, JOBS.c.lease_ms < now_ms())

    def look(connection: Connection) -> bool:
        found = select(JOBS.c.job).where(*are_lost(connection)).limit(1)
        return connection.execute(found).first() is not None

    def run(connection: Connection) -> int:
        return connection.execute(lost.where(*are_lost(connection))).rowcount

    # Every look at the page comes by here: there is seldom something to write.
    data = own_data(ctx)
    return data.write(run) if data.read(look) else 0


def forget(ctx: Context, before: datetime) -> None:
    """Delete the jobs from before a moment."""
    statement = delete(JOBS).where(JOBS.c.clinic_id == ctx.clinic_id, JOBS.c.created_at < before)

    def run(connection: Connection) -> None:
        connection.execute(statement)

    own_data(ctx).write(run)


def _troubled(ctx: Context, since: datetime) -> Sequence[Any]:
    return (
        JOBS.c.clinic_id == ctx.clinic_id,
        JOBS.c.created_at >= since,
        JOBS.c.state.in_(TROUBLE),
        JOBS.c.slip != "",
        JOBS.c.is_settled.is_(False),
    )


def _one(ctx: Context, order: Order) -> Sequence[Any]:
    return (
        JOBS.c.clinic_id == ctx.clinic_id,
        JOBS.c.subject == order.subject,
        JOBS.c.job == order.job,
    )


def _lease(seconds: float) -> int:
    return now_ms() + int(seconds * 1000)


def _job(row: Row[Any]) -> Job:
    order = Order(row.subject, row.job, row.kind, row.number, row.place, row.place_name, row.slip)
    reason = Reason(row.reason) if row.reason else None
    return Job(
        order,
        row.state,
        row.printer_id,
        row.printer_name,
        reason,
        row.detail,
        row.is_settled,
        row.created_at,
        row.changed_at,
    )
