"""Tickets by REST: given, read, paged and moved along."""

from datetime import timedelta

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import estimates, masters
from puskesmas_queue.services.day import confirm_clock
from puskesmas_queue.services.options import set_option
from puskesmas_queue.storage import tables
from rest.program import LANSIA, UMUM
from support.desk import at_once, rows_of

FIELDS = [
    "id", "number", "prefix", "sequence", "unit_sequence", "unit", "lane", "priority_reason",
    "payment_type", "source", "service_date", "status", "journey_status", "code", "slot_start",
    "counter", "people_ahead", "estimate_minutes", "issued_at", "confirmed_at", "called_at",
    "serving_at", "completed_at", "calls",
]  # fmt: skip

EMERGENCY = {"unit": "ugd", "lane": "emergency", "payment_type": None}


@pytest.fixture
def staff(app, caller):
    return caller(app, Role.PETUGAS_LOKET)


def statements(clinic, act) -> list[str]:
    """Return the statements that the database gets while `act` runs."""
    seen = []

    def note(conn, cursor, statement, *_):
        seen.append(statement)

    event.listen(clinic.db.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(clinic.db.engine, "before_cursor_execute", note)
    return [one for one in seen if one not in ("BEGIN", "ROLLBACK")]


def test_a_ticket_is_given_as_the_contract_says(staff):
    answer = staff.post("/tickets", LANSIA)

    assert answer.status_code == 201
    ticket = answer.json()
    assert list(ticket) == FIELDS
    assert (ticket["number"], ticket["status"], ticket["source"]) == ("P-001", "waiting", "counter")
    assert ticket["priority_reason"] == "lansia"
    assert ticket["issued_at"].endswith("+07:00")
    assert ticket["service_date"] == "2026-02-26"
    assert answer.headers["location"] == f"/api/v1/tickets/{ticket['id']}"
    assert staff.get(f"/tickets/{ticket['id']}").json() == ticket


def test_who_comes_next_is_told_of_those_before(staff):
    staff.post("/counters/1/open")
    told = [staff.post("/tickets", UMUM).json() for _ in range(4)]
    first = staff.post("/tickets", LANSIA).json()

    assert [one["people_ahead"] for one in told] == [0, 1, 2, 3]
    assert [one["estimate_minutes"] for one in told] == [0, 5, 10, 15]
    assert first["people_ahead"] == 0
    assert staff.get(f"/tickets/{told[1]['id']}").json()["people_ahead"] == 2


def test_the_same_key_gives_the_same_ticket(staff):
    first = staff.post("/tickets", UMUM, idempotency_key="key-00000001")
    again = staff.post("/tickets", UMUM, idempotency_key="key-00000001")
    other = staff.post("/tickets", LANSIA, idempotency_key="key-00000001")
    bad = staff.post("/tickets", UMUM, idempotency_key="short")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert other.status_code == 422
    assert other.json()["type"] == "/api/docs#problem-key-taken"
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["pointer"] == "Idempotency-Key"


def test_a_kiosk_is_bound_by_its_hours_and_staff_is_not(app, caller, staff, clock):
    kiosk = caller(app, DeviceKind.KIOSK)
    given = kiosk.post("/tickets", LANSIA).json()
    assert (given["source"], given["priority_reason"]) == ("kiosk", None)

    clock.advance(timedelta(hours=9))
    confirm_clock(app.state.clinic, SYSTEM)
    staff = caller(app, Role.PETUGAS_LOKET)
    closed = kiosk.post("/tickets", UMUM)

    assert closed.status_code == 409
    assert closed.json()["type"] == "/api/docs#problem-kiosk-closed"
    assert closed.json()["opens_at"] == "2026-02-27T06:00:00+07:00"
    assert staff.post("/tickets", UMUM).status_code == 201


def test_a_kiosk_has_no_more_numbers_than_on_its_page(small, caller):
    """Thirty in two minutes from another machine; the same key again counts for nothing."""
    kiosk = caller(small, DeviceKind.KIOSK)
    kiosk.client = TestClient(small, base_url="https://127.0.0.1", client=("192.168.1.9", 1))

    statuses = [
        kiosk.post("/tickets", UMUM, idempotency_key=f"number-{n // 2:04}").status_code
        for n in range(64)
    ]

    assert statuses == [201] * 60 + [429] * 4
    refused = kiosk.post("/tickets", UMUM)
    assert refused.json()["type"] == "/api/docs#problem-too-often"
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after_s"]


def test_a_kiosk_announces_no_more_emergencies_than_on_its_page(small, caller):
    """Ten in two minutes from another machine; each sounds at every counter."""
    kiosk = caller(small, DeviceKind.KIOSK)
    kiosk.client = TestClient(small, base_url="https://127.0.0.1", client=("192.168.1.9", 1))

    answers = [
        kiosk.post("/tickets", EMERGENCY, idempotency_key=f"number-{n // 2:04}") for n in range(22)
    ]

    assert [one.status_code for one in answers] == [201] * 20 + [429] * 2
    assert answers[-1].json()["type"] == "/api/docs#problem-too-often"
    staff = caller(small, Role.PETUGAS_LOKET)
    staff.client = kiosk.client
    assert staff.post("/tickets", EMERGENCY).status_code == 201


def test_a_full_unit_names_others(staff, app):
    masters.change_unit(app.state.clinic, "umum", SYSTEM, quota_per_day=1)
    assert staff.post("/tickets", UMUM).status_code == 201

    full = staff.post("/tickets", UMUM)

    assert full.status_code == 409
    assert full.json()["type"] == "/api/docs#problem-quota-full"
    assert full.json()["alternatives"] == ["gigi", "kia", "imunisasi"]
    over = staff.post("/tickets", {**UMUM, "exceed_reason": "rujukan"})
    assert over.status_code == 201


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ({}, ["/unit", "/lane", "/payment_type"]),
        ({**UMUM, "lane": "vip"}, ["/lane"]),
        ({**UMUM, "unit": 7}, ["/unit"]),
        ({**UMUM, "source": "kiosk"}, ["/source"]),
        ({**UMUM, "unit": "no such unit"}, ["/unit"]),
        ({**UMUM, "exceed_reason": "a\x00b"}, ["/exceed_reason"]),
        ([], ["/"]),
        ("x", ["/"]),
    ],
)
def test_wrong_words_are_named_one_by_one(small, caller, document, pointers):
    answer = caller(small, Role.ADMIN).post("/tickets", document, accept_language="en-GB,id;q=0.5")

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["title"] == "Request does not fit"
    assert [one["pointer"] for one in problem["errors"]] == pointers


@pytest.mark.parametrize(
    "document",
    [
        {**UMUM, "unit": "nowhere"},
        {**UMUM, "lane": "priority"},
        {**UMUM, "priority_reason": "lansia"},
        {**UMUM, "payment_type": "skema_daerah"},
        {**UMUM, "lane": "emergency"},
        {**UMUM, "unit": "ugd"},
    ],
)
def test_words_that_do_not_go_together(small, caller, document):
    assert caller(small, Role.ADMIN).post("/tickets", document).status_code == 422


def test_an_emergency_is_announced(small, caller):
    staff = caller(small, Role.ADMIN)
    given = staff.post("/tickets", EMERGENCY)

    assert given.status_code == 201
    assert given.json()["number"] == "E-001"
    done = staff.post(f"/tickets/{given.json()['id']}/complete")
    assert done.json()["status"] == "completed"


def test_pages_are_followed_to_the_end(staff):
    given = [staff.post("/tickets", UMUM).json()["id"] for _ in range(5)]

    seen, cursor = [], ""
    for _ in range(3):
        page = staff.get(f"/tickets?limit=2{cursor}").json()
        seen += [one["id"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == given
    assert page["next_cursor"] is None


def test_tickets_are_chosen_by_day_state_and_unit(staff):
    staff.post("/tickets", UMUM)
    staff.post("/tickets", {**UMUM, "unit": "gigi"})
    staff.post("/counters/1/call-next")

    def numbers(query: str) -> list[str]:
        return [one["number"] for one in staff.get(f"/tickets?{query}").json()["items"]]

    assert numbers("") == ["A-001", "B-001"]
    assert numbers("unit=gigi") == ["B-001"]
    assert numbers("status=called") == ["A-001"]
    assert numbers("service_date=2026-02-25") == []


@pytest.mark.parametrize(
    "query",
    ["cursor=abc", "cursor=%C3%A9", "limit=0", "limit=201", "status=gone", "service_date=x", "a=b"],
)
def test_wrong_queries(small, caller, query):
    answer = caller(small, Role.ADMIN).get(f"/tickets?{query}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_ticket_goes_all_its_ways(staff, app, clock):
    clinic = app.state.clinic
    set_option(clinic, "queue.max_calls", "2", SYSTEM)
    for _ in range(3):
        staff.post("/tickets", UMUM)

    def move(ticket: int, step: str, document=None) -> tuple[int, str]:
        answer = staff.post(f"/tickets/{ticket}/{step}", document)
        return answer.status_code, answer.json().get("status", answer.json().get("type"))

    called = staff.post("/counters/1/call-next").json()
    assert (called["id"], called["status"], called["counter"], called["calls"]) == (
        1, "called", 1, 1,
    )  # fmt: skip
    busy = staff.post("/counters/1/call-next")
    assert busy.status_code == 409
    assert (busy.json()["counter"], busy.json()["number"]) == (1, "A-001")
    early = staff.post("/tickets/1/recall")
    assert early.status_code == 409
    assert early.json()["retry_after_s"] == 20 == int(early.headers["retry-after"])
    assert move(1, "skip") == (409, 409)
    clock.advance(timedelta(seconds=21))
    assert move(1, "recall", {"reason": "tidak dengar"}) == (200, "called")
    assert move(1, "skip") == (200, "skipped")
    assert move(1, "reinsert") == (200, "waiting")
    assert staff.get("/tickets/1").json()["people_ahead"] == 2

    assert staff.post("/counters/1/call-next").json()["id"] == 2
    assert move(2, "serve") == (200, "serving")
    assert move(2, "hold", {"reason": "ambil berkas"}) == (200, "held")
    assert move(2, "serve") == (200, "serving")
    assert move(2, "transfer", {"unit": "gigi", "reason": "salah poli"}) == (200, "serving")
    assert move(2, "complete") == (200, "completed")
    assert move(2, "hold")[0] == 409
    assert move(3, "cancel") == (422, 422)
    assert move(3, "cancel", {"reason": "pulang"}) == (200, "cancelled")
    assert move(99, "recall") == (404, 404)
    reasons = {row.kind: row.reason for row in rows_of(clinic, tables.events) if row.reason}
    assert reasons["ticket_held"] == "ambil berkas"
    assert reasons["ticket_recalled"] == "tidak dengar"


def test_numbers_in_addresses_that_are_none(small, caller):
    staff = caller(small, Role.ADMIN)
    for address in (
        "/tickets/x",
        "/tickets/0",
        "/tickets/-1",
        f"/tickets/{10**20}",
        "/tickets/1.5",
    ):
        assert staff.get(address).status_code == 404, address


# Once for each key


def test_a_step_is_taken_once_for_its_key(staff, app):
    for _ in range(2):
        staff.post("/tickets", UMUM)
    first = staff.post("/counters/1/call-next", idempotency_key="call-0001")
    staff.post(f"/tickets/{first.json()['id']}/serve", idempotency_key="serve-0001")

    again = staff.post("/counters/1/call-next", idempotency_key="call-0001")
    served = staff.post("/tickets/1/serve", idempotency_key="serve-0001")

    assert again.json() == first.json()
    assert served.json()["status"] == "serving"
    assert staff.post("/counters/2/call-next", idempotency_key="call-0001").status_code == 422
    calls = [one for one in rows_of(app.state.clinic, tables.events) if one.kind == "ticket_called"]
    assert len(calls) == 1
    answers = rows_of(app.state.clinic, tables.api_answers)
    assert len(answers) == 2
    assert "A-001" not in str(answers)


def test_one_key_many_times_at_once(staff, app):
    for _ in range(6):
        staff.post("/tickets", UMUM)

    def ask():
        return staff.post("/counters/1/call-next", idempotency_key="call-at-once")

    answers = at_once([ask] * 6)

    assert {one.status_code for one in answers} == {200}
    assert len({one.text for one in answers}) == 1
    calls = [one for one in rows_of(app.state.clinic, tables.events) if one.kind == "ticket_called"]
    assert len(calls) == 1


def test_a_refused_step_may_be_asked_again_with_its_key(staff):
    assert staff.post("/tickets/1/serve", idempotency_key="serve-0001").status_code == 404
    staff.post("/tickets", UMUM)
    staff.post("/counters/1/call-next")

    assert staff.post("/tickets/1/serve", idempotency_key="serve-0001").status_code == 200


def test_keys_of_one_user_are_not_another_ones(app, caller):
    one, other = caller(app, Role.PETUGAS_LOKET), caller(app, Role.PETUGAS_LOKET)
    for _ in range(2):
        one.post("/tickets", UMUM)
    first = one.post("/counters/1/call-next", idempotency_key="call-0001").json()
    second = other.post("/counters/2/call-next", idempotency_key="call-0001").json()

    assert (first["id"], second["id"]) == (1, 2)


# What it costs


def test_issuing_asks_no_more_than_the_kiosks_page(keyed, caller, monkeypatch):
    """A token costs no query, and nothing is asked after the ticket is there."""
    # Neither timers nor a forecast that has grown old ask anything meanwhile.
    monkeypatch.setattr(estimates, "FORECAST_AGE_S", 600.0)
    clinic, app = keyed, make_app(keyed)
    kiosk = caller(app, DeviceKind.KIOSK)
    staff = caller(app, Role.PETUGAS_LOKET)
    for program in (kiosk, staff):
        program.post("/tickets", UMUM)
    counted = {
        name: len(statements(clinic, lambda program=program: program.post("/tickets", UMUM)))
        for name, program in (("kiosk", kiosk), ("staff", staff))
    }

    # SQLite's hot statements go to the driver at once and are not seen here.
    most = {"sqlite": 0, "postgresql": 1}[clinic.db.dialect]
    assert counted == {"kiosk": most, "staff": most}
