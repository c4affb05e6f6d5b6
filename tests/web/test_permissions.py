"""
Role × route × method, against a table written by hand.

A new route fails here until somebody has decided who may use it.
"""

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Permission, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.rest.api import ENDPOINTS
from puskesmas_queue.rest.endpoint import PREFIX
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.web.routes.demo import DemoState
from puskesmas_queue.web.routing import declared_routes, refuse_undeclared
from support.machines import pair_machine

P = Permission
READ, POST = ("GET", "HEAD"), ("POST",)
TICKET = "/loket/tickets/{id:int}"

TABLE = {
    # What everybody sees.
    ("/", READ): P.PUBLIC,
    ("/healthz", READ): P.PUBLIC,
    ("/metrics", READ): P.PUBLIC,
    ("/readyz", READ): P.PUBLIC,
    ("/theme.css", READ): P.PUBLIC,
    ("/static", READ): P.PUBLIC,
    ("/t", READ): P.PUBLIC,
    ("/t/{code}", READ): P.PUBLIC,
    ("/t/{code}/cancel", POST): P.PUBLIC,
    # Staff topics of a stream need more; test_account and the tests of live/ hold that.
    ("/live/{topics}", READ): P.PUBLIC,
    ("/login", READ): P.PUBLIC,
    ("/login", POST): P.PUBLIC,
    ("/lang", POST): P.PUBLIC,
    ("/reset/{token}", READ): P.PUBLIC,
    ("/reset/{token}", POST): P.PUBLIC,
    ("/pair", READ): P.PUBLIC,
    ("/pair", POST): P.PUBLIC,
    ("/api/docs", READ): P.PUBLIC,
    # The hall.
    ("/kiosk", READ): P.KIOSK,
    ("/kiosk/new", READ): P.KIOSK,
    ("/kiosk/category", READ): P.KIOSK,
    ("/kiosk/reason", READ): P.KIOSK,
    ("/kiosk/payment", READ): P.KIOSK,
    ("/kiosk/unit", READ): P.KIOSK,
    ("/kiosk/help", READ): P.KIOSK,
    ("/kiosk/tickets", POST): P.KIOSK,
    ("/kiosk/ticket/{code}", READ): P.KIOSK,
    ("/kiosk/emergency", POST): P.KIOSK,
    ("/kiosk/ticket/{code}/print", POST): P.KIOSK,
    ("/kiosk/aloud", READ): P.KIOSK,
    ("/kiosk/category/aloud", READ): P.KIOSK,
    ("/kiosk/reason/aloud", READ): P.KIOSK,
    ("/kiosk/payment/aloud", READ): P.KIOSK,
    ("/kiosk/unit/aloud", READ): P.KIOSK,
    ("/kiosk/help/aloud", READ): P.KIOSK,
    ("/kiosk/ticket/{code}/aloud", READ): P.KIOSK,
    ("/kiosk/refused/{name}/aloud", READ): P.KIOSK,
    ("/display", READ): P.DISPLAY,
    ("/display/heartbeat", POST): P.DISPLAY,
    ("/display/leave", POST): P.DISPLAY,
    ("/display/spoken", POST): P.DISPLAY,
    ("/display/sound/{id:int}", READ): P.DISPLAY,
    # Whoever is logged in.
    ("/logout", POST): P.SESSION,
    ("/lock", POST): P.SESSION,
    ("/unlock", READ): P.SESSION,
    ("/unlock", POST): P.SESSION,
    ("/me", READ): P.SELF,
    ("/me/sessions/end", POST): P.SELF,
    ("/me/programs/end", POST): P.SELF,
    ("/me/password", POST): P.SELF,
    # The counter.
    ("/loket", READ): P.CALL,
    ("/loket/current", READ): P.CALL,
    ("/loket/side", READ): P.CALL,
    ("/loket/slip/{code}", READ): P.CALL,
    ("/loket/slip/{code}/print", POST): P.CALL,
    ("/loket/open", POST): P.CALL,
    ("/loket/pause", POST): P.CALL,
    ("/loket/close", POST): P.CALL,
    ("/loket/call-next", POST): P.CALL,
    ("/loket/printers/dismiss", POST): P.CALL,
    ("/loket/clock/confirm", POST): P.CALL,
    ("/dashboard/clock/confirm", POST): P.DAY_VIEW,
    ("/loket/tickets", POST): P.CALL,
    (TICKET, READ): P.CALL,
    (f"{TICKET}/recall", POST): P.CALL,
    (f"{TICKET}/serve", POST): P.CALL,
    (f"{TICKET}/skip", POST): P.CALL,
    (f"{TICKET}/hold", POST): P.CALL,
    (f"{TICKET}/complete", POST): P.CALL,
    (f"{TICKET}/reinsert", POST): P.CALL,
    (f"{TICKET}/arrive", POST): P.CALL,
    (f"{TICKET}/cancel", POST): P.CALL,
    (f"{TICKET}/transfer", POST): P.CALL,
    # The office.
    ("/dashboard", READ): P.DAY_VIEW,
    ("/admin/devices", READ): P.MANAGE_SETTINGS,
    ("/admin/devices/add", READ): P.MANAGE_SETTINGS,
    ("/admin/devices/add", POST): P.MANAGE_SETTINGS,
    ("/admin/devices/{id:int}", READ): P.MANAGE_SETTINGS,
    ("/admin/devices/{id:int}/name", POST): P.MANAGE_SETTINGS,
    ("/admin/devices/{id:int}/code", POST): P.MANAGE_SETTINGS,
    ("/admin/devices/{id:int}/revoke", READ): P.MANAGE_SETTINGS,
    ("/admin/devices/{id:int}/revoke", POST): P.MANAGE_SETTINGS,
    ("/admin/plugins", READ): P.MANAGE_SETTINGS,
    ("/admin/plugins/{name}", READ): P.MANAGE_SETTINGS,
    ("/admin/plugins/{name}", POST): P.MANAGE_SETTINGS,
    ("/admin/plugins/{name}/switch-on", POST): P.MANAGE_SETTINGS,
    ("/admin/deliveries", READ): P.MANAGE_SETTINGS,
    ("/admin/deliveries/{id:int}/redeliver", POST): P.MANAGE_SETTINGS,
    ("/admin/deliveries/{id:int}/dismiss", READ): P.MANAGE_SETTINGS,
    ("/admin/deliveries/{id:int}/dismiss", POST): P.MANAGE_SETTINGS,
    ("/admin/deliveries/of/{name}/redeliver", POST): P.MANAGE_SETTINGS,
    ("/admin/deliveries/of/{name}/dismiss", READ): P.MANAGE_SETTINGS,
    ("/admin/deliveries/of/{name}/dismiss", POST): P.MANAGE_SETTINGS,
}
ALLOWED = {
    P.PUBLIC: {None, *Role},
    P.KIOSK: set(),
    P.DISPLAY: set(),
    P.SESSION: set(Role),
    P.SELF: set(Role),
    P.CALL: {Role.ADMIN, Role.PETUGAS_LOKET},
    P.DAY_VIEW: {Role.ADMIN, Role.PETUGAS_LOKET, Role.PETUGAS_RM, Role.KEPALA},
    P.MANAGE_SETTINGS: {Role.ADMIN},
}
VALUES = {
    "/static": "/static/css/base.css",
    "{id:int}": "999999",
    "{code}": "ZZZZ2222",
    "{name}": "none",
    "{token}": "x" * 43,
    "{topics}": "none",
}
OF_MACHINES = {
    P.PUBLIC: set(DeviceKind),
    P.KIOSK: {DeviceKind.KIOSK},
    P.DISPLAY: {DeviceKind.DISPLAY, DeviceKind.SPEAKER},
}
REFUSALS = {"/login", "/unlock", "/pair"}


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


@pytest.fixture
def tokens(sqlite_clinic) -> dict:
    """A session for each role, and one with a locked screen."""
    found = {}
    for role in Role:
        password = accounts.add_user(sqlite_clinic, role.value, SYSTEM, role=role)
        found[role] = sessions.login(sqlite_clinic, role.value, password, SYSTEM)
    locked = sessions.login(sqlite_clinic, role.value, password, SYSTEM)
    sessions.lock(sqlite_clinic, locked.principal, SYSTEM)
    return {key: login.token for key, login in found.items()} | {"locked": locked.token}


@pytest.fixture
def machines(sqlite_clinic) -> dict:
    """A paired machine of each kind."""
    return {kind: pair_machine(sqlite_clinic, kind).token for kind in DeviceKind}


def ask(app, method: str, path: str, token: str | None, cookie: str = "pq_session"):
    """Ask as one browser, which is new each time, so that no answer changes the next."""
    for mark, value in VALUES.items():
        path = path.replace(mark, value)
    headers = {"sec-fetch-site": "same-origin"}
    if token is not None:
        headers["cookie"] = f"{cookie}={token}"
    client = TestClient(
        app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), follow_redirects=False
    )
    return client.request(method, path, headers=headers)


def is_refused(answer) -> bool:
    """Whether the answer is the permission function's no."""
    asked_for = answer.headers.get("location", "").partition("?")[0]
    return answer.status_code == 403 or (answer.status_code == 303 and asked_for in REFUSALS)


def test_every_route_stands_in_the_table(app):
    """The calls of programs have a table of their own, `tests/rest/test_http.py`."""
    found = {(one.path, one.methods): one.permission for one in declared_routes(app)}
    calls = {key: one for key, one in found.items() if key[0].startswith(PREFIX)}

    assert {key: one for key, one in found.items() if key not in calls} == TABLE
    assert {(path, methods[-1]) for path, methods in calls} == {
        *((PREFIX + one.path, "HEAD" if one.method == "GET" else one.method) for one in ENDPOINTS),
        (f"{PREFIX}/openapi.json", "HEAD"),
    }
    refuse_undeclared(app)


def test_the_demo_adds_its_own_pages_only(sqlite_clinic, clock):
    demo = make_app(sqlite_clinic, DemoState(clock, [], {}))

    assert ask(demo, "GET", "/kiosk", None).status_code == 200
    assert ask(demo, "GET", "/display", None).status_code == 200
    added = [
        one
        for one in declared_routes(demo)
        if (one.path, one.methods) not in TABLE and not one.path.startswith(PREFIX)
    ]
    assert {one.permission for one in added} == {P.DEMO}
    assert all(one.path == "/demo" or one.path.startswith("/demo/") for one in added)


def test_state_changes_are_posts_only():
    assert {methods for _, methods in TABLE} == {READ, POST}


# Its own session ends with these, or it redirects to the login by itself.
SELF_REDIRECTING = {("/logout", POST), ("/login", READ), ("/lock", POST)}
# Tried ten times a minute, then refused to whoever it is; test_pairing holds it.
LIMITED = {("/pair", POST)}
WALKED = [key for key in TABLE if key not in SELF_REDIRECTING | LIMITED]


def test_roles(app, tokens):
    wrong = []
    for path, methods in WALKED:
        allowed = ALLOWED[TABLE[path, methods]]
        for role in (None, *Role):
            answer = ask(app, methods[0], path, None if role is None else tokens[role])
            if is_refused(answer) != (role not in allowed):
                wrong.append((methods[0], path, role, answer.status_code))
    assert wrong == []


def test_machines(app, machines):
    """Each has its own screen and nothing else, and no machine's token is good as another's."""
    wrong = []
    for path, methods in WALKED:
        allowed = OF_MACHINES.get(TABLE[path, methods], set())
        for kind, token in machines.items():
            for cookie in DeviceKind:
                answer = ask(app, methods[0], path, token, f"pq_{cookie}")
                is_allowed = TABLE[path, methods] is P.PUBLIC or (
                    kind in allowed and cookie is kind
                )
                if is_refused(answer) == is_allowed:
                    wrong.append((methods[0], path, kind, cookie, answer.status_code))
    assert wrong == []


def test_a_machine_is_no_session(app, machines):
    for token in machines.values():
        assert is_refused(ask(app, "GET", "/loket", token))


def test_locked_screen(app, tokens):
    wrong = []
    for path, methods in WALKED:
        answer = ask(app, methods[0], path, tokens["locked"])
        is_open = TABLE[path, methods] in {P.PUBLIC, P.SESSION}
        if is_refused(answer) == is_open:
            wrong.append((methods[0], path, answer.status_code))
    assert wrong == []


def test_other_methods_are_not_there(app, tokens):
    wrong = []
    for path in {path for path, _ in TABLE}:
        known = {one for other, more in TABLE if other == path for one in more}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - known:
            status = ask(app, method, path, tokens[Role.ADMIN]).status_code
            if status not in {404, 405}:
                wrong.append((method, path, status))
    assert wrong == []


def test_demo_pages_are_not_there_elsewhere(app, tokens):
    for role in (None, *tokens):
        token = None if role is None else tokens[role]
        assert ask(app, "GET", "/demo", token).status_code == 404
        assert ask(app, "POST", "/demo/clock", token).status_code == 404
