"""Faults of plugins are stored away from the hall's transactions, together, and none is lost."""

import logging
import time
from datetime import timedelta

import pytest

from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.plugin_host.outcomes import Fault
from puskesmas_queue.storage import fault_writer, faults
from puskesmas_queue.storage.fault_writer import FaultWriter
from support.waiting import until


class Rows:
    """A database that counts what is written, and fails when it is told."""

    def __init__(self) -> None:
        self.writes: list[int] = []
        self.is_down = False
        self.tries = 0

    def write(self, count) -> None:
        self.tries += 1
        if self.is_down:
            raise StorageUnavailable("the disk is full")
        self.writes.append(len(count.keywords["seen"]))


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def writer(rows):
    writer = FaultWriter(rows)
    writer.start()
    yield writer
    writer.close()


FAULT = Fault("guest", "choose_lane", "raised", "ValueError: broken")
LATE = Fault("guest", "choose_lane", "overran", "no answer within 100 ms")


def test_the_first_is_stored_at_once_and_later_ones_together(writer, rows, monkeypatch):
    """A plugin that fails at every call costs one transaction a second, not one a call."""
    monkeypatch.setattr(fault_writer, "PAUSE_S", 4.0)
    writer.put(FAULT)
    until(lambda: rows.writes == [1])
    for _ in range(50):
        writer.put(FAULT)
    time.sleep(0.1)
    assert rows.writes == [1]
    until(lambda: rows.writes == [1, 50])


def test_whoever_needs_them_waits_for_all(writer, rows, monkeypatch):
    monkeypatch.setattr(fault_writer, "PAUSE_S", 60.0)
    for expected in ([3], [3, 2]):
        for _ in range(expected[-1]):
            writer.put(FAULT)
        started = time.monotonic()
        writer.flush(30)
        assert time.monotonic() - started < fault_writer.PAUSE_S / 2
        assert sum(rows.writes) == sum(expected)


def test_what_could_not_be_stored_is_stored_later(writer, rows, monkeypatch, caplog):
    """And is told once, not once a second."""
    monkeypatch.setattr(fault_writer, "PAUSE_S", 0.02)
    rows.is_down = True
    writer.put(FAULT)
    until(lambda: rows.tries > 3)
    with pytest.raises(TimeoutError):
        writer.flush(0.05)
    rows.is_down = False
    writer.flush(30)
    assert sum(rows.writes) == 1
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [one.getMessage() for one in warnings] == [
        "faults of plugins wait to be stored, 1 of them: the disk is full"
    ]


def test_the_end_stores_what_is_left(rows):
    writer = FaultWriter(rows)
    writer.start()
    writer.put(FAULT)
    until(lambda: rows.writes == [1])
    writer.put(FAULT)
    writer.close()
    assert rows.writes == [1, 1]


def test_the_end_does_not_wait_for_a_dead_disk(rows, monkeypatch):
    monkeypatch.setattr(fault_writer, "PAUSE_S", 60.0)
    rows.is_down = True
    writer = FaultWriter(rows)
    writer.start()
    writer.put(FAULT)
    started = time.monotonic()
    writer.close()
    assert time.monotonic() - started < fault_writer.PAUSE_S / 2


def test_a_flood_does_not_fill_the_memory(rows, monkeypatch):
    """While the database takes nothing."""
    monkeypatch.setattr(fault_writer, "MOST_WAITING", 10)
    writer = FaultWriter(rows)
    for _ in range(50):
        writer.put(FAULT)
    writer.start()
    writer.close()
    assert rows.writes == [10]


def test_each_kind_is_counted_by_itself(clinic, clock):
    """Twelve that raised and one that ran out of time are not thirteen that did."""
    began = clock.now()
    clinic.db.write(lambda tx: faults.count(tx, [FAULT] * 12))
    clock.advance(timedelta(minutes=1))
    clinic.db.write(lambda tx: faults.count(tx, [FAULT]))
    (row,) = clinic.db.read(faults.load)
    assert (row.kind, row.count) == ("raised", 13)
    assert row.last_at - row.first_at >= timedelta(minutes=1)

    clinic.db.write(lambda tx: faults.count(tx, [FAULT, LATE, FAULT, LATE]))

    rows = {row.kind: row for row in clinic.db.read(faults.load)}
    assert {kind: row.count for kind, row in rows.items()} == {"raised": 15, "overran": 2}
    assert rows["overran"].first_at - began >= timedelta(minutes=1)
