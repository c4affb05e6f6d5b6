"""`/metrics`: who may read it, what it tells, and what it never does."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.errors import SetupError, StorageUnavailable
from puskesmas_queue.services import calling
from puskesmas_queue.settings import build_config
from puskesmas_queue.web.connections import Connections
from puskesmas_queue.web.limits import Limits
from puskesmas_queue.web.metrics import Metrics
from support.clinics import make_clinic, make_config
from support.desk import STAFF, open_all, take

TOKEN = "t" * 32


def ask(app, address="127.0.0.1", **headers):
    client = TestClient(app, base_url="https://antrean.local", client=(address, 1), headers=headers)
    return client.get("/metrics")


def samples(text):
    """Return the values of all samples by name and labels."""
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def text_of(clinic):
    """Read the metrics of a clinic that no app serves."""
    return Metrics(clinic, Limits(), lambda: ({"display": 2}, 5)).text(None).decode()


def test_requests_by_route_and_status(sqlite_clinic):
    app = make_app(sqlite_clinic)
    client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1))
    for code in (take(sqlite_clinic, "A")[0].code, "NOSUCH00", "NOSUCH01"):
        client.get(f"/t/{code}")

    answer = ask(app)
    found = samples(answer.text)

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for status, times in (("200", 1), ("404", 2)):
        route = (("route", "/t/{code}"), ("status", status))
        assert found["puskesmas_request_seconds_count", route] == times
        assert found["puskesmas_request_seconds_sum", route] > 0


def test_what_it_tells(clinic):
    take(clinic, "PAA")
    open_all(clinic, 1)
    calling.call_next(clinic, 1, STAFF)

    found = samples(text_of(clinic))

    lane = ("lane", "priority")
    assert found["puskesmas_tickets_today", (lane, ("source", "kiosk"), ("unit", "umum"))] == 1
    assert found["puskesmas_calls_today", (lane, ("unit", "umum"))] == 1
    assert found["puskesmas_waiting", (lane, ("unit", "umum"))] == 0
    assert found["puskesmas_waiting", (("lane", "general"), ("unit", "umum"))] == 2
    assert found["puskesmas_counters", (("state", "open"),)] == 1
    assert found["puskesmas_clock_fault", ()] == 0
    assert found["puskesmas_live_streams", (("topic", "display"),)] == 2
    assert found["puskesmas_renders_total", ()] == 5
    assert found["puskesmas_database_up", ()] == 1
    assert found["puskesmas_database_pool_size", ()] >= 1
    assert found["puskesmas_refused_total", (("limit", "flood"),)] == 0
    if clinic.db.dialect == "sqlite":
        assert found["puskesmas_database_changes_total", ()] >= 4
    names = {name for name, _ in found}
    assert {
        "puskesmas_build_info",
        "puskesmas_renders_total",
        "puskesmas_database_queue",
        "process_resident_memory_bytes",
        "process_open_fds",
    } <= names


def test_no_label_is_a_person_a_number_or_a_code(sqlite_clinic):
    app = make_app(sqlite_clinic)
    tickets = take(sqlite_clinic, "PA")
    client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1))
    for ticket in tickets:
        client.get(f"/t/{ticket.code}")
        client.get(f"/{ticket.code}")
        client.get(f"/static/{ticket.code}")

    text = ask(app).text

    for ticket in tickets:
        assert ticket.code not in text
        assert ticket.number not in text
    routes = set(re.findall(r'route="([^"]+)"', text))
    assert routes == {"/t/{code}", "/static/…", "refused"}


def test_streams_and_connections_and_workers(sqlite_url, tmp_path):
    clinic = make_clinic(make_config(sqlite_url, tmp_path, workers=2))
    try:
        app = make_app(clinic)
        connections = Connections()
        connections.refused["slow head"] += 3
        found = samples(app.state.metrics.text(connections).decode())
    finally:
        clinic.close()
    by_name = {name: dict(labels) for name, labels in found}

    assert by_name["puskesmas_connections"]["worker"].isdecimal()
    ended = [
        value for (name, _), value in found.items() if name.endswith("connections_ended_total")
    ]
    assert ended == [3]


def test_costs_a_bounded_number_of_queries(clinic):
    take(clinic, "PAAPAAPAA")
    statements = []
    event.listen(clinic.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    text_of(clinic)

    asked = [one for one in statements if one.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert len(asked) <= 6


def test_database_that_is_away_leaves_its_part_out(sqlite_clinic, monkeypatch):
    app = make_app(sqlite_clinic)

    def away(fn):
        raise StorageUnavailable("away")

    monkeypatch.setattr(sqlite_clinic.db, "read", away)
    found = samples(ask(app).text)

    assert found["puskesmas_database_up", ()] == 0
    assert ("puskesmas_clock_fault", ()) in found
    assert not any(name == "puskesmas_waiting" for name, _ in found)


# Who may


def app_of(sqlite_url, tmp_path, **server):
    return make_app(make_clinic(make_config(sqlite_url, tmp_path, **server)))


def test_programs_of_this_machine_only(sqlite_url, tmp_path):
    app = app_of(sqlite_url, tmp_path)
    try:
        assert ask(app).status_code == 200
        assert ask(app, "192.168.1.9").status_code == 404
        assert ask(app, **{"x-forwarded-for": "192.168.1.9"}).status_code == 404
    finally:
        app.state.clinic.close()


def test_whoever_has_the_token(sqlite_url, tmp_path):
    app = app_of(sqlite_url, tmp_path, metrics="token", metrics_token=TOKEN)
    try:
        assert ask(app, "192.168.1.9", authorization=f"Bearer {TOKEN}").status_code == 200
        for wrong in ("", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}"):
            assert ask(app, "192.168.1.9", authorization=wrong).status_code == 404
        assert ask(app).status_code == 404
    finally:
        app.state.clinic.close()


def test_nobody(sqlite_url, tmp_path):
    app = app_of(sqlite_url, tmp_path, metrics="off")
    try:
        assert ask(app).status_code == 404
    finally:
        app.state.clinic.close()


@pytest.mark.parametrize(
    "server",
    [
        {"metrics": "everybody"},
        {"metrics": "token"},
        {"metrics": "token", "metrics_token": "short"},
        {"log_format": "xml"},
    ],
)
def test_settings_that_cannot_be(tmp_path, server):
    document = {"clinic": {"id": "uji", "name": "Uji"}, "server": server}

    with pytest.raises(SetupError, match=r"server\.(metrics|log_format)"):
        build_config(tmp_path / "p.toml", document, {})
