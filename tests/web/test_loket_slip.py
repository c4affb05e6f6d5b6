"""The slip of a number that staff took, on a computer that is no kiosk."""

import re

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.api import Printed
from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.services import accounts, providers

PASSWORD = "tikus7&abuabu"


@pytest.fixture
def clerk(sqlite_clinic):
    """A clerk's browser at counter 1, in a server where nothing was paired."""
    accounts.add_user(
        sqlite_clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, name="Budi", password=PASSWORD
    )
    browser = TestClient(
        make_app(sqlite_clinic),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 1),
        headers={"sec-fetch-site": "same-origin"},
    )
    browser.post("/login", data={"username": "budi", "password": PASSWORD})
    browser.post("/loket/open", data={"counter": "1"})
    return browser


def issue(clerk: TestClient) -> str:
    """Take a number for somebody and return where its slip is."""
    form = {"unit": "kia", "lane": "general", "payment": "umum", "f": "a-key-of-this-visit"}
    page = clerk.post("/loket/tickets", data=form).text
    return page.partition('href="/loket/slip/')[2].partition("?")[0]


def test_staff_print_a_slip_without_a_kiosk(clerk):
    """The link at the counter leads to the slip, not to a page that asks for pairing."""
    code = issue(clerk)

    page = clerk.get(f"/loket/slip/{code}")

    assert page.status_code == 200
    assert "C-001" in page.text
    assert 'class="slip"' in page.text
    assert "data-print-at" not in page.text
    assert clerk.get(f"/kiosk/ticket/{code}").url.path == "/pair"


def test_the_clinics_printer_prints_it(clerk, monkeypatch):
    asked = []
    code = issue(clerk)
    monkeypatch.setattr(providers, "is_printed_by_page", lambda clinic: False)
    monkeypatch.setattr(
        providers,
        "print_slip",
        lambda clinic, order: asked.append(order) or Printed("failed"),
    )

    assert f'data-print-at="/loket/slip/{code}/print"' in clerk.get(f"/loket/slip/{code}").text
    job = "counter-0123456789"
    answer = clerk.post(f"/loket/slip/{code}/print", data={"job": job})
    assert answer.json() == {"state": "failed"}
    assert asked == [providers.PrintOrder(code, "id", "counter", "1", job=job)]


def test_the_link_names_the_print_so_that_two_clicks_are_one(clerk):
    """The page prints what its address names, and nothing where that is no name of a print."""
    code = issue(clerk)
    side = clerk.get("/loket/tickets/1", headers={"hx-request": "true"}).text
    links = re.findall(r'href="(/loket/slip/[^"]+)"', side)

    assert len(links) == 1
    assert links[0].startswith(f"/loket/slip/{code}?job=chosen-")
    assert f'data-job="{links[0].partition("=")[2]}"' in clerk.get(links[0]).text
    again = clerk.get("/loket/tickets/1", headers={"hx-request": "true"}).text
    assert links[0] not in again
    for job in ("", "short", "a+b+c+d+e+f+g+h+i+j", '"><script>alert(1)</script>'):
        answer = clerk.get(f"/loket/slip/{code}", params={"job": job})
        assert "data-job" not in answer.text


def test_a_code_that_nobody_has(clerk):
    assert clerk.get("/loket/slip/ABCDEFGH").status_code == 404
