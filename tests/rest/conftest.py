"""Programs that call the interface of an open clinic."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import accounts, devices
from puskesmas_queue.storage.crypto import make_key_file
from rest.program import Program
from support.clinics import MORNING
from support.clocks import StandingClock


@pytest.fixture
def clock() -> StandingClock:
    """A clock that stands at 26 February 2026, 07:30 WIB, and can be moved."""
    return StandingClock(MORNING)


@pytest.fixture
def keyed(clinic: Clinic) -> Clinic:
    """The clinic of each database, with the key file that `init` makes."""
    make_key_file(clinic.config.key_path)
    return clinic


@pytest.fixture
def app(keyed: Clinic) -> Iterator[Starlette]:
    """Its server with all threads, which are ended afterwards."""
    app = make_app(keyed)
    with TestClient(app):
        yield app


@pytest.fixture
def small(sqlite_clinic: Clinic) -> Starlette:
    """The same on SQLite only, for what is not about storage."""
    make_key_file(sqlite_clinic.config.key_path)
    return make_app(sqlite_clinic)


@pytest.fixture
def caller() -> Iterator:
    """Makes programs: `caller(app, Role.ADMIN)` or `caller(app, DeviceKind.KIOSK)`."""

    def call_as(app: Starlette, who: Role | DeviceKind | None = None) -> Program:
        client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1))
        clinic = app.state.clinic
        program = Program(client)
        if isinstance(who, Role):
            username = f"{who.value}-{len(accounts.list_users(clinic))}"
            password = accounts.add_user(clinic, username, SYSTEM, role=who, name=username)
            program.log_in(username, password)
        elif who is not None:
            counter = 1 if who is DeviceKind.COUNTER else None
            waiting = devices.add_device(
                clinic, who, who.value, SYSTEM, zone="main", counter=counter
            )
            program.token = devices.pair(clinic, waiting.code, SYSTEM).token
        return program

    return call_as
