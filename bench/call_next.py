"""
Calling: does it stay as quick with a million old tickets, and how many counters can call at once.

Measured at the use case, below HTTP: what grows or not is the transaction. The old tickets and the
waiting ones are put in by bulk inserts; each call completes the ticket before and picks the next.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import harness
import load
import pgbench
from sqlalchemy import Connection, insert, text

from puskesmas_queue.cli.serve import SWITCH_S
from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import Actor, Role
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.services.counters import all_counters, open_counter
from puskesmas_queue.services.line import today
from puskesmas_queue.storage.tables import counters, tickets
from puskesmas_queue.storage.transaction import Tx

WAITING, FEWEST = 10_000, 500
OLD = 1_000_000
COUNTERS = 8
FIRST_SPARE, SPARES = 10, 11
"""Counters from this number on, so many of each thread, call once: nothing is served between."""
SPEAK_S = 0.02
"""What was called is spoken so soon: in a hall hundreds of calls would take an hour."""
CHUNK = 10_000
DAYS_OF_OLD = 1000
ACTOR = Actor("user", id=None, name="bench", role=Role.PETUGAS_LOKET)
SKIP_LOCKED = """
UPDATE tickets SET state = 'called', calls = 1, called_at = now(), last_called_at = now()
WHERE clinic_id = :clinic_id AND id = (
    SELECT id FROM tickets WHERE clinic_id = :clinic_id AND zone = 'main'
        AND service_date = :service_date AND state IN ('waiting', 'confirmed')
        AND lane = 'general'
    ORDER BY order_key, order_tie LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id;
"""


def main() -> int:
    """Measure and print."""
    # As the server does.
    sys.setswitchinterval(SWITCH_S)
    wanted = harness.read_command_line(__doc__)
    report = harness.Report("call next", "SQLite and PostgreSQL")
    with harness.scratch() as folder:
        for name in ("full", "empty"):
            (folder / name).mkdir()
        configs = [
            harness.make_bench_clinic(folder / name, "sqlite:///data/puskesmas.db", COUNTERS)
            for name in ("empty", "full")
        ]
        report.rows.append(_history("SQLite", configs, wanted))
    with harness.scratch() as folder, harness.postgres_server() as server:
        for name in ("full", "empty"):
            (folder / name).mkdir()
        urls = [server.create() for _ in range(3)]
        configs = [
            harness.make_bench_clinic(folder / name, url, COUNTERS)
            for name, url in zip(("empty", "full"), urls, strict=False)
        ]
        report.database = f"SQLite and PostgreSQL {harness.postgres_version(urls[0])}"
        report.rows.append(_history("PostgreSQL", configs, wanted))
        report.rows += _against_skip_locked(configs[0], urls[2], folder, wanted)
        for url in urls:
            server.drop(url)
    return report.print(as_json=wanted.as_json)


def _history(kind: str, configs: list[Any], wanted: harness.Wanted) -> harness.Row:
    """Compare calling with nothing old and with a long history, in turns."""
    waiting, old = max(FEWEST, wanted.size(WAITING, WAITING)), wanted.size(OLD, OLD // 5)
    calls = wanted.size(100, 60)
    clinics = [open_clinic(config) for config in configs]
    times: list[list[float]] = [[], []]
    try:
        for clinic, history in zip(clinics, (0, old), strict=True):
            fill(clinic, waiting, history)
            open_all(clinic)
        for clinic in clinics:
            _calls(clinic, 1, 20)
        for _ in range(wanted.runs):
            for series, clinic in zip(times, clinics, strict=True):
                forget_announcements(clinic)
                series.extend(_calls(clinic, 1, calls))
        twice = sum(_called_twice(clinic) for clinic in clinics)
    finally:
        for clinic in clinics:
            clinic.close()
    p50 = [load.percentile(series, 50) * 1000 for series in times]
    p99 = [load.percentile(series, 99) * 1000 for series in times]
    return harness.Row(
        f"{kind}: call next, {waiting:,} waiting, {old:,} old tickets against none",
        "ms (p50)",
        ceiling=p50[0],
        ours=p50[1],
        ratio=p50[1] / p50[0],
        target="<= 1.3",
        is_met=p50[1] / p50[0] <= 1.3,
        ceiling_p50_ms=p50[0],
        ceiling_p99_ms=p99[0],
        p50_ms=p50[1],
        p99_ms=p99[1],
        counts={"called twice": twice},
    )


def _against_skip_locked(
    config: Any, ceiling_url: str, folder: Path, wanted: harness.Wanted
) -> list[harness.Row]:
    """Compare all counters at once with one statement that knows no ratio, no rules, no audit."""
    waiting, calls = max(FEWEST, wanted.size(WAITING, WAITING)), wanted.size(60, 30)
    clinic = open_clinic(config)
    ceilings: list[pgbench.Result] = []
    alone, pairs = Rounds(), Rounds()
    try:
        _fill_ceiling(ceiling_url, waiting, today(clinic))
        add_spares(clinic)
        values = {"clinic_id": "ceiling", "service_date": today(clinic).isoformat()}
        for _ in range(wanted.runs):
            refill(ceiling_url)
            ceilings.append(
                pgbench.run(ceiling_url, folder, SKIP_LOCKED, values, COUNTERS, waiting // 2)
            )
            with spoken_at_once(clinic):
                for _ in range(max(1, calls // SPARES)):
                    alone.run(lambda thread: _calls_of_spares(clinic, thread))
                    complete_spares(clinic)
                pairs.run(lambda thread: _calls(clinic, thread + 1, calls))
        twice = _called_twice(clinic)
    finally:
        clinic.close()
    ceiling = harness.middle([one.rate for one in ceilings])
    return [
        harness.Row(
            f"PostgreSQL: {COUNTERS} counters {what}, against one-statement SKIP LOCKED",
            "calls/s",
            ceiling=ceiling,
            ours=harness.middle(ours.rates),
            ratio=harness.middle(ours.rates) / ceiling,
            target=">= 0.25",
            is_met=harness.middle(ours.rates) / ceiling >= 0.25,
            ceiling_p50_ms=harness.middle([one.p50_ms for one in ceilings]),
            ceiling_p99_ms=harness.middle([one.p99_ms for one in ceilings]),
            p50_ms=load.percentile(ours.times, 50) * 1000,
            p99_ms=load.percentile(ours.times, 99) * 1000,
            counts={"called twice": twice},
        )
        for what, ours in (("call", alone), ("complete, call and serve", pairs))
    ]


class Rounds:
    """Rates of several runs, and how long each call took, seconds."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.times: list[float] = []

    def run(self, calls: Callable[[int], list[float]]) -> None:
        """Let all counters call at the same time, each by its number from 0."""
        started = time.perf_counter()
        series = all_at_once(calls)
        self.rates.append(len(series) / (time.perf_counter() - started))
        self.times += series


def all_at_once(calls: Callable[[int], list[float]]) -> list[float]:
    """Let every counter call at the same time; return how long each call took."""
    with ThreadPoolExecutor(COUNTERS) as threads:
        return [one for many in threads.map(calls, range(COUNTERS)) for one in many]


def add_spares(clinic: Clinic) -> None:
    """Open the counters that call once."""
    rows = [
        {"clinic_id": clinic.id, "number": FIRST_SPARE + n, "zone": harness.ZONE, "state": "open"}
        for n in range(COUNTERS * SPARES)
    ]
    clinic.db.write(lambda tx: tx.conn.execute(counters.insert(), rows))


def complete_spares(clinic: Clinic) -> None:
    """Let everybody go whom the counters that call once have called."""
    over = text(f"UPDATE tickets SET state = 'completed' WHERE counter >= {FIRST_SPARE}")
    clinic.db.write(lambda tx: tx.conn.execute(over))


def _calls_of_spares(clinic: Clinic, thread: int) -> list[float]:
    """Call at one counter after the other; return how long each call took, seconds."""
    took = []
    for turn in range(SPARES):
        started = time.perf_counter()
        ticket = call_next(clinic, FIRST_SPARE + thread * SPARES + turn, ACTOR)
        took.append(time.perf_counter() - started)
        assert ticket is not None
    return took


@contextmanager
def spoken_at_once(clinic: Clinic) -> Iterator[None]:
    """Let what is called be spoken in no time."""
    is_over = threading.Event()

    def speak() -> None:
        while not is_over.wait(SPEAK_S):
            forget_announcements(clinic)

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        yield
    finally:
        is_over.set()
        speaking.join()
        forget_announcements(clinic)


def _calls(clinic: Clinic, counter: int, times: int) -> list[float]:
    """Call and serve at one counter; return how long each call took, seconds."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        ticket = call_next(clinic, counter, ACTOR)
        took.append(time.perf_counter() - started)
        assert ticket is not None
        serve(clinic, ticket.id, ACTOR, counter)
    return took


def forget_announcements(clinic: Clinic) -> None:
    """Let all be spoken."""
    spoken = text("UPDATE announcements SET state = 'spoken' WHERE state IN ('queued', 'speaking')")
    clinic.db.write(lambda tx: tx.conn.execute(spoken))


def open_all(clinic: Clinic) -> None:
    """Open every counter."""
    for counter in all_counters(clinic):
        open_counter(clinic, counter.number, f"session-{counter.number}", ACTOR)


def fill(clinic: Clinic, waiting: int, old: int) -> None:
    """Put in waiting tickets of today, every third a priority one, and completed ones before."""
    now = clinic.clock.now()
    day = today(clinic)
    clinic.db.write(lambda tx: _put(tx.conn, clinic.id, day, now, 0, waiting, None))
    for start in range(0, old, CHUNK):
        count = min(CHUNK, old - start)
        ago = 1 + start * DAYS_OF_OLD // max(old, 1)
        then = now - timedelta(days=ago)
        put: Callable[[Tx], None] = partial(
            _put_in, clinic.id, day - timedelta(days=ago), then, waiting + start, count
        )
        clinic.db.write(put)
    clinic.db.write(lambda tx: tx.conn.execute(text("ANALYZE")))


def _put_in(clinic_id: str, day: date, at: datetime, first: int, count: int, tx: Tx) -> None:
    _put(tx.conn, clinic_id, day, at, first, count, at)


def _put(
    conn: Connection,
    clinic_id: str,
    day: date,
    at: datetime,
    first: int,
    count: int,
    completed_at: datetime | None,
) -> None:
    key = int(at.timestamp() * 1_000_000)
    is_old = completed_at is not None
    conn.execute(
        insert(tickets),
        [
            {
                "clinic_id": clinic_id,
                "id": number + 1,
                "service_date": day,
                "number": f"{prefix}-{number + 1:07}",
                "prefix": prefix,
                "sequence": number + 1,
                "unit": "umum",
                "unit_sequence": number + 1,
                "zone": harness.ZONE,
                "lane": "priority" if prefix == "P" else "general",
                "priority_reason": "lansia" if prefix == "P" else None,
                "payment_type": "bpjs",
                "source": "kiosk",
                "state": "completed" if is_old else "waiting",
                "code": f"X{number:08}",
                "order_key": key + number,
                "order_tie": number,
                "calls": 1 if is_old else 0,
                "skips": 0,
                "issued_at": at,
                "called_at": completed_at,
                "last_called_at": completed_at,
                "serving_at": completed_at,
                "completed_at": completed_at,
                "counter": 1 if is_old else None,
            }
            for number in range(first, first + count)
            for prefix in ("P" if number % 3 == 0 else "A",)
        ],
    )


def _fill_ceiling(url: str, waiting: int, day: date) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as conn:
        for start in range(0, waiting, CHUNK):
            now = datetime.fromisoformat(f"{day}T01:00:00+00:00")
            _put(conn, "ceiling", day, now, start, min(CHUNK, waiting - start), None)
        conn.execute(text("UPDATE tickets SET lane = 'general'"))
    engine.dispose()


def refill(url: str) -> None:
    """Let everybody wait again, in a table as new."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE tickets SET state = 'waiting', calls = 0")
        connection.execute("VACUUM (FULL, ANALYZE) tickets")


def _called_twice(clinic: Clinic) -> int:
    count = "SELECT count(*) - count(DISTINCT ticket_id) FROM events WHERE kind = 'ticket_called'"
    return int(clinic.db.read(lambda tx: tx.conn.execute(text(count)).scalar_one()))


if __name__ == "__main__":
    sys.exit(main())
