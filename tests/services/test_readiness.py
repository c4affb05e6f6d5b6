"""Whether a number could be given now."""

import threading
import time
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.services import readiness
from puskesmas_queue.services.readiness import Readiness
from puskesmas_queue.storage import checkup, tables
from puskesmas_queue.web.connections import Connections
from support.clinics import MORNING, make_clinic, make_config
from support.desk import PassingClock, execute, rows_of


@pytest.fixture
def clock():
    return PassingClock(MORNING)


def test_probe_writes_and_changes_nothing(clinic):
    before = rows_of(clinic, tables.zones)
    versions = dict(clinic.versions)

    clinic.db.write(checkup.touch)

    assert rows_of(clinic, tables.zones) == before
    assert clinic.versions == versions


def test_answer_is_remembered_and_asked_again(clinic, clock, monkeypatch):
    ready, asked = Readiness(clinic), []
    write = clinic.db.write

    def failing(fn):
        asked.append(1)
        raise StorageUnavailable("disk full")

    assert ready.why_not() is None
    monkeypatch.setattr(clinic.db, "write", failing)
    assert ready.why_not() is None
    clock.advance(timedelta(seconds=6))
    assert [ready.why_not() for _ in range(3)] == ["database is not writable"] * 3
    assert len(asked) == 1
    monkeypatch.setattr(clinic.db, "write", write)
    clock.advance(timedelta(seconds=1.1))
    assert ready.why_not() is None


def test_write_that_hangs_is_none_and_holds_one_thread(clinic, clock, monkeypatch):
    ready, gate = Readiness(clinic), threading.Event()
    write = clinic.db.write

    def hanging(fn):
        assert gate.wait(60)
        return write(fn)

    monkeypatch.setattr(clinic.db, "write", hanging)
    asking = threading.Thread(target=ready.why_not)
    asking.start()
    try:
        while ready._asked_at is None:
            time.sleep(0.005)
        assert ready.why_not() is None
        clock.advance(timedelta(seconds=readiness.PATIENCE_S + 0.1))
        assert ready.why_not() == "database is not writable"
    finally:
        gate.set()
        asking.join(20)
    assert ready.why_not() is None


def test_no_active_unit_and_a_clock_in_doubt(clinic, clock):
    ready = Readiness(clinic)
    clock.move(timedelta(days=-40))
    assert (ready.why_not() or "").startswith("clock ")
    clock.move(timedelta(days=40))
    execute(clinic, tables.units.update().values(is_active=False))
    clock.advance(timedelta(seconds=20))

    assert ready.why_not() == "no active unit"


def test_server_that_is_about_to_end_is_not_ready(sqlite_clinic):
    connections = Connections()
    app = make_app(sqlite_clinic)

    async def served(scope, receive, send):
        await app({**scope, "state": {"connections": connections}}, receive, send)

    client = TestClient(served, base_url="http://127.0.0.1", client=("127.0.0.1", 1))

    assert client.get("/readyz").json() == {"ready": True, "why": None}
    connections.is_stopping = True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["why"]) == (503, "stopping")


def test_disk_without_room_for_a_ticket_is_not_ready(sqlite_clinic, monkeypatch):
    monkeypatch.setattr(readiness, "LEAST_ROOM", 10**18)

    assert Readiness(sqlite_clinic).why_not() == "database is not writable"


def test_read_only_database_is_not_ready(sqlite_url, tmp_path, clock):
    clinic = make_clinic(make_config(sqlite_url, tmp_path), clock)
    try:
        ready = Readiness(clinic)
        clinic.db.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA query_only = 1"))

        assert ready.why_not() == "database is not writable"
    finally:
        clinic.close()


@pytest.mark.parametrize("path", ["/kiosk", "/t/ABCDEFGH", "/loket"])
def test_server_that_lost_its_database_before_its_first_page_says_so(
    sqlite_clinic, monkeypatch, path
):
    """Nothing was read yet, not even how pages look: still no crash, and it tries again."""
    app = make_app(sqlite_clinic)

    def away(fn):
        raise StorageUnavailable("away")

    monkeypatch.setattr(sqlite_clinic.db, "read", away)
    client = TestClient(
        app,
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 1),
        cookies={"pq_kiosk": "t" * 43, "pq_session": "t" * 43},
    )
    answer = client.get(path)

    assert answer.status_code == 503
    assert "Silakan ke petugas" in answer.text
    assert answer.headers["refresh"] == "5"
    assert answer.headers["retry-after"] == "2"
    sent = client.post("/kiosk/tickets", headers={"sec-fetch-site": "same-origin"})
    assert (sent.status_code, sent.headers["refresh"]) == (503, "5; url=/kiosk")
