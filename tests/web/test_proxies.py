"""Who is believed about addresses: proxies that the configuration names, and nobody else."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from puskesmas_queue.web.cookies import set_session_cookie
from puskesmas_queue.web.security import (
    SecurityMiddleware,
    SecurityOptions,
    facts_of,
)

PROXY = "127.0.0.1"
PATIENT = "203.0.113.9"


async def show(request: Request) -> JSONResponse:
    """Show who asks, as everything after the middleware sees it."""
    known = facts_of(request)
    return JSONResponse(
        {
            "address": known.address,
            "is_https": known.is_https,
            "is_local": known.is_local,
            "url": str(request.url),
        }
    )


async def log_in(request: Request) -> RedirectResponse:
    response = RedirectResponse("/", 303)
    set_session_cookie(response, facts_of(request), "t" * 43)
    return response


def client(*trusted, peer=PROXY, scheme="http", **options) -> TestClient:
    app = Starlette(routes=[Route("/", show), Route("/in", log_in)])
    app.add_middleware(
        SecurityMiddleware, options=SecurityOptions(trusted_proxies=trusted, **options)
    )
    return TestClient(app, base_url=f"{scheme}://antrean.lan", client=(peer, 50_000))


def seen(one: TestClient, forwarded, proto="https", **headers) -> dict:
    """Ask with X-Forwarded-For headers, one or several, in their order."""
    lines = [("x-forwarded-for", line) for line in forwarded]
    lines += [("x-forwarded-proto", proto)] if proto else []
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return one.get("/", headers=lines).json()


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([PATIENT], PATIENT),
        ([f"{PATIENT}, 10.0.0.5"], PATIENT),
        ([f"{PATIENT}, 10.0.0.5, 10.0.0.6"], PATIENT),
        # What the patient wrote there itself stands before what the first proxy saw.
        ([f"127.0.0.1, {PATIENT}, 10.0.0.5"], PATIENT),
        ([f"10.0.0.9, {PATIENT}"], PATIENT),
        # Several headers are one list, in their order.
        (["198.51.100.1", PATIENT], PATIENT),
        ([PATIENT, "10.0.0.5"], PATIENT),
        ([f"{PATIENT},", " ,10.0.0.5"], PATIENT),
        # Nobody but proxies: the last of them.
        (["10.0.0.5, 10.0.0.6"], "10.0.0.5"),
        # Only what no address can be is nobody.
        ([f"{PATIENT}, unknown"], None),
        ([f"{PATIENT}:4711"], None),
    ],
)
def test_chains(forwarded, address):
    known = seen(client(PROXY, "10.0.0.0/8"), forwarded)

    assert known["address"] == address
    assert known["is_https"] is True
    assert known["is_local"] is False or address is None


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("::1", "::1"),
        ("fd00::5", "fd00::/8"),
        ("2001:db8::5", "2001:0db8:0:0:0:0:0:5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
    ],
)
@pytest.mark.parametrize("patient", ["2001:db8:9::1", PATIENT])
def test_addresses_of_version_6(peer, trusted, patient):
    assert seen(client(trusted, peer=peer), [patient])["address"] == patient


def test_a_patients_address_written_in_version_6_is_the_same_one():
    """Otherwise one phone would be two for every limit."""
    assert seen(client(PROXY), [f"::ffff:{PATIENT}"])["address"] == PATIENT


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "10.0.0.5"])
def test_a_stranger_is_not_believed(name):
    """Neither about whose address it is nor that its plain connection were encrypted."""
    one = client("10.0.0.5", peer="192.168.1.66", allow_insecure=True)

    known = seen(one, [name], proto="https")

    assert (known["address"], known["is_https"]) == ("192.168.1.66", False)
    assert known["is_local"] is False


def test_a_stranger_does_not_become_private_by_a_header():
    answer = client("10.0.0.5", peer="192.168.1.66").get(
        "/", headers={"x-forwarded-proto": "https"}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("proto", ["https", "http, https"])
def test_the_last_word_about_the_scheme_is_the_nearest_proxys(proto):
    assert seen(client(PROXY), [PATIENT], proto=proto)["is_https"] is True


@pytest.mark.parametrize("proto", ["http", "https, http", "ftp", "", None])
def test_plain_text_on_the_way_is_refused(proto):
    headers = {"x-forwarded-for": PATIENT} | ({} if proto is None else {"x-forwarded-proto": proto})

    assert client(PROXY).get("/", headers=headers).status_code == 403


@pytest.mark.parametrize("trusted", [(PROXY,), ()])
def test_a_forwarded_host_is_nobodys(trusted):
    """Links and origins follow the Host header, which the proxy passes on."""
    known = seen(
        client(*trusted, scheme="https"), [], x_forwarded_host="evil.example", x_forwarded_port="1"
    )

    assert known["url"] == "https://antrean.lan/"


def test_cookies_behind_a_proxy_with_tls_have_their_prefix():
    headers = {"x-forwarded-for": PATIENT, "x-forwarded-proto": "https"}
    answer = client(PROXY).get("/in", headers=headers, follow_redirects=False)

    session, device = sorted(answer.headers.get_list("set-cookie"))
    assert session.startswith("__Host-pq_session=")
    assert session.endswith("; Secure")
    assert device.endswith("; Secure")


def test_state_changes_behind_a_proxy_compare_the_patients_own_origin():
    one = client(PROXY)
    forwarded = {"x-forwarded-for": PATIENT, "x-forwarded-proto": "https"}

    own = one.post("/in", headers={**forwarded, "origin": "https://antrean.lan"})
    plain = one.post("/in", headers={**forwarded, "origin": "http://antrean.lan"})

    assert (own.status_code, plain.status_code) == (405, 403)


@pytest.mark.parametrize(
    ("scheme", "keeps", "header"),
    [("https", True, "max-age=86400"), ("https", False, None), ("http", True, None)],
)
def test_browsers_are_kept_at_https_only_where_everything_of_the_host_is(scheme, keeps, header):
    answer = client(scheme=scheme, keeps_https=keeps).get("/")

    assert answer.headers.get("strict-transport-security") == header
