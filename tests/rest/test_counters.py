"""Counters, units, the line and devices by REST."""

import pytest

from puskesmas_queue.domain.access import SYSTEM, Actor, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import accounts, counters, sessions
from puskesmas_queue.storage import tables
from rest.program import LANSIA, UMUM
from support.desk import rows_of


@pytest.fixture
def staff(app, caller):
    return caller(app, Role.PETUGAS_LOKET)


def test_one_program_drives_a_hall(staff):
    for _ in range(3):
        staff.post("/tickets", UMUM)

    assert staff.post("/counters/1/open").json() == {
        "number": 1,
        "zone": "main",
        "state": "open",
        "user_name": staff.username,
        "units": [],
    }
    # The second is opened by the call itself.
    assert staff.post("/counters/1/call-next").json()["number"] == "A-001"
    assert staff.post("/counters/2/call-next").json()["number"] == "A-002"
    assert staff.post("/tickets/1/serve").json()["status"] == "serving"
    # Completes what is served and goes on.
    assert staff.post("/counters/1/call-next").json()["number"] == "A-003"
    assert staff.get("/tickets/1").json()["status"] == "completed"
    # A pause gives the called number back to the line.
    assert staff.post("/counters/1/pause").json()["state"] == "paused"
    assert staff.get("/tickets/3").json()["status"] == "waiting"
    assert staff.post("/counters/1/call-next").json()["type"] == "/api/docs#problem-counter-closed"
    assert staff.post("/counters/1/open").json()["state"] == "open"
    assert staff.post("/counters/1/call-next").json()["number"] == "A-003"
    assert staff.post("/counters/1/close").json()["state"] == "closed"
    assert staff.post("/counters/1/close").json()["state"] == "closed"
    assert staff.post("/counters/1/pause").status_code == 409
    assert staff.post("/counters/9/open").status_code == 404
    assert staff.post("/counters/9/call-next").status_code == 404


def test_nobody_waits(staff):
    answer = staff.post("/counters/1/call-next", idempotency_key="call-0001")

    assert (answer.status_code, answer.content) == (204, b"")
    staff.post("/tickets", UMUM)
    assert staff.post("/counters/1/call-next", idempotency_key="call-0001").status_code == 204
    assert staff.post("/counters/1/call-next", idempotency_key="call-0002").status_code == 200


def test_a_counter_where_somebody_works_is_left_alone(app, caller, staff):
    other = caller(app, Role.PETUGAS_LOKET)
    staff.post("/tickets", UMUM)
    staff.post("/counters/1/call-next")

    for path in (
        "/counters/1/open",
        "/counters/1/pause",
        "/counters/1/close",
        "/counters/1/call-next",
        "/tickets/1/serve",
        "/tickets/1/recall",
        "/tickets/1/complete",
    ):
        answer = other.post(path)
        assert answer.status_code == 409, path
        assert answer.json()["type"] == "/api/docs#problem-counter-taken", path
        assert answer.json()["counter"] == 1


def test_a_held_ticket_is_served_where_the_program_says(staff):
    staff.post("/tickets", UMUM)
    staff.post("/counters/1/call-next")
    staff.post("/tickets/1/serve")
    staff.post("/tickets/1/hold")
    staff.post("/counters/2/open")

    assert staff.post("/tickets/1/serve").status_code == 422
    assert staff.post("/tickets/1/serve", {"counter": 9}).status_code == 409
    assert staff.post("/tickets/1/serve", {"counter": 2}).json()["counter"] == 2


def test_a_user_takes_the_own_counter_over_from_a_browser(app, caller):
    clinic = app.state.clinic
    program = caller(app)
    password = accounts.add_user(clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET)
    browser = sessions.login(clinic, "budi", password, SYSTEM).principal
    actor = Actor("user", browser.user_id, browser.name, role=browser.role)
    counters.open_counter(clinic, 1, browser.session_hash, actor, hold=sessions.hold_session)
    program.log_in("budi", password)
    program.post("/tickets", UMUM)

    assert program.post("/counters/1/call-next").status_code == 200
    assert counters.counter_of(clinic, browser.session_hash) is None


def test_logging_out_gives_the_counters_back(app, staff):
    staff.post("/tickets", UMUM)
    staff.post("/counters/1/call-next")
    staff.post("/counters/2/open")

    staff.post("/token/revoke", {"refresh": staff.refresh})

    clinic = app.state.clinic
    assert [one.state for one in counters.all_counters(clinic)] == ["closed", "closed"]
    assert [row.state for row in rows_of(clinic, tables.tickets)] == ["waiting"]


# Units and the line


def test_units_and_changing_one(app, caller, staff):
    admin = caller(app, Role.ADMIN)
    staff.post("/tickets", UMUM)

    changed = admin.ask("PATCH", "/units/umum", json={"quota_per_day": 10, "room": "Ruang 9"})

    assert changed.status_code == 200
    assert (changed.json()["remaining"], changed.json()["room"]) == (9, "Ruang 9")
    units = {one["code"]: one for one in staff.get("/units").json()["items"]}
    assert units["umum"] == changed.json()
    assert (units["umum"]["open"], units["umum"]["prefix"]) == (True, "A")
    closed = admin.ask("PATCH", "/units/umum", json={"is_active": False, "quota_per_day": None})
    assert (closed.json()["open"], closed.json()["remaining"]) == (False, None)
    assert closed.json()["room"] == "Ruang 9"
    assert admin.ask("PATCH", "/units/none", json={}).status_code == 404
    assert admin.ask("PATCH", "/units/umum", json={"quota_per_day": -1}).status_code == 422
    assert staff.ask("PATCH", "/units/umum", json={}).status_code == 403


def test_the_line_holds_numbers_and_nothing_else(app, caller, staff):
    for document in (UMUM, LANSIA, UMUM):
        staff.post("/tickets", document)
    staff.post("/counters/1/call-next")
    display = caller(app, DeviceKind.DISPLAY)

    line = display.get("/line")

    assert line.json()["counters"][0]["ticket"] == {
        "number": "P-001",
        "lane": "priority",
        "unit": "umum",
        "status": "called",
    }
    assert line.json()["next"] == {
        "priority": [],
        "general": ["A-001", "A-002"],
        "order": ["A-001", "A-002"],
    }
    assert line.json()["totals"]["issued"] == 3
    assert line.json()["now"].endswith("+07:00")
    assert "lansia" not in line.text
    assert staff.username not in line.text
    assert display.get("/line?zone=main").status_code == 200
    assert display.get("/line?zone=nowhere").status_code == 404


# Devices


def test_a_machine_is_paired_and_revoked(app, caller):
    admin = caller(app, Role.ADMIN)
    waiting = admin.post("/devices", {"kind": "kiosk", "name": "Pintu depan"})
    assert waiting.status_code == 201
    assert waiting.json()["device"]["state"] == "waiting"
    machine = caller(app)

    paired = machine.post("/devices/pair", {"code": waiting.json()["code"].lower()})

    assert paired.json()["device"]["state"] == "paired"
    machine.token = paired.json()["token"]
    assert machine.post("/tickets", UMUM).json()["source"] == "kiosk"
    assert caller(app).post("/devices/pair", {"code": waiting.json()["code"]}).status_code == 404
    listed = admin.get("/devices").json()["items"]
    assert [one["name"] for one in listed] == ["Pintu depan"]
    number = listed[0]["id"]
    assert admin.post(f"/devices/{number}/code").json()["code"] != waiting.json()["code"]
    assert machine.get("/units").status_code == 200
    assert admin.post(f"/devices/{number}/revoke").status_code == 204
    assert admin.post(f"/devices/{number}/revoke").status_code == 404
    assert machine.get("/units").status_code == 401


def test_a_machine_is_added_once_for_its_key(app, caller):
    admin = caller(app, Role.ADMIN)
    asked = {"kind": "counter", "name": "Loket 1", "counter": 1}

    first = admin.post("/devices", asked, idempotency_key="device-1")

    assert admin.post("/devices", asked, idempotency_key="device-1").json() == first.json()
    assert first.json()["device"]["counter"] == 1
    assert len(admin.get("/devices").json()["items"]) == 1
    # The code stands in no row that could be read.
    assert first.json()["code"] not in str(
        [rows_of(app.state.clinic, table) for table in tables.metadata.sorted_tables]
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "kiosk"},
        {"kind": "fridge", "name": "x"},
        {"kind": "kiosk", "name": ""},
        {"kind": "kiosk", "name": " "},
        {"kind": "kiosk", "name": "x", "counter": 1},
        {"kind": "counter", "name": "x"},
        {"kind": "kiosk", "name": "x", "zone": "nowhere"},
    ],
)
def test_machines_that_cannot_be(small, caller, asked):
    assert caller(small, Role.ADMIN).post("/devices", asked).status_code == 422


def test_pairing_codes_are_not_guessed_by_one_address(small, caller):
    statuses = [
        caller(small).post("/devices/pair", {"code": f"AAAA{n:04}"}).status_code for n in range(14)
    ]

    assert statuses[0] == 404
    assert statuses[-1] == 429
