"""`doctor`: what is wrong, in words."""

import importlib
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from puskesmas_queue.cli import serve
from puskesmas_queue.cli.context import DEMO_CLOCK_NAME
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.printers import PrinterPlace
from puskesmas_queue.plugin_host.outcomes import Fault
from puskesmas_queue.plugin_ports import Printed
from puskesmas_queue.services import devices, doctoring, options, printer_alerts
from puskesmas_queue.services.doctoring import database_state
from puskesmas_queue.settings import load_config
from puskesmas_queue.storage import faults, tables
from puskesmas_queue.storage.checkup import DatabaseState
from support.desk import execute, take
from support.machines import pair_machine

doctor = importlib.import_module("puskesmas_queue.cli.doctor")
"""The module; the package's attribute of this name is the command."""


def findings(answer):
    """Return state and text of each finding by its name."""
    told = json.loads(answer.stdout)
    return {row["name"]: (row["state"], row["text"]) for row in told["findings"]}


def test_a_new_clinic_is_well(run, config):
    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 0, answer.output
    found = findings(answer)
    assert found["server"] == ("note", "never ran")
    assert found["database"][0] == "ok"
    assert "wrong" not in {state for state, _ in found.values()}


def test_a_server_that_ended(run, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db.lock").touch()

    answer = run("doctor", "--config", config, "--json")

    assert findings(answer)["server"] == ("note", "not running")


def test_a_plugin_that_failed_is_named(run, config):
    opened = open_clinic(load_config(config))
    try:
        fault = Fault("loud", "estimate_wait", "raised", "ValueError: no", is_switched_off=True)
        opened.db.write(lambda tx: faults.count(tx, [fault, fault]))
    finally:
        opened.close()

    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 1
    state, text = findings(answer)["plugin loud"]
    assert state == "wrong"
    assert text.startswith("estimate_wait raised 2 times")
    assert "switched off" in text


def test_a_demo_is_looked_at_in_its_own_time(run, config, clinic_folder):
    """What it says of the clock and of late things is of the demo's morning."""
    (clinic_folder / DEMO_CLOCK_NAME).write_text(str(timedelta(days=400).total_seconds()))

    zone, later = ZoneInfo("Asia/Jakarta"), timedelta(days=400)
    before = datetime.now(zone) + later
    answer = run("doctor", "--config", config)
    after = datetime.now(zone) + later

    assert any(f"clock: {now:%Y-%m-}" in answer.stdout for now in (before, after))


def test_no_configuration(run):
    answer = run("doctor", "--json")

    assert answer.exit_code == 1
    assert findings(answer)["configuration"][0] == "wrong"


def test_no_database(run, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db").unlink()

    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 1
    assert "puskesmas-queue init" in findings(answer)["database"][1]


def test_passwords_are_not_shown(run, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__DATABASE__URL", "postgresql://nobody:secret@127.0.0.1:9/none")

    answer = run("doctor", "--config", config)

    assert answer.exit_code == 1
    assert "secret" not in answer.output


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [
        (50_000_000_000, 100_000_000_000, "ok"),
        (4_000_000_000, 100_000_000_000, "note"),
        (900_000_000, 2_000_000_000, "note"),
        (90_000_000, 2_000_000_000, "wrong"),
    ],
)
def test_disk_space(config, monkeypatch, free, total, state):
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=total)
    )

    assert doctor.space(load_config(config, {})).state == state


@pytest.mark.parametrize(("limit", "state"), [(65_536, "ok"), (1_024, "note"), (None, None)])
def test_open_files(monkeypatch, limit, state):
    monkeypatch.setattr(serve, "raise_open_files", lambda: limit)

    found = doctor.open_files()

    assert (None if found is None else found.state) == state


def test_damaged_database_is_found(run, config, clinic_folder):
    """A page of a table that nobody reads today: all works until somebody does."""
    connection = sqlite3.connect(clinic_folder / "data/puskesmas.db")
    page = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = 'refresh_tokens'"
    ).fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with (clinic_folder / "data/puskesmas.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)

    state, text = findings(run("doctor", "--config", config, "--json"))["database file"]

    assert state == "wrong"
    assert text.startswith("damaged: ")


def test_size_and_state_of_the_database(clinic):
    state = database_state(clinic)

    assert state.size > 10_000
    assert state.faults == ()
    assert not state.is_read_only
    if clinic.db.dialect == "sqlite":
        assert state.wal is not None
        assert state.ahead_s is None
    else:
        assert state.ahead_s is not None
        assert abs(state.ahead_s) < 60


def test_clock_of_the_database_that_goes_wrong_is_told(sqlite_clinic, monkeypatch):
    state = DatabaseState(10, None, (), 7.5, is_read_only=False)
    monkeypatch.setattr(doctoring, "database_state", lambda _: state)

    assert [(one.name, one.state) for one in doctor.rows(sqlite_clinic)] == [
        ("database file", "ok"),
        ("database clock", "note"),
    ]
    monkeypatch.setattr(doctoring, "database_state", lambda _: replace(state, is_read_only=True))
    assert next(doctor.rows(sqlite_clinic)).state == "wrong"
    monkeypatch.setattr(doctoring, "database_state", lambda _: replace(state, faults=("bad",)))
    assert next(doctor.rows(sqlite_clinic)).state == "wrong"
    monkeypatch.setattr(doctoring, "database_state", lambda _: replace(state, wal=10**9))
    assert next(doctor.rows(sqlite_clinic)).state == "note"


def test_machines_that_are_silent_while_the_clinic_is_open(sqlite_clinic, clock):
    """By night nobody has to be there; a revoked machine never."""
    pair_machine(sqlite_clinic, DeviceKind.DISPLAY)
    gone = pair_machine(sqlite_clinic, DeviceKind.KIOSK).device
    assert [one.name for one in doctor.machines(sqlite_clinic)] == ["devices"]
    clock.advance(timedelta(minutes=16))

    assert [one.name for one in doctor.machines(sqlite_clinic)] == [
        "display display",
        "kiosk kiosk",
    ]
    devices.revoke_device(sqlite_clinic, gone.id, SYSTEM)
    assert [one.name for one in doctor.machines(sqlite_clinic)] == ["display display"]
    clock.advance(timedelta(hours=10))
    assert [(one.name, one.state) for one in doctor.machines(sqlite_clinic)] == [("devices", "ok")]


def test_what_plugins_were_not_told(clinic, clock):
    clinic.db.audience = lambda kind: ("loud",)
    take(clinic, "AA")

    assert [(one.name, one.state) for one in doctor.deliveries(clinic)] == [
        ("deliveries loud", "ok")
    ]
    clock.advance(timedelta(minutes=11))
    late = next(doctor.deliveries(clinic))
    assert (late.state, "the oldest waits for 11 minutes" in late.text) == ("note", True)
    execute(clinic, tables.deliveries.update().values(state="dead"))
    dead = next(doctor.deliveries(clinic))
    assert (dead.state, dead.text) == ("note", "0 to be told, 2 dead, 0 expired")


def test_time_zone_data_that_is_broken(sqlite_clinic):
    sqlite_clinic.timezone = SimpleNamespace(
        key="Asia/Jakarta", utcoffset=lambda _: timedelta(hours=8)
    )
    sqlite_clinic.clock = SimpleNamespace(
        now=lambda: SimpleNamespace(astimezone=lambda _: datetime(2026, 2, 26, tzinfo=UTC))
    )

    assert next(doctor.clock(sqlite_clinic)).state == "wrong"


def test_a_printer_that_does_not_print_is_named(sqlite_clinic):
    """With its place, since when and why; one that is not sure is worth knowing."""
    options.set_option(sqlite_clinic, "kiosk.printers", "escpos, browser", SYSTEM)
    kiosk = PrinterPlace("main", "kiosk", "Kiosk depan", "escpos")
    printer_alerts.note(
        sqlite_clinic, kiosk, "escpos_printer", Printed("failed", "kertas habis"), "A-003"
    )
    staff = PrinterPlace("main", "counter", "", "escpos")
    printer_alerts.note(sqlite_clinic, staff, "escpos_printer", Printed("unsure"), "A-004")

    found = {one.name: (one.state, one.text) for one in doctor.providers(sqlite_clinic)}

    assert found == {
        "kiosk.printers": ("wrong", 'nobody brings "escpos": the next in the order is used'),
        "printer escpos, kiosk Kiosk depan": (
            "wrong",
            "does not print since 2026-02-26 07:30, last for A-003: kertas habis",
        ),
        "printer escpos, counter": (
            "note",
            "is not sure since 2026-02-26 07:30, last for A-004: no reason given",
        ),
    }


def test_a_plugins_words_are_in_english(tmp_path):
    """As its catalogue has them; without one, or where it lacks them, they stay as they are."""
    file = tmp_path / "locale/en/LC_MESSAGES/messages.po"
    file.parent.mkdir(parents=True)
    file.write_text('msgid "kertas habis"\nmsgstr "out of paper"\n')
    assert doctor.in_english(tmp_path, "kertas habis") == "out of paper"
    assert doctor.in_english(tmp_path, "lampu merah") == "lampu merah"
    file.write_text('msgid "kertas habis"\n<<<<<<<\n')
    assert doctor.in_english(tmp_path, "kertas habis") == "kertas habis"
    for folder in (None, tmp_path / "gone"):
        assert doctor.in_english(folder, "kertas habis") == "kertas habis"
