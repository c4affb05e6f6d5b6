"""
Facts while the server is killed: at least once, in order per ticket, never too late.

The receiver is an installed plugin that fails three times in ten, half of them after it acted. Real
server processes over HTTP; what they leave is delivered here, by a clock that need not wait.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.domain.events import TICKET_FACTS, lifetime
from puskesmas_queue.services import facts, letters
from puskesmas_queue.settings import Config, load_config
from puskesmas_queue.storage.tables import deliveries, events
from puskesmas_queue.storage.transaction import Reading
from puskesmas_queue.workers.outbox import Outbox
from scale.crowd import Crowd, Fleet, make_open_clinic, paired_kiosks
from support.distributions import Shelf, shelf_on_path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

PLUGIN = "receiver"
KIOSKS = 8
COUNTERS = 5
FACTS_EACH = 4
"""Issued, called, serving, completed."""
QUIET_S, FEW = 3.0, 20
CODE = """
import json
import os
import zlib

from puskesmas_queue.hookspecs import hookimpl

PATH = {path!r}


def hear(fact, ticket, ctx):
    dice = zlib.crc32(f"{{fact.id}} {{fact.attempt}}".encode()) % 20
    if dice < 3:
        raise RuntimeError("not now")
    age_s = (ctx.now - fact.at).total_seconds()
    line = json.dumps([fact.id, fact.kind, ticket.id, age_s]) + "\\n"
    with open(PATH, "ab", buffering=0) as file:
        file.write(line.encode())
    if dice < 6:
        raise RuntimeError("done, but who knows")
"""
HEARING = """

@hookimpl
def {kind}(fact, ticket, ctx):
    hear(fact, ticket, ctx)
"""


@dataclass(frozen=True)
class Size:
    """`patience_s`: how long the last server goes on after its crowd, till leases end."""

    facts: int
    kills: int
    limit_s: float
    patience_s: float

    @property
    def tickets(self) -> int:
        return self.facts // FACTS_EACH + 2 * COUNTERS


@dataclass
class Receiver:
    """What the plugin wrote down: fact, kind, ticket and age in seconds, as it happened."""

    path: Path

    def heard(self) -> list[list[Any]]:
        # A line that a killed process wrote is whole: it was one write.
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def times(self) -> int:
        with self.path.open("rb") as file:
            return sum(1 for _ in file)


@dataclass
class ServedCrowd(Crowd):
    """
    A crowd that goes home when nearly all were served, so that most tickets have all their facts.

    Not all: that a ticket was served may be in the answer that a killed server never gave.
    """

    @property
    def _is_over(self) -> bool:
        is_done = self._served() >= self.tickets - COUNTERS
        return is_done or bool(self.faults) or time.monotonic() > self._until

    def wait_for_served(self, tickets: int) -> None:
        """Wait until the counters served so many."""
        while self._served() < tickets and not self._is_over:
            time.sleep(0.01)

    def _served(self) -> int:
        return sum(len(served) for served in list(self.served.values()))


@pytest.fixture
def size(is_soak: bool) -> Size:
    return Size(10_000, 10, 1500, 75) if is_soak else Size(300, 2, 300, 0)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    folder = tmp_path / "shelf"
    folder.mkdir()
    with shelf_on_path(folder) as shelf:
        yield shelf


@pytest.fixture
def receiver(tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """An installed plugin, for this process and those of the server."""
    path = tmp_path / "heard.jsonl"
    path.touch()
    code = CODE.format(path=str(path))
    shelf.install(PLUGIN, code + "".join(HEARING.format(kind=kind) for kind in TICKET_FACTS))
    monkeypatch.setenv("PYTHONPATH", str(shelf.folder), prepend=os.pathsep)
    return Receiver(path)


@pytest.mark.parametrize(
    ("kind", "workers"),
    [
        pytest.param("sqlite", 1, id="sqlite"),
        pytest.param("postgresql", 2, id="postgresql-2-workers", marks=pytest.mark.postgres),
    ],
)
def test_facts_hold_while_the_server_is_killed(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    size: Size,
    receiver: Receiver,
    kind: str,
    workers: int,
):
    """No fact is lost, none overtakes another of its ticket, none is told too late."""
    url = "sqlite:///data/puskesmas.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    config, passwords = make_open_clinic(tmp_path, url, COUNTERS)
    with config.path.open("a") as file:
        file.write(f'\n[plugins]\nactive = ["{PLUGIN}"]\n')
    config = load_config(config.path, {})
    started = time.monotonic()
    fleet = Fleet(config, workers)
    try:
        fleet.start()
        crowd = ServedCrowd(fleet.port, size.tickets, size.limit_s)
        crowd.come(paired_kiosks(config, KIOSKS), passwords)
        for kill in range(1, size.kills + 1):
            # In turns by what was served and by what was told: telling takes longer.
            if kill % 2:
                crowd.wait_for_served(size.tickets * kill // (size.kills + 2))
            else:
                wait_for(receiver, size.facts * kill // (size.kills + 1), size.limit_s)
            fleet.kill()
            fleet.start()
        crowd.go_home()
        wait_until_quiet(receiver, size.patience_s)
    finally:
        fleet.stop()
    assert crowd.faults == []
    seconds, by_server = time.monotonic() - started, receiver.times()
    deliver_rest(config, size.limit_s)
    check(config, receiver, size, f"{by_server} of them by the server in {seconds:.0f} s")


def wait_for(receiver: Receiver, times: int, limit_s: float) -> None:
    """Wait until the receiver heard so often."""
    deadline = time.monotonic() + limit_s
    while receiver.times() < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_quiet(receiver: Receiver, patience_s: float) -> None:
    """Let the server go on for a while, and then for as long as it has much to tell."""
    enough = time.monotonic() + patience_s
    while time.monotonic() < enough:
        time.sleep(0.1)
    before = 0
    while patience_s and receiver.times() - before > FEW:
        before = receiver.times()
        time.sleep(QUIET_S)


def deliver_rest(config: Config, limit_s: float) -> None:
    """Deliver what waits for a lease or for another try, as if the time had come."""
    clock = ShiftedClock()
    clinic = open_clinic(config, clock)
    outbox = Outbox(clinic)
    deadline = time.monotonic() + limit_s
    try:
        outbox.start(PLUGIN)
        before = None
        while (now := clinic.db.read(_left)).times:
            assert time.monotonic() < deadline
            if now == before and now.next_at is not None:
                # Nothing has moved: everything waits for a time that is still to come.
                clock.move_to(now.next_at)
            outbox.wake()
            before = now
            time.sleep(0.15)
    finally:
        outbox.stop(30)
        clinic.close()


@dataclass(frozen=True)
class Left:
    """Open deliveries: how many, how often they were tried, and when the first one rests until."""

    times: int
    attempts: int
    next_at: datetime | None


def _left(tx: Reading) -> Left:
    columns = (deliveries.c.attempts, deliveries.c.next_at)
    found = tx.conn.execute(select(*columns).where(deliveries.c.state == "open")).all()
    # Those behind another one of their ticket have been due for long.
    resting = [row.next_at for row in found if row.next_at > tx.now]
    return Left(len(found), sum(row.attempts for row in found), min(resting, default=None))


def check(config: Config, receiver: Receiver, size: Size, words: str) -> None:
    """Compare what was heard with what happened."""
    clinic = open_clinic(config)
    try:
        happened = clinic.db.read(
            lambda tx: tx.conn.execute(
                select(events.c.id, events.c.kind, events.c.ticket_id)
                .where(events.c.kind.in_(TICKET_FACTS))
                .order_by(events.c.id)
            ).all()
        )
        settled = {
            f"{clinic.id}-{row.event_id}": row.state
            for row in clinic.db.read(lambda tx: tx.conn.execute(select(deliveries)).all())
        }
        listed = letters.dead_letters(clinic, limit=len(happened))
        counts = facts.delivery_counts(clinic)
        names = {f"{clinic.id}-{row.id}": row for row in happened}
    finally:
        clinic.close()
    heard = receiver.heard()
    once = dict.fromkeys(name for name, *_ in heard)
    given_up = {name for name, state in settled.items() if state in {"dead", "expired"}}
    print(
        f"{len(happened)} facts, {size.kills} kills, {len(heard)} deliveries that acted, "
        f"{len(heard) - len(once)} of them again, {len(given_up)} given up, {words}"
    )

    # Every fact had its row; each was told, or is among the dead letters.
    assert len(happened) >= size.facts
    assert settled.keys() == names.keys()
    assert set(settled.values()) <= {"done", "dead", "expired"}
    assert once.keys() <= names.keys()
    assert names.keys() - once.keys() <= given_up
    assert len(listed) == len(given_up) == sum(counts.values())
    assert {(letter.kind, letter.ticket_id) for letter in listed} == {
        (names[name].kind, names[name].ticket_id) for name in given_up
    }

    # One that goes by `fact.id` has each once, with the words of its own event.
    assert {name: (row.kind, row.ticket_id) for name, row in names.items() if name in once} == {
        name: (kind, ticket) for name, kind, ticket, _ in heard
    }

    # In order, also where a fact was told again.
    by_ticket = defaultdict(list)
    for name, _, ticket, _ in heard:
        by_ticket[ticket].append(names[name].id)
    assert all(ids == sorted(ids) for ids in by_ticket.values())

    # Never too late; the plugin looks at the clock a moment after the outbox did.
    for _, kind, _, age_s in heard:
        assert age_s < lifetime(kind).total_seconds() + 1
