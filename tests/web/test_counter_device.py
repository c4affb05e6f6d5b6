"""A computer that stands at a counter: whoever logs in there works at that counter."""

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import accounts, counters, devices
from puskesmas_queue.storage import tables
from support.desk import rows_of
from support.machines import pair_machine

PASSWORD = "tikus7&abuabu"


@pytest.fixture
def clinic(sqlite_clinic):
    """A clinic with two clerks, an administrator and an auditor."""
    for name, role in (("budi", Role.PETUGAS_LOKET), ("siti", Role.PETUGAS_LOKET),
                       ("ani", Role.ADMIN), ("rini", Role.AUDITOR)):  # fmt: skip
        accounts.add_user(
            sqlite_clinic, name, SYSTEM, role=role, name=name.title(), password=PASSWORD
        )
    return sqlite_clinic


@pytest.fixture
def second(clinic) -> devices.PairedDevice:
    """The computer of counter 2."""
    return pair_machine(clinic, DeviceKind.COUNTER, counter=2)


@pytest.fixture
def browse(clinic):
    """Opens a browser: of a counter's computer with its token, else of any other."""
    app = make_app(clinic)

    def open_browser(machine: devices.PairedDevice | None = None) -> TestClient:
        return TestClient(
            app,
            base_url="http://127.0.0.1",
            client=("127.0.0.1", 1),
            headers={"sec-fetch-site": "same-origin"},
            cookies={} if machine is None else {"pq_counter": machine.token},
            follow_redirects=False,
        )

    return open_browser


def log_in(browser: TestClient, name: str, **form: str):
    return browser.post("/login", data={"username": name, "password": PASSWORD, **form})


def at_work(clinic) -> list[tuple[int, str | None]]:
    return [(one.number, one.user_name) for one in counters.all_counters(clinic)]


@pytest.mark.parametrize("name", ["budi", "ani"])
def test_login_opens_its_counter(clinic, second, browse, name):
    browser = browse(second)

    answer = log_in(browser, name)

    assert answer.headers["location"] == "/loket"
    assert at_work(clinic) == [(1, None), (2, name.title())]
    page = browser.get("/loket").text
    assert 'class="lk-fixed"' in page
    opened = [row for row in rows_of(clinic, tables.audit) if row.action == "counter_opened"]
    assert [row.device for row in opened] == [second.device.mark]


def test_no_other_can_be_opened_from_it(clinic, second, browse):
    browser = browse(second)
    log_in(browser, "budi")
    browser.post("/loket/close")

    page = browser.get("/loket").text
    assert "Komputer ini selalu membuka loket ini." in page
    assert 'name="counter" value="2"' in page
    assert 'name="counter" value="1"' not in page
    refused = browser.post("/loket/open", data={"counter": "1"})

    assert refused.status_code == 409
    assert "Komputer ini hanya untuk loket 2" in refused.text
    assert at_work(clinic) == [(1, None), (2, None)]
    assert browser.post("/loket/open", data={"counter": "2"}).status_code == 303
    assert at_work(clinic) == [(1, None), (2, "Budi")]


def test_somebody_else_there_is_named(clinic, second, browse):
    elsewhere = browse()
    log_in(elsewhere, "siti")
    elsewhere.post("/loket/open", data={"counter": "2"})
    browser = browse(second)

    assert log_in(browser, "budi").headers["location"] == "/loket"

    page = browser.get("/loket").text
    assert "Siti" in page
    assert at_work(clinic) == [(1, None), (2, "Siti")]


def test_who_works_at_no_counter_goes_home(clinic, second, browse):
    assert log_in(browse(second), "rini").headers["location"] == "/me"
    assert at_work(clinic) == [(1, None), (2, None)]


def test_a_page_that_was_asked_for_is_shown_all_the_same(clinic, second, browse):
    answer = log_in(browse(second), "ani", next="/dashboard")

    assert answer.headers["location"] == "/dashboard"
    assert at_work(clinic) == [(1, None), (2, "Ani")]


def test_what_was_opened_before_it_was_paired_is_left(clinic, browse):
    """The session goes on; the counter that it had is closed as the own one is opened."""
    browser = browse()
    log_in(browser, "budi")
    browser.post("/loket/open", data={"counter": "1"})
    machine = pair_machine(clinic, DeviceKind.COUNTER, counter=2)
    browser.cookies["pq_counter"] = machine.token

    assert "Komputer ini selalu membuka loket ini." in browser.get("/loket").text
    assert browser.post("/loket/call-next").headers["location"] == "/loket"
    browser.post("/loket/open", data={"counter": "2"})

    assert at_work(clinic) == [(1, None), (2, "Budi")]


def test_a_revoked_one_is_any_computer(clinic, second, browse):
    browser = browse(second)
    devices.revoke_device(clinic, second.device.id, SYSTEM)

    assert log_in(browser, "budi").headers["location"] == "/loket"

    assert at_work(clinic) == [(1, None), (2, None)]
    assert browser.post("/loket/open", data={"counter": "1"}).status_code == 303
