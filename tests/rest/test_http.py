"""What every call does alike: methods, media, sizes, languages, roles."""

import pytest

from puskesmas_queue.domain.access import Permission, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.rest.api import ENDPOINTS
from puskesmas_queue.storage import tables
from rest.program import UMUM
from support.desk import rows_of

P = Permission
TABLE = {
    ("POST", "/token"): P.PUBLIC,
    ("POST", "/token/refresh"): P.PUBLIC,
    ("POST", "/token/revoke"): P.PUBLIC,
    ("GET", "/me"): P.SELF,
    ("GET", "/units"): P.UNIT_VIEW,
    ("PATCH", "/units/{code}"): P.MANAGE_SETTINGS,
    ("POST", "/tickets"): P.ISSUE,
    ("GET", "/tickets"): P.DAY_VIEW,
    ("GET", "/tickets/{id}"): P.DAY_VIEW,
    ("POST", "/tickets/{id}/recall"): P.CALL,
    ("POST", "/tickets/{id}/serve"): P.CALL,
    ("POST", "/tickets/{id}/skip"): P.CALL,
    ("POST", "/tickets/{id}/hold"): P.CALL,
    ("POST", "/tickets/{id}/complete"): P.CALL,
    ("POST", "/tickets/{id}/reinsert"): P.CALL,
    ("POST", "/tickets/{id}/cancel"): P.CALL,
    ("POST", "/tickets/{id}/transfer"): P.CALL,
    ("POST", "/counters/{number}/open"): P.CALL,
    ("POST", "/counters/{number}/pause"): P.CALL,
    ("POST", "/counters/{number}/close"): P.CALL,
    ("POST", "/counters/{number}/call-next"): P.CALL,
    ("GET", "/line"): P.LINE_VIEW,
    ("GET", "/live/{topic}"): P.LINE_VIEW,
    ("GET", "/devices"): P.MANAGE_SETTINGS,
    ("POST", "/devices"): P.MANAGE_SETTINGS,
    ("POST", "/devices/pair"): P.PUBLIC,
    ("POST", "/devices/{id}/code"): P.MANAGE_SETTINGS,
    ("POST", "/devices/{id}/revoke"): P.MANAGE_SETTINGS,
}
COUNTER = {Role.ADMIN, Role.PETUGAS_LOKET}
STAFF = COUNTER | {Role.PETUGAS_RM, Role.KEPALA}
NUMBERS = {DeviceKind.DISPLAY, DeviceKind.SPEAKER}
ALLOWED = {
    P.SELF: set(Role),
    P.UNIT_VIEW: STAFF | {DeviceKind.KIOSK},
    P.ISSUE: COUNTER | {DeviceKind.KIOSK},
    P.LINE_VIEW: STAFF | NUMBERS | {DeviceKind.KIOSK},
    P.DAY_VIEW: STAFF,
    P.CALL: COUNTER,
    P.MANAGE_SETTINGS: {Role.ADMIN},
}


def test_every_call_stands_in_the_table():
    assert {(one.method, one.path): one.permission for one in ENDPOINTS} == TABLE


def test_roles_and_machines(small, caller):
    """Role and kind of machine × call; a stream is asked for a topic that is not there."""
    programs = {who: caller(small, who) for who in (*Role, *DeviceKind)}
    wrong = []
    for (method, path), permission in TABLE.items():
        if permission is P.PUBLIC:
            continue
        address = path.format(id=999, number=9, code="none", topic="none")
        assert caller(small).ask(method, address).status_code == 401
        for who, program in programs.items():
            status = program.ask(method, address).status_code
            if (status == 403) != (who not in ALLOWED[permission]) or status == 401:
                wrong.append((method, path, str(who), status))
    assert wrong == []
    refused = [
        row for row in rows_of(small.state.clinic, tables.audit) if row.action == "access_refused"
    ]
    assert len(refused) > 20


@pytest.fixture
def admin(small, caller):
    return caller(small, Role.ADMIN)


def test_methods(admin):
    answer = admin.ask("DELETE", "/tickets")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.json()["type"] == "/api/docs#problem-method-not-allowed"
    options = admin.ask("OPTIONS", "/counters/1/call-next")
    assert (options.status_code, options.headers["allow"]) == (204, "OPTIONS, POST")
    head = admin.ask("HEAD", "/units")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/nothing", "/tickets/1/fly", "/counters"])
def test_what_is_not_there_is_a_problem(admin, path):
    answer = admin.get(path)

    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 5000, "application/json", 400),
        (b'{"a": NaN}', "application/json", 422),
        (b"unit=umum", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"{}", "application/json; charset=utf-8", 422),
    ],
)
def test_bodies_that_cannot_be_read(admin, content, kind, status):
    answer = admin.ask("POST", "/tickets", content=content, headers={"content-type": kind})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_over_the_cap(admin):
    assert admin.ask("POST", "/tickets", content=b"x" * 1_000_001).status_code == 413


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("text/html, application/*;q=0.5", 200),
        ("text/html", 406),
        ("image/png, text/plain", 406),
    ],
)
def test_only_json_is_answered(admin, accept, status):
    assert admin.get("/units", accept=accept).status_code == status


@pytest.mark.parametrize(
    ("header", "title"),
    [
        (None, "Belum masuk"),
        ("id", "Belum masuk"),
        ("fr", "Belum masuk"),
        ("en", "Not logged in"),
        ("en-US,en;q=0.9,id;q=0.8", "Not logged in"),
        ("en;q=0.3,id;q=0.8", "Belum masuk"),
        ("en;q=0", "Belum masuk"),
        ("en;q=x,,;", "Belum masuk"),
    ],
)
def test_refusals_speak_the_language_that_was_asked_for(small, caller, header, title):
    headers = {} if header is None else {"accept_language": header}

    assert caller(small).get("/units", **headers).json()["title"] == title


def test_a_failure_is_a_problem_and_repeats_nothing(small, caller, monkeypatch):
    admin = caller(small, Role.ADMIN)
    admin.client = type(admin.client)(
        small, base_url="http://127.0.0.1", client=("127.0.0.1", 1), raise_server_exceptions=False
    )

    def fail(*_, **__):
        raise RuntimeError("secret 3201010101010001")

    monkeypatch.setattr("puskesmas_queue.services.tickets.give_ticket", fail)
    answer = admin.post("/tickets", UMUM)

    assert answer.status_code == 500
    assert answer.json()["type"] == "/api/docs#problem-crashed"
    assert "3201010101010001" not in answer.text


def test_a_database_that_is_gone_is_said_so(small, caller, monkeypatch):
    admin = caller(small, Role.ADMIN)

    def fail(*_, **__):
        raise StorageUnavailable("disk full")

    monkeypatch.setattr("puskesmas_queue.services.tickets.give_ticket", fail)
    answer = admin.post("/tickets", UMUM)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["type"] == "/api/docs#problem-storage-unavailable"
