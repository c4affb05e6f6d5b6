"""What exists on the plain port of patients' phones: their own pages, and nothing else."""

import re

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Permission
from puskesmas_queue.domain.tickets import Lane, TicketRequest
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.web.public_port import PublicPort
from puskesmas_queue.web.routing import declared_routes

PHONE = ("192.168.1.77", 50_000)
HERE = "http://antrean.lan:8080"
FOR_PHONES = {
    ("/", "GET"),
    ("/t", "GET"),
    ("/t/{code}", "GET"),
    ("/t/{code}/cancel", "POST"),
    ("/live/{topics}", "GET"),
    ("/healthz", "GET"),
    ("/theme.css", "GET"),
}
FILES = ("/static", "GET")
VALUES = {
    "/static": "/static/css/base.css",
    "{id:int}": "1",
    "{name}": "none",
    "{token}": "x" * 43,
    "{topics}": "none",
}


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


@pytest.fixture
def phone(app):
    """A browser on the clinic's WLAN, at the phones' port."""
    return TestClient(PublicPort(app), base_url=HERE, client=PHONE, follow_redirects=False)


@pytest.fixture
def ticket(sqlite_clinic):
    return issue_ticket(sqlite_clinic, TicketRequest("umum", Lane.GENERAL), SYSTEM)


def ask(phone, method, path, code="ZZZZ2222", **headers):
    for mark, value in {**VALUES, "{code}": code}.items():
        path = path.replace(mark, value)
    return phone.request(method, path, headers={"origin": HERE, **headers})


def test_every_other_route_of_the_app_is_not_there(app, phone, ticket):
    """Whatever is added to the app later is not there either, until it says that it is."""
    there = {FILES}
    for one in declared_routes(app):
        method = "POST" if "POST" in one.methods else "GET"
        answer = ask(phone, method, one.path, ticket.code)
        # A stream of no topic is not found on any port.
        if answer.status_code != 404 or one.path == "/live/{topics}":
            there.add((one.path, method))
        assert one.is_for_phones == ((one.path, method) in FOR_PHONES), one.path

    assert there == FOR_PHONES | {FILES}


def test_only_public_routes_may_be_there(app):
    marked = {one.permission for one in declared_routes(app) if one.is_for_phones}

    assert marked == {Permission.PUBLIC}


@pytest.mark.parametrize("path", ["/login", "/loket", "/kiosk", "/x/guest", "/api/v1/units"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_not_there_looks_like_what_never_was(phone, path, method):
    unknown = ask(phone, method, f"{path}-never-was")
    answer = ask(phone, method, path)

    assert answer.status_code == unknown.status_code == 404
    texts = [re.sub("-never-was|:problem:[0-9a-f]+", "", one.text) for one in (answer, unknown)]
    assert texts[0] == texts[1]


def test_a_session_is_none_there(app, phone, sqlite_clinic):
    """Neither the plain nor the secure cookie of a session is read on a plain port."""
    password = accounts.add_user(sqlite_clinic, "siti", SYSTEM)
    token = sessions.login(sqlite_clinic, "siti", password, SYSTEM).token
    cookie = f"pq_session={token}; __Host-pq_session={token}"

    assert ask(phone, "GET", "/loket", cookie=cookie).status_code == 404
    assert ask(phone, "GET", "/live/counter-main", cookie=cookie).status_code == 404


@pytest.mark.parametrize("path", ["/", "/t", "/t/{code}", "/healthz", "/login"])
def test_no_cookie_is_set_there(phone, ticket, path):
    """It would be a cookie of the host's other ports too."""
    answer = ask(phone, "GET", path, ticket.code)

    assert "set-cookie" not in answer.headers


def test_the_front_page_leads_to_the_ticket(phone, ticket):
    front = ask(phone, "GET", "/")
    assert (front.status_code, front.headers["location"]) == (303, "/t")

    form = ask(phone, "GET", "/t")
    assert "Kode di kertas nomor" in form.text
    found = ask(phone, "GET", f"/t?code={ticket.code}")
    assert found.headers["location"] == f"/t/{ticket.code}"
    assert ticket.number in ask(phone, "GET", "/t/{code}", ticket.code).text


def test_a_ticket_is_cancelled_from_its_own_page_only(phone, ticket):
    foreign = ask(phone, "POST", "/t/{code}/cancel", ticket.code, origin="http://evil.example")
    assert foreign.status_code == 403

    done = ask(phone, "POST", "/t/{code}/cancel", ticket.code)

    assert done.status_code == 303
    assert "Antrean dibatalkan" in ask(phone, "GET", "/t/{code}", ticket.code).text


@pytest.mark.parametrize(
    "topics", ["display-main", "kiosk-main", "speech-main", "counter-main", "phone-main,day-main"]
)
def test_streams_of_screens_are_not_there(phone, topics):
    assert ask(phone, "GET", f"/live/{topics}").status_code == 404


def test_other_machines_need_no_allow_insecure_there(app, phone):
    """The port of staff refuses them as before."""
    staff = TestClient(app, base_url=HERE, client=PHONE)

    assert ask(phone, "GET", "/t").status_code == 200
    assert ask(staff, "GET", "/t").status_code == 403
    assert ask(staff, "GET", "/login").status_code == 403


def test_answers_have_the_headers(phone):
    for path in ("/t", "/login", "/static/css/base.css"):
        assert "default-src 'none'" in ask(phone, "GET", path).headers["content-security-policy"]
