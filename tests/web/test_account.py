"""Login, one's own sessions, the locked screen and password links, as a browser sees them."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from puskesmas_queue.domain.access import SYSTEM, Permission, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.errors import Conflict, SetupError, StorageUnavailable
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.storage import tables
from puskesmas_queue.web.page import Page, local_path
from puskesmas_queue.web.rendering import Rendering
from puskesmas_queue.web.routes import account
from puskesmas_queue.web.routing import (
    Declaration,
    declared_routes,
    live_route,
    refuse_undeclared,
    route,
)
from puskesmas_queue.web.security import (
    FACTS,
    SecurityMiddleware,
    SecurityOptions,
    read_facts,
)
from support.machines import hall_cookies

GOOD = "tikus7&abuabu"
OTHER = "kuda lari di sawah"
OWN = {"sec-fetch-site": "same-origin"}


def whoami(page) -> PlainTextResponse:
    """Say who asks and what came."""
    name = page.principal.username if page.principal else "-"
    return PlainTextResponse(json.dumps([name, page.actor.kind, page.form, page.query, page.lang]))


def refuse(page) -> PlainTextResponse:
    raise Conflict("no")


def piece(page) -> Response:
    page.require(Permission.AUDIT_VIEW)
    return page.fragment("account/reset.html", owner=None, errors=[])


def go(page) -> Response:
    return page.redirect("/t/AB?x=1", full=True, y=2, z=None)


def broken(page) -> PlainTextResponse:
    raise StorageUnavailable("disk full")


async def stream(page) -> PlainTextResponse:
    return PlainTextResponse(page.principal.username if page.principal else "-")


def stream_needs(page) -> list[Permission]:
    return [Permission.CALL] if page.path["topic"].startswith("counter") else []


PROBES = [
    route("/probe/public", whoami, methods=("GET", "POST"), permission=Permission.PUBLIC),
    route("/probe/kiosk", whoami, methods=("GET", "POST"), permission=Permission.KIOSK),
    route("/probe/display", whoami, permission=Permission.DISPLAY),
    route("/probe/demo", whoami, permission=Permission.DEMO),
    route("/probe/self", whoami, permission=Permission.SELF),
    route("/loket", whoami, methods=("GET", "POST"), permission=Permission.CALL),
    route("/loket/desk", whoami, permission=Permission.CALL, extends=False),
    route("/dashboard", whoami, permission=Permission.DAY_VIEW),
    route("/probe/users", whoami, permission=Permission.MANAGE_USERS),
    route("/probe/refuse", refuse, permission=Permission.PUBLIC),
    route("/t/{code}", whoami, permission=Permission.PUBLIC),
    route("/probe/piece", piece, permission=Permission.SELF),
    route("/probe/go", go, permission=Permission.PUBLIC),
    route("/probe/broken", broken, permission=Permission.PUBLIC),
    live_route("/live/{topic}", stream, permission=Permission.DISPLAY, needs=stream_needs),
]


@pytest.fixture
def clinic(sqlite_clinic):
    """A clinic with a clerk, an auditor and a head."""
    for username, role in (
        ("budi", Role.PETUGAS_LOKET), ("rini", Role.AUDITOR), ("kadek", Role.KEPALA),
    ):  # fmt: skip
        accounts.add_user(
            sqlite_clinic, username, SYSTEM, role=role, name=f"<b>{username}</b>", password=GOOD
        )
    return sqlite_clinic


@pytest.fixture
def app(clinic) -> Starlette:
    built = Starlette(
        routes=[*account.routes, *PROBES],
        middleware=[Middleware(SecurityMiddleware, options=SecurityOptions())],
    )
    built.state.clinic = clinic
    built.state.rendering = Rendering(clinic)
    built.state.is_demo = False
    return built


def browser(app, cookies: dict[str, str] | None = None) -> TestClient:
    return TestClient(
        app,
        cookies=cookies,
        base_url="http://127.0.0.1:8000",
        client=("127.0.0.1", 50_000),
        follow_redirects=False,
        headers=OWN,
    )


@pytest.fixture
def client(app) -> TestClient:
    return browser(app)


def log_in(client, username="budi", password=GOOD, **more):
    return client.post("/login", data={"username": username, "password": password, **more})


def reads(clinic, monkeypatch) -> list:
    """Collect what is asked of the database from now on."""
    asked = []
    read, write = clinic.db.read, clinic.db.write
    monkeypatch.setattr(clinic.db, "read", lambda fn: asked.append("read") or read(fn))
    monkeypatch.setattr(clinic.db, "write", lambda fn: asked.append("write") or write(fn))
    return asked


def audit(clinic) -> list:
    return clinic.db.read(
        lambda tx: tx.conn.execute(select(tables.audit).order_by(tables.audit.c.id)).all()
    )


# Login


@pytest.mark.parametrize(
    ("username", "home"), [("budi", "/loket"), ("kadek", "/dashboard"), ("rini", "/me")]
)
def test_login_leads_to_ones_work(client, username, home):
    answer = log_in(client, username)

    assert (answer.status_code, answer.headers["location"]) == (303, home)
    assert client.get(home).status_code == 200


def test_login_page_says_what_is_wrong_and_keeps_the_name(client):
    answer = log_in(client, "budi", "salah7&abuabu")

    assert answer.status_code == 401
    assert "<title>Kesalahan: Masuk petugas" in answer.text
    assert 'href="#password"' in answer.text
    assert 'value="budi"' in answer.text
    assert "salah7" not in answer.text
    assert "pq_session" not in answer.headers.get("set-cookie", "")


def test_login_page_says_when_to_try_again(client):
    for _ in range(3):
        log_in(client, "budi", "salah7&abuabu")

    answer = log_in(client)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "dalam 1 detik" in answer.text


def test_empty_login_names_both_fields(client):
    answer = log_in(client, " ", "")

    assert answer.status_code == 422
    assert 'href="#username"' in answer.text
    assert 'href="#password"' in answer.text


def test_typed_name_is_shown_as_text(client):
    answer = log_in(client, '"><script>alert(1)</script>', "x")

    assert "<script>alert" not in answer.text


def test_logged_in_user_needs_no_login(client):
    log_in(client)

    assert client.get("/login").headers["location"] == "/loket"


def test_session_id_is_new_at_login(client, clinic):
    """A planted session id is worth nothing after the login (fixation)."""
    planted = sessions.login(clinic, "kadek", GOOD, SYSTEM).token
    client.cookies.set("pq_session", planted, domain="127.0.0.1", path="/")

    log_in(client)

    assert client.cookies["pq_session"] != planted
    assert sessions.load_session(clinic, planted) is None
    assert client.get("/probe/self").json()[0] == "budi"


def test_unknown_session_id_is_not_adopted(client):
    client.cookies.set("pq_session", "x" * 43, domain="127.0.0.1", path="/")
    assert client.get("/probe/self").status_code == 303

    log_in(client)

    assert client.cookies["pq_session"] != "x" * 43


# Where to go next


def test_page_comes_back_after_the_login(client):
    asked = client.get("/loket?ticket=7&a=b")
    assert asked.headers["location"] == "/login?next=%2Floket%3Fticket%3D7%26a%3Db"

    form = client.get(asked.headers["location"])
    assert 'name="next" value="/loket?ticket=7&amp;a=b"' in form.text
    assert log_in(client, next="/loket?ticket=7&a=b").headers["location"] == "/loket?ticket=7&a=b"


BAD_NEXT = [
    "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
    "javascript:alert(1)", "/\t/evil.example", "/%0a//x\n", "evil", "", " /loket", "///evil",
    "http:/evil", "/a" * 400, "/login", "/logout", "/unlock?next=/x", "/lock/",
]  # fmt: skip


@pytest.mark.parametrize("target", BAD_NEXT)
def test_next_leads_nowhere_else(client, target):
    assert log_in(client, next=target).headers["location"] == "/loket"


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("/", True),
        ("/loket?x=//y", True),
        ("/t/AB#x", True),
        (None, False),
        ("//", False),
        ("/x://[", True),
        ("http://[", False),
    ],
)
def test_local_path(text, is_local):
    assert local_path(text) == (text if is_local else None)


# Session


def test_logout_ends_the_session(client, clinic):
    log_in(client)
    token = client.cookies["pq_session"]

    answer = client.post("/logout")

    assert answer.headers["location"] == "/login?done=logout"
    assert "pq_session" not in client.cookies
    assert sessions.load_session(clinic, token) is None


def test_stolen_cookie_is_dead_after_logout(client, app):
    log_in(client)
    thief = browser(app)
    thief.cookies.set("pq_session", client.cookies["pq_session"])
    assert thief.get("/probe/self").status_code == 200

    client.post("/logout")

    assert thief.get("/probe/self").status_code == 303


def test_idle_session_must_log_in_again(client, clinic):
    log_in(client)
    clinic.clock.advance(timedelta(minutes=31))

    assert client.get("/loket").headers["location"] == "/login?next=%2Floket"


def test_what_a_page_asks_by_itself_does_not_extend(client, clinic):
    log_in(client)
    client.cookies.update(hall_cookies(clinic))
    for _ in range(3):
        clinic.clock.advance(timedelta(minutes=9))
        assert client.get("/loket/desk").status_code == 200
        assert client.get("/live/counter-main").status_code == 200
    clinic.clock.advance(timedelta(minutes=4))

    assert client.get("/loket/desk").status_code == 303


def test_disabled_user_is_out_at_the_next_request(client, clinic):
    log_in(client)

    accounts.disable_user(clinic, "budi", SYSTEM)

    assert client.get("/loket").status_code == 303


@pytest.mark.parametrize("path", ["/logout", "/lock", "/me/password", "/me/sessions/end", "/loket"])
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "http://evil"}])
def test_foreign_page_changes_nothing(client, path, headers):
    log_in(client)
    if "origin" in headers:
        del client.headers["sec-fetch-site"]

    assert client.post(path, headers=headers).status_code == 403

    client.headers.update(OWN)
    assert client.get("/probe/self").status_code == 200


@pytest.mark.parametrize("path", ["/logout", "/lock", "/lang", "/me/password", "/me/sessions/end"])
def test_reading_changes_nothing(client, path):
    log_in(client)

    assert client.get(path).status_code == 405


# What a session costs


@pytest.mark.parametrize("path", ["/probe/kiosk", "/probe/display", "/live/display-main"])
@pytest.mark.parametrize("is_logged_in", [False, True])
def test_screens_of_the_hall_read_no_session(client, clinic, monkeypatch, path, is_logged_in):
    if is_logged_in:
        log_in(client)
    client.cookies.update(hall_cookies(clinic))
    client.get(path)
    asked = reads(clinic, monkeypatch)

    answer = client.get(path)

    assert answer.status_code == 200
    assert "budi" not in answer.text
    assert asked == []


def test_public_page_reads_a_session_only_if_there_is_a_cookie(client, clinic, monkeypatch):
    asked = reads(clinic, monkeypatch)
    assert client.get("/probe/public").json()[:2] == ["-", "device"]
    assert asked == []

    log_in(client)
    asked.clear()
    assert client.get("/probe/public").json()[:2] == ["budi", "user"]
    assert asked == ["read"]


# Permission


def test_refusal_is_a_page_and_is_logged(client, clinic):
    log_in(client)

    answer = client.get("/probe/users?secret=1")

    assert answer.status_code == 403
    row = audit(clinic)[-1]
    assert row.action == "access_refused"
    assert row.new_values == {
        "method": "GET", "path": "/probe/users", "permission": "manage_users",
    }  # fmt: skip
    assert row.ip_address == "127.0.0.1"


def test_demo_pages_are_not_there(client):
    assert client.get("/probe/demo").status_code == 404


def test_post_without_session_comes_back_to_nothing(client):
    """What was posted cannot be repeated after the login, so it is not promised."""
    assert client.post("/loket").headers["location"] == "/login"


def test_htmx_is_sent_to_the_login_as_a_whole(client):
    answer = client.get("/loket", headers={"hx-request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login"


@pytest.mark.parametrize(
    ("username", "topic", "status"),
    [
        (None, "display-main", 200),
        (None, "counter-main", 303),
        ("budi", "counter-main", 200),
        ("rini", "counter-main", 403),
        ("rini", "display-main", 200),
    ],
)
def test_streams_check_what_their_topics_need(client, clinic, username, topic, status):
    client.cookies.update(hall_cookies(clinic))
    if username:
        log_in(client, username)

    assert client.get(f"/live/{topic}").status_code == status


def test_a_stream_of_the_hall_is_for_paired_machines(client, clinic):
    client.cookies.update(hall_cookies(clinic, [DeviceKind.KIOSK]))

    assert client.get("/live/display-main").headers["location"] == "/pair?for=display"
    assert (
        client.get("/live/display-main", headers={"accept": "text/event-stream"}).status_code == 401
    )


def test_stream_without_session_is_no_page(client):
    answer = client.get("/live/counter-main", headers={"accept": "text/event-stream"})

    assert answer.status_code == 401


def test_route_without_permission_stops_the_app():
    async def open_door(request):
        return PlainTextResponse("")

    app = Starlette(routes=[*PROBES, Route("/door", open_door)])

    assert Declaration("/door", (), None) in declared_routes(app)
    with pytest.raises(SetupError, match="/door"):
        refuse_undeclared(app)


# Requests


def test_form_and_json_are_parsed(client):
    form = client.post("/probe/public?x=1", data={"a": "b"})
    assert form.json()[2:4] == [{"a": "b"}, {"x": "1"}]

    document = {"at": "2026-02-26", "n": 3, "rebase": False, "list": [1]}
    sent = client.post("/probe/public", json=document)
    assert sent.json()[2] == {"at": "2026-02-26", "n": "3", "rebase": "false"}


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"[" * 100_000, b"\xff"])
def test_json_that_is_none(client, body):
    answer = client.post(
        "/probe/public", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 400


def test_control_characters_are_refused(client):
    assert client.post("/probe/public", data={"a": "b\x00c"}).status_code == 422
    assert client.get("/probe/public?a=%00").status_code == 422
    assert client.get("/t/%00").status_code == 404
    surrogate = client.post(
        "/probe/public",
        content=b'{"a": "\\ud800"}',
        headers={"content-type": "application/json"},
    )
    assert surrogate.status_code == 422
    assert client.post("/probe/public", data={"a": "b\r\nc"}).status_code == 200


def test_files_are_not_taken(client):
    answer = client.post("/probe/public", files={"a": ("x.txt", b"x")})

    assert answer.status_code == 400


def test_refusal_of_a_handler_is_a_page(client):
    assert client.get("/probe/refuse").status_code == 409
    assert client.get("/probe/broken").status_code == 503


def test_refusal_stays_one_though_it_cannot_be_logged(client, clinic, monkeypatch):
    log_in(client)

    def full(fn):
        raise StorageUnavailable("disk full")

    monkeypatch.setattr(clinic.db, "write", full)

    assert client.get("/probe/users").status_code == 403


def test_session_that_cannot_be_read_is_a_page(client, clinic, monkeypatch):
    log_in(client)

    def gone(fn):
        raise StorageUnavailable("no database")

    with monkeypatch.context() as patched:
        patched.setattr(sessions, "load_session", lambda *args, **more: gone(None))
        assert client.get("/loket").status_code == 503
        assert client.get("/live/counter-main").status_code == 503
    assert client.get("/live/%00").status_code == 404


def test_handler_may_ask_for_more_than_its_route(client):
    log_in(client)
    assert client.get("/probe/piece").status_code == 403
    client.post("/logout")
    log_in(client, "rini")
    assert client.get("/probe/piece").status_code == 200


def test_redirect_keeps_the_language_and_drops_what_is_none(client):
    assert client.get("/probe/go").headers["location"] == "/t/AB?x=1&y=2"
    assert client.get("/probe/go?lang=en").headers["location"] == "/t/AB?x=1&y=2&lang=en"
    htmx = client.get("/probe/go", headers={"hx-request": "true"})
    assert (htmx.status_code, htmx.headers["hx-redirect"]) == (204, "/t/AB?x=1&y=2")


def test_stream_learns_that_its_session_ended(client, app, clinic):
    log_in(client)
    token = client.cookies["pq_session"]
    page = page_of(app, sessions.load_session(clinic, token))
    assert page.is_still_allowed(Permission.CALL)
    assert not page.is_still_allowed(Permission.AUDIT_VIEW)
    assert not page_of(app, None).is_still_allowed(Permission.DISPLAY)

    accounts.disable_user(clinic, "budi", SYSTEM)

    assert not page.is_still_allowed(Permission.CALL)


def page_of(app, principal) -> Page:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live/counter-main",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "path_params": {},
        "app": app,
        "client": ("127.0.0.1", 1),
    }
    scope[FACTS] = read_facts(scope, Headers(scope=scope), [])
    return Page(Request(scope), principal=principal)


# Me


def test_own_sessions_show_where_and_can_be_ended(client, app, clinic):
    log_in(client)
    other = browser(app)
    agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537"
    other.headers["user-agent"] = agent
    log_in(other)

    page = client.get("/me")
    assert "Chrome di Windows" in page.text
    assert "&lt;b&gt;budi" in page.text
    for token in (client.cookies["pq_session"], other.cookies["pq_session"]):
        assert token not in page.text
        assert sessions.hash_token(token) not in page.text

    handle = sessions.hash_token(other.cookies["pq_session"])[:16]
    assert client.post("/me/sessions/end", data={"session": handle}).headers["location"] == (
        "/me?done=session"
    )
    assert other.get("/me").status_code == 303
    assert client.post("/me/sessions/end", data={"session": handle}).headers["location"] == (
        "/me?done=gone"
    )


def test_all_other_sessions_end_at_once(client, app):
    others = [browser(app) for _ in range(2)]
    for one in (client, *others):
        log_in(one)

    client.post("/me/sessions/end", data={"session": "others"})

    assert [one.get("/me").status_code for one in (client, *others)] == [200, 303, 303]


def test_ending_this_session_is_a_logout(client):
    log_in(client)
    handle = sessions.hash_token(client.cookies["pq_session"])[:16]

    answer = client.post("/me/sessions/end", data={"session": handle})

    assert answer.headers["location"] == "/login?done=logout"
    assert client.get("/me").status_code == 303


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "old"),
        ({"old": GOOD}, "new"),
        ({"old": GOOD, "new": OTHER, "again": "lain"}, "again"),
        ({"old": "salah", "new": OTHER, "again": OTHER}, "old"),
        ({"old": GOOD, "new": "pendek", "again": "pendek"}, "new"),
        ({"old": GOOD, "new": "Puskesmas1!", "again": "Puskesmas1!"}, "new"),
    ],
)
def test_password_form_says_what_is_wrong(client, form, field):
    log_in(client)

    answer = client.post("/me/password", data=form)

    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert "<title>Kesalahan:" in answer.text


def test_password_change(client, app):
    log_in(client)
    other = browser(app)
    log_in(other)

    answer = client.post("/me/password", data={"old": GOOD, "new": OTHER, "again": OTHER})

    assert answer.headers["location"] == "/me?done=password"
    assert client.get("/me?done=password").status_code == 200
    assert other.get("/me").status_code == 303
    assert log_in(other).status_code == 401
    assert log_in(other, "budi", OTHER).status_code == 303


# Language


def test_language_of_a_visitor_is_in_the_address(client):
    answer = client.post("/lang", data={"lang": "en", "next": "/t/AB?x=1&lang=id"})
    assert answer.headers["location"] == "/t/AB?x=1&lang=en"
    assert client.get(answer.headers["location"]).json()[4] == "en"
    back = client.post("/lang", data={"lang": "id", "next": "/t/AB?lang=en"})
    assert back.headers["location"] == "/t/AB"
    nowhere = client.post("/lang", data={"lang": "xx", "next": "//evil.example"})
    assert nowhere.headers["location"] == "/"


def test_language_of_a_user_stays(client):
    log_in(client)
    answer = client.post("/lang", data={"lang": "en", "next": "/me"})

    assert answer.headers["location"] == "/me"
    assert '<html lang="en"' in client.get("/me").text
    assert client.get("/probe/self").json()[4] == "en"


# Lock


def test_locked_screen(client, clinic):
    log_in(client)
    answer = client.post("/lock", data={"next": "/loket?ticket=7"})
    assert answer.headers["location"] == "/unlock?next=%2Floket%3Fticket%3D7"

    assert client.get("/loket").headers["location"] == "/unlock?next=%2Floket"
    assert client.get("/me").status_code == 303
    assert client.post("/loket").headers["location"] == "/unlock"
    assert client.get("/live/counter-main").status_code == 303
    assert client.get("/login").headers["location"] == "/unlock"
    client.cookies.update(hall_cookies(clinic))
    assert client.get("/probe/kiosk").status_code == 200

    form = client.get("/unlock?next=/loket")
    assert "&lt;b&gt;budi" in form.text
    wrong = client.post("/unlock", data={"password": "salah"})
    assert wrong.status_code == 401
    assert "<title>Kesalahan:" in wrong.text
    assert client.post("/unlock").status_code == 422

    right = client.post("/unlock", data={"password": GOOD, "next": "/loket?ticket=7"})
    assert right.headers["location"] == "/loket?ticket=7"
    assert client.get("/loket").status_code == 200
    assert client.get("/unlock").headers["location"] == "/loket"


def test_lock_by_htmx_leaves_the_whole_page(client):
    log_in(client)

    answer = client.post("/lock", headers={"hx-request": "true"})

    assert answer.headers["hx-redirect"] == "/unlock"


def test_locked_screen_can_be_left(client):
    log_in(client)
    client.post("/lock")

    assert client.post("/logout").headers["location"] == "/login?done=logout"


# Links


def test_password_link(client, clinic):
    link = accounts.reset_password(clinic, "budi", SYSTEM)
    assert "budi" in client.get(f"/reset/{link.token}").text
    weak = client.post(f"/reset/{link.token}", data={"new": "pendek", "again": "pendek"})
    assert weak.status_code == 422
    assert "<title>Kesalahan:" in weak.text

    done = client.post(f"/reset/{link.token}", data={"new": OTHER, "again": OTHER})

    assert done.headers["location"] == "/login?done=reset"
    assert "Kata sandi baru tersimpan" in client.get("/login?done=reset").text
    assert log_in(client, "budi", OTHER).status_code == 303
    assert client.get(f"/reset/{link.token}").status_code == 404
    again = client.post(f"/reset/{link.token}", data={"new": GOOD, "again": GOOD})
    assert again.status_code == 404


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537 Edg/120", "Edge di Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17) Version/17 Mobile Safari/604", "Safari di iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Firefox/120.0", "Firefox di Linux"),
        ("curl/8", "Perangkat tidak dikenal"),
        ("", "Perangkat tidak dikenal"),
    ],
)  # fmt: skip
def test_browsers_in_words(client, agent, words):
    client.headers["user-agent"] = agent
    log_in(client)

    assert words in client.get("/me").text
