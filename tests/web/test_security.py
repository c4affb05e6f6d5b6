"""What every request meets before a route: transport, origin, size, and the answer's headers."""

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.web.cookies import clear_session_cookie, set_session_cookie
from puskesmas_queue.web.limits import RateLimit
from puskesmas_queue.web.security import (
    CONTENT_SECURITY_POLICY,
    MAX_BODY,
    SecurityMiddleware,
    SecurityOptions,
    facts_of,
)

LOCAL = ("127.0.0.1", 50_000)
NEIGHBOUR = ("192.168.1.20", 50_000)
TOKEN = "t" * 43
OWN = {"sec-fetch-site": "same-origin"}


async def facts(request: Request) -> JSONResponse:
    """Show what the middleware learnt."""
    known = facts_of(request)
    return JSONResponse(
        {
            "address": known.address,
            "is_https": known.is_https,
            "is_local": known.is_local,
            "device": known.device,
            "token": known.session_token,
            "scheme": request.url.scheme,
        }
    )


async def take(request: Request) -> PlainTextResponse:
    """Read a body."""
    return PlainTextResponse(str(len(await request.body())))


async def own_headers(request: Request) -> PlainTextResponse:
    headers = {"cache-control": "max-age=99", "content-security-policy": "default-src *"}
    return PlainTextResponse("", headers=headers)


async def crash(request: Request) -> PlainTextResponse:
    raise RuntimeError("rahasia")


async def session(request: Request) -> RedirectResponse:
    response = RedirectResponse("/", 303)
    if request.url.path == "/in":
        set_session_cookie(response, facts_of(request), TOKEN)
    else:
        clear_session_cookie(response, facts_of(request))
    return response


POST = ["POST", "PUT", "PATCH", "DELETE"]
ROUTES = [
    Route("/", facts),
    Route("/take", take, methods=POST),
    Route("/login", take, methods=["POST"]),
    Route("/demo/clock", take, methods=["POST"]),
    Route("/live/display-main", facts),
    Route("/own", own_headers),
    Route("/crash", crash),
    Route("/in", session),
    Route("/out", session),
    Mount("/static", routes=[Route("/app.css", own_headers)]),
]


def client(peer=LOCAL, scheme="http", crash=None, **options) -> TestClient:
    app = Starlette(routes=ROUTES)
    app.add_middleware(SecurityMiddleware, options=SecurityOptions(**options), crash=crash)
    return TestClient(app, base_url=f"{scheme}://127.0.0.1:8000", client=peer)


# Headers


@pytest.mark.parametrize("path", ["/", "/nothing-here", "/in", "/own", "/static/app.css"])
def test_every_answer_has_the_headers(path):
    headers = client().get(path, follow_redirects=False).headers

    assert headers.get_list("content-security-policy") == [CONTENT_SECURITY_POLICY]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_policy_allows_nothing_inline_and_nothing_foreign():
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("path", ["/", "/own", "/nothing-here", "/live/display-main"])
def test_pages_are_not_kept(path):
    assert client().get(path).headers.get_list("cache-control") == ["no-store"]


def test_static_files_may_be_kept():
    assert client().get("/static/app.css").headers["cache-control"] == "max-age=99"


@pytest.mark.parametrize("status", [400, 403, 413])
def test_refusals_have_the_headers_too(status):
    answers = {
        400: client().get("/", headers={"host": "bad host"}),
        403: client().post("/take", headers={"sec-fetch-site": "cross-site"}),
        413: client().post("/take", content=b"x" * (MAX_BODY + 1), headers=OWN),
    }
    answer = answers[status]

    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert '<html lang="id">' in answer.text


# Crashes


def test_crash_is_answered_kindly_and_still_raised():
    one = client()
    with pytest.raises(RuntimeError):
        one.get("/crash")

    quiet = TestClient(one.app, client=LOCAL, raise_server_exceptions=False)
    answer = quiet.get("/crash")
    assert answer.status_code == 500
    assert "rahasia" not in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["cache-control"] == "no-store"


def test_crash_page_of_the_app_is_used_while_it_works():
    def page(request, error):
        if request.query_params:
            raise ValueError
        return PlainTextResponse("maaf", 500)

    one = TestClient(client(crash=page).app, client=LOCAL, raise_server_exceptions=False)

    assert one.get("/crash").text == "maaf"
    assert "Terjadi gangguan" in one.get("/crash?broken=1").text


# Origin


@pytest.mark.parametrize("method", POST)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000"}, 403),
        ({"sec-fetch-site": ""}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://127.0.0.1:8000"}, 403),
        ({"origin": "http://127.0.0.1:8000.evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:notaport"}, 403),
        ({}, 403),
    ],
)
def test_state_changes_come_from_our_own_pages(method, headers, status):
    assert client().request(method, "/take", headers=headers).status_code == status


def test_default_port_is_no_other_origin():
    one = client(peer=NEIGHBOUR, scheme="https")

    answer = one.post("/take", headers={"host": "antrean.id", "origin": "https://antrean.id:443"})

    assert answer.status_code == 200


def test_reading_needs_no_origin():
    assert client().get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_programs_may_drive_the_demo_but_foreign_pages_may_not():
    assert client(is_demo=True).post("/demo/clock").status_code == 200
    assert client(is_demo=True).post("/take").status_code == 403
    assert client(is_demo=False).post("/demo/clock").status_code == 403
    foreign = {"origin": "http://evil.example"}
    assert client(is_demo=True).post("/demo/clock", headers=foreign).status_code == 403


# Transport


@pytest.mark.parametrize("path", ["/", "/take", "/login", "/static/app.css", "/live/display-main"])
def test_plain_http_to_other_machines_is_refused(path):
    answer = client(peer=NEIGHBOUR).get(path)

    assert answer.status_code == 403
    assert "server.allow_insecure" in answer.text


@pytest.mark.parametrize(
    ("peer", "options"),
    [
        (LOCAL, {}),
        (("::1", 50_000), {}),
        (("::ffff:127.0.0.1", 50_000), {}),
        (NEIGHBOUR, {"allow_insecure": True}),
    ],
)
def test_plain_http_on_this_machine_or_when_allowed(peer, options):
    assert client(peer=peer, **options).get("/").status_code == 200


def test_https_is_fine_from_everywhere():
    assert client(peer=NEIGHBOUR, scheme="https").get("/").json()["is_https"] is True


def test_unnamed_proxy_does_not_make_its_clients_local():
    """A proxy on this machine that nobody trusts: everybody would look like loopback."""
    answer = client().get("/", headers={"x-forwarded-for": "203.0.113.9"})

    assert answer.status_code == 403


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8"])
def test_trusted_proxy_is_believed(proxy):
    headers = {"x-forwarded-for": "10.9.9.9, 203.0.113.9", "x-forwarded-proto": "https"}
    known = client(trusted_proxies=(proxy,)).get("/", headers=headers).json()

    assert known["address"] == "203.0.113.9"
    assert known["is_https"] is True
    assert known["scheme"] == "https"
    assert known["is_local"] is False


def test_trusted_proxy_over_plain_http_is_refused():
    one = client(trusted_proxies=("127.0.0.1",))
    headers = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http"}

    assert one.get("/", headers=headers).status_code == 403


def test_addresses_of_strangers_are_not_believed():
    one = client(peer=NEIGHBOUR, scheme="https", trusted_proxies=("10.0.0.1",))
    headers = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}

    known = one.get("/", headers=headers).json()

    assert known["address"] == "192.168.1.20"
    assert known["is_https"] is True
    assert known["is_local"] is False


def test_chain_of_proxies_ends_at_the_first_stranger():
    one = client(trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    headers = {
        "x-forwarded-for": "127.0.0.1, 203.0.113.9, 10.0.0.7",
        "x-forwarded-proto": "https",
    }

    assert one.get("/", headers=headers).json()["address"] == "203.0.113.9"


def test_wrong_proxy_stops_the_start():
    with pytest.raises(SetupError, match="trusted_proxies"):
        SecurityMiddleware(Starlette(), SecurityOptions(trusted_proxies=("the proxy",)))


@pytest.mark.parametrize(
    "host", ["", "a b", "evil.example/path", "user@host", "host:port", "[::1", "host:999999"]
)
def test_host_that_is_none(host):
    assert client().get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["antrean.local", "127.0.0.1:8000", "[::1]:8000", "PC-LOKET"])
def test_host_that_is_one(host):
    assert client().get("/", headers={"host": host}).status_code == 200


def test_websocket_is_refused():
    messages = []

    async def run() -> None:
        async def send(message):
            messages.append(message)

        middleware = SecurityMiddleware(Starlette())
        await middleware({"type": "websocket"}, None, send)

    anyio.run(run)
    assert messages == [{"type": "websocket.close", "code": 1008}]


# Size


def test_body_up_to_the_cap():
    answer = client().post("/take", content=b"x" * MAX_BODY, headers=OWN)

    assert answer.text == str(MAX_BODY)


def test_body_over_the_cap_that_does_not_say_so():
    def pieces():
        for _ in range(MAX_BODY // 100_000 + 1):
            yield b"x" * 100_000

    answer = client().post("/take", content=pieces(), headers=OWN)

    assert answer.status_code == 413


# Cookies


def test_session_cookie_over_https():
    one = client(peer=NEIGHBOUR, scheme="https")
    cookie = one.get("/in", follow_redirects=False).headers.get_list("set-cookie")[0]

    assert cookie == f"__Host-pq_session={TOKEN}; HttpOnly; Path=/; SameSite=lax; Secure"


def test_session_cookie_over_plain_http_has_neither_prefix_nor_secure():
    cookie = client().get("/in", follow_redirects=False).headers.get_list("set-cookie")[0]

    assert cookie == f"pq_session={TOKEN}; HttpOnly; Path=/; SameSite=lax"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_session_cookie_comes_back_and_goes(scheme):
    one = client(scheme=scheme)
    assert one.get("/in").json()["token"] == TOKEN

    assert one.get("/out").json()["token"] is None


def test_plain_cookie_is_nothing_over_https():
    """Whoever can write plain cookies cannot plant a session."""
    known = client(scheme="https").get("/", headers={"cookie": f"pq_session={TOKEN}"}).json()

    assert known["token"] is None


@pytest.mark.parametrize("token", ["", "short", "x" * 44, "../../etc/passwd" + "x" * 27])
def test_token_of_wrong_form_is_none(token):
    known = client().get("/", headers={"cookie": f"pq_session={token}"}).json()

    assert known["token"] is None


def test_device_cookie_is_given_once_and_kept():
    one = client()
    first = one.get("/")
    cookie = first.headers["set-cookie"]
    second = one.get("/")

    assert cookie.startswith(f"pq_device={first.json()['device']}; ")
    for part in ("HttpOnly", "SameSite=lax", "Max-Age=31536000", "Path=/"):
        assert part in cookie
    assert "set-cookie" not in second.headers
    assert second.json()["device"] == first.json()["device"]
    assert client().get("/").json()["device"] != first.json()["device"]


def test_device_cookie_is_not_taken_in_any_form():
    answer = client().get("/", headers={"cookie": "pq_device=<script>"})

    assert answer.json()["device"] != "<script>"
    assert "set-cookie" in answer.headers


@pytest.mark.parametrize("path", ["/static/app.css", "/live/display-main"])
def test_files_and_streams_bring_no_device_cookie(path):
    assert "set-cookie" not in client().get(path).headers


# Limits


def test_logins_per_address():
    one = client(allow_insecure=True)
    answers = [one.post("/login", headers=OWN) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert one.post("/take", headers=OWN).status_code == 200
    other = TestClient(one.app, base_url=one.base_url, client=NEIGHBOUR)
    assert other.post("/login", headers=OWN).status_code == 200


def test_rate_limit_slides():
    now = [0.0]
    limit = RateLimit(2, 10, lambda: now[0])
    assert limit.take("a") == 0
    now[0] = 4
    assert limit.take("a") == 0
    assert limit.take("a") == 6
    assert limit.take("b") == 0
    now[0] = 10
    assert limit.take("a") == 0
    assert limit.take("a") == 4
