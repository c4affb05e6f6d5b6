"""What an attacker, a stale page or a race did before it was mended; one test for each."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Permission, Role
from puskesmas_queue.domain.errors import Conflict, NotFound, SetupError
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.services import accounts, calling, counters, sessions, speech
from puskesmas_queue.services.tickets import find_ticket
from puskesmas_queue.settings import build_config, without_password
from puskesmas_queue.web.rendering import Rendering
from puskesmas_queue.web.routes.demo import DemoState
from puskesmas_queue.web.routing import route
from puskesmas_queue.web.security import MAX_PATH, SecurityMiddleware, SecurityOptions
from support.desk import STAFF, at_once, open_all, take
from support.machines import hall_cookies
from support.server import run_command

OWN = {"sec-fetch-site": "same-origin"}
PASSWORD = "tikus7&abuabu"
HUGE = "9" * 5000


def browser(app, **more) -> TestClient:
    return TestClient(
        app,
        base_url="http://127.0.0.1:8000",
        client=("127.0.0.1", 50_000),
        follow_redirects=False,
        raise_server_exceptions=False,
        headers=OWN,
        **more,
    )


@pytest.fixture
def app(sqlite_clinic) -> Starlette:
    return make_app(sqlite_clinic)


@pytest.fixture
def clerk(app, sqlite_clinic):
    """Make the browser of a clerk who has just logged in."""

    def make(username: str) -> TestClient:
        accounts.add_user(
            sqlite_clinic, username, SYSTEM, role=Role.PETUGAS_LOKET, password=PASSWORD
        )
        one = browser(app)
        answer = one.post("/login", data={"username": username, "password": PASSWORD})
        assert answer.status_code == 303
        return one

    return make


# Numbers that no column takes


@pytest.mark.parametrize("number", [HUGE, "9" * 30, str(2**63), "-1", "٣", "", "1 "])
def test_numbers_out_of_bounds_are_refused_kindly(app, sqlite_clinic, clerk, number):
    budi = clerk("budi")

    counter = budi.post("/loket/open", data={"counter": number})
    spoken = browser(app, cookies=hall_cookies(sqlite_clinic)).post(
        "/display/spoken", data={"zone": "main", "screen": "layar12345", "id": number}
    )

    assert (counter.status_code, spoken.status_code) == (422, 422)


@pytest.mark.parametrize("length", [18, 19, MAX_PATH, 5000])
def test_ticket_ids_of_any_length_are_no_crash(app, clerk, length):
    path = f"/loket/tickets/{'9' * length}"
    budi = clerk("budi")
    budi.post("/loket/open", data={"counter": "1"})

    assert budi.post(f"{path}/skip").status_code == 404
    assert browser(app).post(f"{path}/skip").status_code in (303, 404)


@pytest.mark.parametrize("charset", ["undefined", "base64", "utf-16", "idna", "nothing"])
def test_charset_of_a_form_is_no_crash(app, charset):
    body = b'--X\r\nContent-Disposition: form-data; name="next"\r\n\r\n/\xff\r\n--X--\r\n'
    kind = f"multipart/form-data; boundary=X; charset={charset}"

    answer = browser(app).post("/lang", content=body, headers={"content-type": kind})

    assert answer.status_code < 500


@pytest.mark.parametrize("host", ["[::::]", "[1.1.1.1]", "evil.example", "a:99999"])
def test_foreign_hosts_lead_nowhere_else(app, host):
    answer = browser(app).get("/loket", headers={"host": host})

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Floket")


# Limits that another spelling of a path went round


@pytest.mark.parametrize("path", ["/login", "/pair", "/api/v1/token", "/api/v1/devices/pair"])
def test_a_path_with_a_line_end_is_nowhere(app, path):
    """`/login%0A` was the login page, and its limit counted `/login` only."""
    guesser = browser(app)
    document = {"username": "budi", "password": "salah", "code": "ABCD2345"}

    answers = [guesser.post(f"{path}%0A", json=document).status_code for _ in range(2)]

    assert answers == [404, 404]


def test_a_length_of_many_figures_is_no_crash(app):
    answer = browser(app).post("/login", headers={"content-length": "0" * 5000 + "5"})

    assert answer.status_code == 413


# Counters and their sessions


def test_counter_opened_for_a_session_that_ended_would_stay_taken(clinic):
    accounts.add_user(clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, password=PASSWORD)
    mine = sessions.login(clinic, "budi", PASSWORD, SYSTEM).principal
    sessions.logout(clinic, mine, SYSTEM)

    with pytest.raises(NotFound):
        counters.open_counter(clinic, 1, mine.session_hash, STAFF, hold=sessions.hold_session)

    assert counters.all_counters(clinic)[0].state == "closed"


def test_logging_out_while_opening_leaves_no_counter_behind(clinic):
    accounts.add_user(clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, password=PASSWORD)

    for _ in range(5):
        mine = sessions.login(clinic, "budi", PASSWORD, SYSTEM).principal

        def enter(one=mine):
            return counters.open_counter(
                clinic, 1, one.session_hash, STAFF, hold=sessions.hold_session
            )

        answers = at_once([enter, enter, lambda one=mine: sessions.logout(clinic, one, SYSTEM)])

        faults = [one for one in answers if isinstance(one, Exception)]
        assert all(isinstance(one, NotFound) for one in faults)
        assert counters.all_counters(clinic)[0].session_id is None


def test_route_asks_for_a_living_session(app, clerk, sqlite_clinic, monkeypatch):
    budi = clerk("budi")
    load = sessions.load_session

    def load_and_end(clinic, token, **more):
        principal = load(clinic, token, **more)
        sessions.logout(clinic, principal, SYSTEM)
        return principal

    monkeypatch.setattr(sessions, "load_session", load_and_end)
    answer = budi.post("/loket/open", data={"counter": "1"})

    assert answer.status_code == 404
    assert counters.all_counters(sqlite_clinic)[0].session_id is None


@pytest.mark.parametrize("step", ["recall", "serve", "skip", "hold", "complete"])
def test_old_page_does_not_move_a_ticket_of_another_counter(app, clerk, sqlite_clinic, step):
    ani, budi = clerk("ani"), clerk("budi")
    ani.post("/loket/open", data={"counter": "1"})
    budi.post("/loket/open", data={"counter": "2"})
    ticket = take(sqlite_clinic, "A")[0]
    ani.post("/loket/call-next")
    if step in {"hold", "complete"}:
        ani.post(f"/loket/tickets/{ticket.id}/serve")
    before = find_ticket(sqlite_clinic, ticket.id)

    answer = budi.post(f"/loket/tickets/{ticket.id}/{step}")

    assert answer.status_code == 409
    assert find_ticket(sqlite_clinic, ticket.id) == before


def test_steps_at_another_counter_are_refused_by_the_use_case(sqlite_clinic):
    open_all(sqlite_clinic, 1, 2)
    take(sqlite_clinic, "A")
    called = calling.call_next(sqlite_clinic, 1, STAFF)
    calling.serve(sqlite_clinic, called.id, STAFF, 1)

    with pytest.raises(Conflict):
        calling.complete(sqlite_clinic, called.id, STAFF, 2)
    done = calling.complete(sqlite_clinic, called.id, STAFF, 1)

    assert done.state is TicketState.COMPLETED
    # Done is done, whoever says so again.
    assert calling.complete(sqlite_clinic, called.id, STAFF, 2) == done


# The screen that speaks


def test_what_the_stream_tells_of_the_speaker_does_not_let_others_answer_for_it(app, sqlite_clinic):
    screen, other = (browser(app, cookies=hall_cookies(sqlite_clinic)) for _ in range(2))
    told = screen.post(
        "/display/heartbeat", data={"zone": "main", "screen": "layarutama7", "voice": "1"}
    ).json()
    open_all(sqlite_clinic, 1)
    take(sqlite_clinic, "A")
    calling.call_next(sqlite_clinic, 1, STAFF)
    state = speech.speech_state(sqlite_clinic, "main")
    assert state.speaker == told["mark"] != "layarutama7"

    forged = {"zone": "main", "screen": state.speaker, "id": str(state.current.id), "voice": "0"}
    other.post("/display/heartbeat", data=forged)
    other.post("/display/spoken", data=forged)

    assert speech.speech_state(sqlite_clinic, "main") == state
    screen.post("/display/spoken", data={**forged, "screen": "layarutama7"})
    assert speech.speech_state(sqlite_clinic, "main").current is None


# Storage that stands still


def test_pages_are_shown_while_changes_wait(sqlite_clinic):
    gate = threading.Event()

    def change(page):
        gate.wait(120)
        return PlainTextResponse("")

    def show(page):
        return PlainTextResponse("shown")

    app = Starlette(
        routes=[
            route("/change", change, methods=("POST",), permission=Permission.PUBLIC),
            route("/show", show, permission=Permission.PUBLIC),
        ],
        middleware=[Middleware(SecurityMiddleware, options=SecurityOptions())],
    )
    app.state.clinic, app.state.rendering = sqlite_clinic, Rendering(sqlite_clinic)
    shown = []

    async def run() -> None:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with (
            httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", headers=OWN
            ) as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(100):
                group.start_soon(client.post, "/change")
            await anyio.sleep(0.1)
            with anyio.move_on_after(60):
                shown.append((await client.get("/show")).text)
            gate.set()

    try:
        anyio.run(run)
    finally:
        gate.set()
    assert shown == ["shown"]


# Setting up


def test_two_inits_at_once_leave_one_whole_clinic(tmp_path):
    folder = tmp_path / "klinik"
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: run_command("init", folder), range(3)))

    assert sorted(one.returncode for one in done) == [0, 1, 1]
    for one in done:
        if one.returncode:
            assert "exists already" in one.stderr
            assert len(one.stderr.splitlines()) == 1
    listed = run_command("user", "list", "--config", folder / "puskesmas.toml")
    assert listed.returncode == 0
    assert listed.stdout.startswith("admin")
    assert {path.name for path in tmp_path.iterdir()} == {"klinik"}
    if os.name == "posix":
        assert (folder / "data" / "puskesmas.db").stat().st_mode & 0o077 == 0


@pytest.mark.postgres
def test_init_that_cannot_make_its_account_leaves_nothing_in_postgresql(
    tmp_path, empty_postgres_url
):
    folder, where = tmp_path / "klinik", ("--database", empty_postgres_url)

    refused = run_command("init", folder, *where, "--admin", "../x")
    done = run_command("init", folder, *where, "--admin", "bos")

    assert (refused.returncode, done.returncode) == (1, 0)
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["a\nb", "\udcff", "x\x1b[31m", "x" * 201])
def test_clinic_names_are_one_line_that_can_be_written(tmp_path, name):
    with pytest.raises(SetupError, match=r"clinic\.name"):
        build_config(tmp_path / "p.toml", {"clinic": {"id": "uji", "name": name}}, {})


def test_passwords_of_any_form_stay_out_of_messages():
    for url in (
        "postgresql://u:rah/asia@h/d",
        "postgresql://u:ra@h/asia@h/d",
        "postgresql://h/d?user=u&password=rahasia",
        "postgresql://h/d?Password=rahasia&sslmode=require",
    ):
        assert "asia" not in without_password(url)


# The demo's clock


def test_demo_clock_cannot_be_pushed_out_of_the_calendar(sqlite_clinic, clock):
    demo = browser(make_app(sqlite_clinic, DemoState(clock, [], {})))
    year = {"advance_s": str(366 * 24 * 3600)}

    statuses = [demo.post("/demo/clock", data=year).status_code for _ in range(80)]

    assert statuses[0] == 200
    assert statuses[-1] == 422
    assert clock.now().year <= 2100
    assert demo.get("/kiosk").status_code == 200
