"""The page on which a machine is given its place: what it asks for, says and sets."""

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.devices import CODE_LIFETIME, DeviceKind
from puskesmas_queue.services import accounts, devices, sessions, speech
from puskesmas_queue.storage import tables
from puskesmas_queue.web.limits import PAIRINGS_PER_MINUTE
from support.clinics import make_clinic, make_config
from support.desk import rows_of
from support.machines import hall_cookies, pair_machine

OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


@pytest.fixture
def client(app) -> TestClient:
    return browser(app)


def browser(app, *, scheme: str = "http", **cookies: str) -> TestClient:
    return TestClient(
        app,
        base_url=f"{scheme}://127.0.0.1",
        client=("127.0.0.1", 1),
        headers=OWN,
        follow_redirects=False,
        cookies=cookies,
    )


def code_for(clinic, kind: DeviceKind, counter: int | None = None) -> str:
    made = devices.add_device(clinic, kind, "Pintu depan", SYSTEM, zone="main", counter=counter)
    return made.code


@pytest.mark.parametrize(
    ("kind", "counter", "screen"),
    [
        (DeviceKind.KIOSK, None, "/kiosk"),
        (DeviceKind.DISPLAY, None, "/display"),
        (DeviceKind.SPEAKER, None, "/display"),
        (DeviceKind.COUNTER, 2, "/loket"),
    ],
)
def test_a_code_leads_to_the_screen_of_its_kind(client, sqlite_clinic, kind, counter, screen):
    answer = client.post("/pair", data={"code": code_for(sqlite_clinic, kind, counter)})

    assert answer.headers["location"] == screen
    shown = client.get(screen)
    expected = "/login?next=%2Floket" if kind is DeviceKind.COUNTER else None
    assert shown.headers.get("location") == expected
    page = client.get("/pair").text
    assert "Pintu depan" in page
    assert f'href="{screen}"' in page


@pytest.mark.parametrize(
    ("scheme", "name", "secure"), [("http", "pq_kiosk", False), ("https", "__Host-pq_kiosk", True)]
)
def test_the_token_is_kept_from_scripts_and_other_sites(app, sqlite_clinic, scheme, name, secure):
    client = browser(app, scheme=scheme)

    answer = client.post("/pair", data={"code": code_for(sqlite_clinic, DeviceKind.KIOSK)})

    cookies = answer.headers.get_list("set-cookie")
    (cookie,) = [one for one in cookies if one.startswith(f"{name}=")]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=34560000"} <= set(cookie.split("; "))
    assert ("Secure" in cookie) is secure
    again = client.get("/kiosk").headers.get_list("set-cookie")
    assert cookie.partition("; ")[0] in [one.partition("; ")[0] for one in again]


def test_one_computer_is_kiosk_tv_and_counter_at_once(client, sqlite_clinic):
    for kind, counter in ((DeviceKind.KIOSK, None), (DeviceKind.DISPLAY, None),
                          (DeviceKind.COUNTER, 1)):  # fmt: skip
        client.post("/pair", data={"code": code_for(sqlite_clinic, kind, counter)})

    assert client.get("/kiosk").status_code == 200
    assert client.get("/display").status_code == 200
    assert len(client.get("/pair").text.split("Terhubung sebagai")) == 4


@pytest.mark.parametrize("typed", ["lower", "spaced", "scanned"])
def test_a_code_may_be_typed_or_scanned(client, sqlite_clinic, typed):
    code = code_for(sqlite_clinic, DeviceKind.KIOSK)
    forms = {
        "lower": code.lower(),
        "spaced": f" {code[:4]} {code[4:]} ",
        "scanned": f"http://192.168.1.5:8000/pair?code={code}",
    }

    assert client.post("/pair", data={"code": forms[typed]}).headers["location"] == "/kiosk"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Tulis kode dari admin."),
        ("ABC", "Kode terdiri dari 8 huruf dan angka."),
        ("ABCDEF0O", "Kode terdiri dari 8 huruf dan angka."),
        ("ZZZZ2222", "Kode ini tidak dikenal."),
        ("<b>" * 200, "Kode terdiri dari 8 huruf dan angka."),
    ],
)
def test_a_wrong_code_is_said_where_it_was_typed(client, typed, said):
    answer = client.post("/pair", data={"code": typed, "for": "kiosk"})

    assert answer.status_code == 422
    assert "<title>Kesalahan:" in answer.text
    assert answer.text.count(said) == 2  # in the summary and at the field
    assert "<b><b>" not in answer.text
    assert "set-cookie" not in answer.headers or "pq_kiosk" not in answer.headers["set-cookie"]


def test_a_late_code_is_said_to_be_late(client, sqlite_clinic):
    code = code_for(sqlite_clinic, DeviceKind.KIOSK)
    sqlite_clinic.clock.advance(CODE_LIFETIME)

    answer = client.post("/pair", data={"code": code})

    assert answer.status_code == 422
    assert "Kode ini sudah lewat waktunya." in answer.text


def test_keys_on_the_screen_need_no_script(client):
    """Each key is a button that sends what stands in the field with its letter."""
    page = client.get("/pair", params={"code": "AB", "key": "C", "for": "kiosk"}).text
    assert 'value="ABC"' in page
    assert page.count('name="key"') == 31 + 1

    for query in ({"code": "ABC", "key": "erase"}, {"code": "AB", "key": "<"}):
        assert 'value="AB"' in client.get("/pair", params=query).text
    full = client.get("/pair", params={"code": "ABCDEFGH", "key": "J"}).text
    assert 'value="ABCDEFGH"' in full


def test_codes_are_tried_ten_times_a_minute(client):
    answers = [
        client.post("/pair", data={"code": "ZZZZ2222"}) for _ in range(PAIRINGS_PER_MINUTE + 1)
    ]

    assert [one.status_code for one in answers] == [422] * PAIRINGS_PER_MINUTE + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert client.get("/pair").status_code == 200


@pytest.mark.parametrize("path", ["/kiosk", "/display", "/kiosk/category"])
def test_an_unpaired_browser_is_told_what_to_do(client, path):
    asked = "display" if path == "/display" else "kiosk"
    answer = client.get(path)
    assert answer.headers["location"] == f"/pair?for={asked}"

    page = client.get(answer.headers["location"]).text

    assert "Layar ini belum terhubung sebagai" in page
    assert "Perangkat ini tidak lagi terhubung." not in page


def test_a_page_of_htmx_is_left_as_a_whole(client):
    """A kiosk in the middle of a visit would else show the other page in its own frame."""
    answer = client.get("/kiosk/category", headers={"hx-request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/pair?for=kiosk"


def test_tv_and_speaker_may_speak_and_nobody_else(app, sqlite_clinic):
    """A browser that is neither would take the voice of the hall, and keep it silent."""
    heard = {"zone": "main", "voice": "1"}
    kiosk, speaker = (
        browser(app, **hall_cookies(sqlite_clinic, [kind]))
        for kind in (DeviceKind.KIOSK, DeviceKind.SPEAKER)
    )
    for stranger in (browser(app), kiosk):
        answer = stranger.post("/display/heartbeat", data={**heard, "screen": "penyusup7"})
        assert answer.status_code == 303
    assert speech.speech_state(sqlite_clinic, "main").speaker is None

    told = speaker.post("/display/heartbeat", data={**heard, "screen": "pengeras7"}).json()

    assert speech.speech_state(sqlite_clinic, "main").speaker == told["mark"]


def test_a_revoked_machine_is_told_so(client, sqlite_clinic):
    made = pair_machine(sqlite_clinic, DeviceKind.DISPLAY)
    client.cookies["pq_display"] = made.token
    assert client.get("/display").status_code == 200

    devices.revoke_device(sqlite_clinic, made.device.id, SYSTEM)

    answer = client.get("/display")
    assert answer.headers["location"] == "/pair?for=display"
    page = client.get(answer.headers["location"]).text
    assert "Perangkat ini tidak lagi terhubung." in page
    heard = client.post("/display/heartbeat", data={"zone": "main", "screen": "layarutama7"})
    assert heard.status_code == 303


def test_the_machine_is_who_acted(client, sqlite_clinic):
    """Its ticket and the key of it are the device's, whatever the browser's own cookie says."""
    code = code_for(sqlite_clinic, DeviceKind.KIOSK)
    client.post("/pair", data={"code": code})
    answers = {"f": "k" * 20, "lane": "general", "payment": "bpjs", "unit": "umum"}
    first = client.post("/kiosk/tickets", data=answers)
    client.cookies.delete("pq_device")

    again = client.post("/kiosk/tickets", data=answers)

    assert again.headers["location"] == first.headers["location"]
    (device,) = devices.all_devices(sqlite_clinic)
    (key,) = rows_of(sqlite_clinic, tables.idempotency_keys)
    assert key.holder == f"device:{device.mark}"
    issued = [one for one in rows_of(sqlite_clinic, tables.events) if one.kind == "ticket_issued"]
    assert [one.device for one in issued] == [device.mark]


def test_a_machine_shows_its_own_hall(sqlite_url, tmp_path):
    clinic = make_clinic(make_config(sqlite_url, tmp_path))
    try:
        clinic.db.write(
            lambda tx: tx.conn.execute(
                tables.zones.insert(), {"clinic_id": clinic.id, "code": "lantai2", "name": "Atas"}
            )
        )
        made = pair_machine(clinic, DeviceKind.DISPLAY, zone="lantai2")
        client = browser(make_app(clinic), pq_display=made.token)

        assert 'data-zone="lantai2"' in client.get("/display").text
        assert 'data-zone="main"' in client.get("/display?zone=main").text
    finally:
        clinic.close()


def test_staff_pages_lead_to_the_tv_where_it_opens(app, sqlite_clinic):
    password = accounts.add_user(sqlite_clinic, "ani", SYSTEM, role=Role.ADMIN)
    token = sessions.login(sqlite_clinic, "ani", password, SYSTEM).token

    assert 'href="/display"' not in browser(app, pq_session=token).get("/dashboard").text
    tv = browser(app, pq_session=token, **hall_cookies(sqlite_clinic))
    assert 'href="/display"' in tv.get("/dashboard").text
