"""Who gets in, and who does not."""

import base64
import json

import pytest

from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services import accounts, devices, sessions

PASSWORD = "kopi hitam tanpa gula 7"


@pytest.fixture
def budi(small, caller):
    """A program that is not logged in, and the account that it may use."""
    accounts.add_user(
        small.state.clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, password=PASSWORD
    )
    return caller(small)


def test_login_refresh_and_logout(budi):
    given = budi.log_in("budi", PASSWORD)

    assert given.status_code == 200
    assert set(given.json()) == {"access", "refresh", "expires_in", "token_type"}
    assert given.json()["expires_in"] == 600
    assert budi.get("/me").json() == {"username": "budi", "name": "budi", "role": "petugas_loket"}
    again = budi.post("/token/refresh", {"refresh": budi.refresh})
    assert again.status_code == 200
    budi.keep(again.json())
    assert budi.get("/me").status_code == 200
    assert budi.post("/token/revoke", {"refresh": budi.refresh}).status_code == 204
    assert budi.get("/me").status_code == 401


def test_wrong_password_is_a_problem_and_waits(budi):
    answers = [budi.log_in("budi", "wrong") for _ in range(6)]

    assert answers[0].status_code == 401
    assert answers[0].json()["type"] == "/api/docs#problem-login-failed"
    assert answers[0].headers["www-authenticate"].startswith("Bearer")
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) == answers[-1].json()["retry_after_s"] > 0


def test_logins_of_one_address_are_limited(budi):
    statuses = [budi.log_in(f"nobody-{n}", "wrong").status_code for n in range(25)]

    assert statuses[:20] == [401] * 20
    assert statuses[20:] == [429] * 5


def test_reuse_of_a_refresh_token_ends_all_that_came_of_it(budi):
    budi.log_in("budi", PASSWORD)
    stolen = budi.refresh
    budi.keep(budi.post("/token/refresh", {"refresh": stolen}).json())

    thief = budi.post("/token/refresh", {"refresh": stolen})

    assert thief.status_code == 401
    assert thief.json()["type"] == "/api/docs#problem-token-refused"
    assert 'error="invalid_token"' in budi.get("/me").headers["www-authenticate"]
    assert budi.post("/token/refresh", {"refresh": budi.refresh}).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer é",
        "Basic YnVkaTp4",
        "bearer " + "x" * 43,
        "Bearer " + "x" * 5000,
    ],
)
def test_no_good_token(budi, header):
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = budi.ask("GET", "/me", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="uji"')
    assert answer.headers["content-type"] == "application/problem+json"


def test_algorithm_confusion_is_refused(budi):
    budi.log_in("budi", PASSWORD)
    header, payload, _ = budi.token.split(".")
    head = json.loads(base64.urlsafe_b64decode(header + "=="))
    for algorithm in ("none", "None", "RS256", "HS512"):
        forged = base64.urlsafe_b64encode(json.dumps({**head, "alg": algorithm}).encode())
        budi.token = f"{forged.decode().rstrip('=')}.{payload}."
        assert budi.get("/me").status_code == 401, algorithm


def test_a_disabled_user_is_out_at_once(budi, small):
    budi.log_in("budi", PASSWORD)
    assert budi.get("/units").status_code == 200

    accounts.disable_user(small.state.clinic, "budi", SYSTEM)

    assert budi.get("/units").status_code == 401
    assert budi.post("/token/refresh", {"refresh": budi.refresh}).status_code == 401


def test_a_clinic_without_a_key_file_says_what_to_do(budi, small):
    small.state.clinic.config.key_path.unlink()

    answer = budi.log_in("budi", PASSWORD)

    assert answer.status_code == 503
    assert "keys create" in answer.json()["detail"]


# Cookies and tokens are kept apart


def test_a_session_cookie_is_worth_nothing_here(budi, small):
    login = sessions.login(small.state.clinic, "budi", PASSWORD, SYSTEM)
    cookie = {"cookie": f"pq_session={login.token}"}

    assert budi.ask("GET", "/me", headers=cookie).status_code == 401
    budi.log_in("budi", PASSWORD)
    assert budi.ask("GET", "/me", headers=cookie).json()["username"] == "budi"
    # The session's own id is no token either.
    budi.token = login.token
    assert budi.get("/me").status_code == 401


def test_a_token_is_worth_nothing_on_pages(budi):
    budi.log_in("budi", PASSWORD)
    for path in ("/me", "/loket", "/kiosk", "/", "/live/phone-main"):
        headers = {"authorization": f"Bearer {budi.token}"}
        assert budi.client.get(path, headers=headers).status_code == 401, path


def test_no_cookie_is_set_and_no_other_origin_let_in(budi):
    answer = budi.log_in("budi", PASSWORD)
    assert "set-cookie" not in answer.headers

    answer = budi.post("/token", {"username": "budi", "password": PASSWORD}, origin="http://x.id")
    assert answer.status_code == 403
    answer = budi.get("/units", origin="http://x.id")
    assert not any(name.startswith("access-control") for name in answer.headers)


# Machines


def test_a_machine_is_known_by_its_token_until_it_is_revoked(small, caller):
    kiosk = caller(small, DeviceKind.KIOSK)
    assert kiosk.get("/units").status_code == 200

    (device,) = devices.all_devices(small.state.clinic)
    devices.revoke_device(small.state.clinic, device.id, SYSTEM)

    assert kiosk.get("/units").status_code == 401


def test_the_pages_of_a_user_list_programs_and_log_them_out(budi, small):
    budi.headers["user-agent"] = "hall-screen/2.0"
    budi.log_in("budi", PASSWORD)
    login = sessions.login(small.state.clinic, "budi", PASSWORD, SYSTEM)
    cookie = {"cookie": f"pq_session={login.token}", "sec-fetch-site": "same-origin"}

    page = budi.client.get("/me", headers=cookie)
    assert "hall-screen/2.0" in page.text
    ended = budi.client.post(
        "/me/programs/end", data={"program": "1"}, headers=cookie, follow_redirects=False
    )

    assert ended.headers["location"] == "/me?done=program"
    assert budi.get("/me").status_code == 401
    again = budi.client.post(
        "/me/programs/end", data={"program": "1"}, headers=cookie, follow_redirects=False
    )
    assert again.headers["location"] == "/me?done=gone"
