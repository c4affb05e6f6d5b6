"""
A full hall: kiosks issue while counters call, and the server is killed in between.

Real server processes over HTTP. Small here, at the size of the hall's worst hour with `--soak`.
"""

from collections import Counter as Counted
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.settings import Config
from puskesmas_queue.storage.tables import events, idempotency_keys, tickets
from puskesmas_queue.storage.transaction import Reading
from scale.crowd import Crowd, Fleet, make_open_clinic, paired_kiosks
from scale.programs import Programs

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

KIOSKS = 32
COUNTERS = 5


@dataclass(frozen=True)
class Size:
    tickets: int
    kills: int
    limit_s: float


@dataclass
class Hall:
    config: Config
    fleet: Fleet
    passwords: list[str]


@pytest.fixture
def size(is_soak: bool) -> Size:
    return Size(5000, 20, 1500) if is_soak else Size(400, 2, 300)


@pytest.fixture(params=[Crowd, Programs], ids=["pages", "rest"])
def people(request: pytest.FixtureRequest) -> type[Crowd]:
    """By the pages that people use, or by REST with a key on every request."""
    kind: type[Crowd] = request.param
    return kind


@pytest.fixture(
    params=[
        pytest.param(("sqlite", 1), id="sqlite"),
        pytest.param(("postgresql", 2), id="postgresql-2-workers", marks=pytest.mark.postgres),
    ]
)
def hall(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hall]:
    """A clinic with five counters and its running server, of several processes on PostgreSQL."""
    kind, workers = request.param
    url = "sqlite:///data/puskesmas.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    config, passwords = make_open_clinic(tmp_path, url, COUNTERS)
    fleet = Fleet(config, workers)
    try:
        fleet.start()
        yield Hall(config, fleet, passwords)
    finally:
        fleet.stop()


def test_numbers_hold_while_counters_call(hall: Hall, size: Size, people: type[Crowd]):
    """No number twice, no gap, no ticket at two counters, nothing acknowledged is missing."""
    crowd = people(hall.fleet.port, size.tickets, size.limit_s)
    crowd.come(paired_kiosks(hall.config, KIOSKS), hall.passwords)
    crowd.go_home()
    hall.fleet.stop()

    check(hall.config, crowd)


def test_numbers_hold_while_the_server_is_killed(hall: Hall, size: Size, people: type[Crowd]):
    """The same with SIGKILL and a restart in between; clients retry with the same keys."""
    crowd = people(hall.fleet.port, size.tickets, size.limit_s)
    crowd.come(paired_kiosks(hall.config, KIOSKS), hall.passwords)
    for kill in range(1, size.kills + 1):
        crowd.wait_for(size.tickets * kill // (size.kills + 1))
        hall.fleet.kill()
        hall.fleet.start()
    crowd.go_home()
    hall.fleet.stop()

    check(hall.config, crowd)


def check(config: Config, crowd: Crowd) -> None:
    """Look at every row that came of a run."""
    assert crowd.faults == []
    clinic = open_clinic(config)
    try:
        clinic.db.read(lambda tx: _check_rows(tx, crowd))
    finally:
        clinic.close()


def _check_rows(tx: Reading, crowd: Crowd) -> None:
    rows = tx.conn.execute(select(tickets)).all()
    by_id = {row.id: row for row in rows}

    # One ticket per request, and the one that was acknowledged.
    assert len(rows) == len(crowd.given) == crowd.tickets
    keys = tx.conn.execute(select(idempotency_keys.c.key, idempotency_keys.c.ticket_id)).all()
    assert {row.key: by_id[row.ticket_id].code for row in keys} == crowd.given

    # No number twice, no gap: each series counts from 1 without a hole.
    series: dict[tuple[object, str], list[int]] = {}
    for row in rows:
        series.setdefault((row.service_date, row.prefix), []).append(row.sequence)
        assert row.number == f"{row.prefix}-{row.sequence:03}"
    for sequences in series.values():
        assert sorted(sequences) == list(range(1, len(sequences) + 1))

    # No ticket at two counters, none called twice, none served that nobody called.
    calls = tx.conn.execute(
        select(events.c.ticket_id, events.c.counter).where(events.c.kind == "ticket_called")
    ).all()
    assert max(Counted(row.ticket_id for row in calls).values()) == 1
    called_at = {row.ticket_id: row.counter for row in calls}
    for counter, served in crowd.served.items():
        assert len(served) == len(set(served))
        assert all(called_at[ticket] == counter == by_id[ticket].counter for ticket in served)
    # How many is a matter of speed, which other tests of the machine share.
    assert len(called_at) >= sum(map(len, crowd.served.values())) > 0
    issued = tx.conn.execute(select(events.c.ticket_id).where(events.c.kind == "ticket_issued"))
    assert sorted(issued.scalars()) == sorted(by_id)
