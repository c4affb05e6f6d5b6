"""How often one address or device may do something, and who never notices."""

import asyncio
import secrets
import threading

import anyio
import anyio.lowlevel
import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.services import providers
from puskesmas_queue.services.tickets import find_ticket
from puskesmas_queue.storage.tables import tickets
from puskesmas_queue.web import limits as limits_module
from puskesmas_queue.web import shares as shares_module
from puskesmas_queue.web import turns
from puskesmas_queue.web.limits import CodeGuesses, Limits, Pace, RateLimit
from puskesmas_queue.web.plain import PROBLEM
from puskesmas_queue.web.routes.demo import DemoState
from puskesmas_queue.web.shares import Shares
from support.desk import rows_of, take
from support.loops import play
from support.machines import hall_cookies

OWN = {"sec-fetch-site": "same-origin"}
VISIT = {"lane": "general", "payment": "bpjs", "unit": "umum"}


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


def browser(app, address="192.168.1.30"):
    """Return a browser of another machine, with its own cookies."""
    return TestClient(
        app, base_url="https://antrean.local", client=(address, 50_000), headers=OWN,
        follow_redirects=False,
    )  # fmt: skip


def kiosk_of(app, address="192.168.1.30"):
    """Return the browser of a paired kiosk."""
    one = browser(app, address)
    one.cookies.update(hall_cookies(app.state.clinic, is_https=True))
    return one


def ask(kiosk, key=None):
    """Take a number at the kiosk."""
    return kiosk.post("/kiosk/tickets", data={**VISIT, "f": key or secrets.token_urlsafe(15)})


# Kiosk


def test_opening_rush_is_never_limited(app, sqlite_clinic):
    """Thirty numbers at once, and each visitor taps twice."""
    kiosk = kiosk_of(app)
    for _ in range(30):
        key = secrets.token_urlsafe(15)
        assert [ask(kiosk, key).status_code for _ in range(2)] == [303, 303]

    assert len(rows_of(sqlite_clinic, tickets)) == 30


def test_more_than_a_rush_of_one_device_is_refused(app, sqlite_clinic):
    kiosk = kiosk_of(app)
    key = secrets.token_urlsafe(15)
    given = ask(kiosk, key)
    answers = [ask(kiosk) for _ in range(31)]

    assert [one.status_code for one in answers[:29]] == [303] * 29
    assert [one.status_code for one in answers[29:]] == [429, 429]
    assert 100 < int(answers[-1].headers["retry-after"]) <= 120
    assert "Silakan ke petugas." in answers[-1].text
    assert len(rows_of(sqlite_clinic, tickets)) == 30
    # Whoever lost the answer to an earlier tap still gets it, and others notice nothing.
    assert ask(kiosk, key).headers["location"] == given.headers["location"]
    assert ask(kiosk_of(app, "192.168.1.31")).status_code == 303


def test_refused_numbers_count_for_nothing(app, sqlite_clinic):
    kiosk = kiosk_of(app)
    for _ in range(40):
        refused = kiosk.post(
            "/kiosk/tickets",
            data={**VISIT, "unit": "nowhere", "f": secrets.token_urlsafe(15)},
        )
        assert "/kiosk/unit" in refused.headers["location"]

    assert ask(kiosk).headers["location"].startswith("/kiosk/ticket/")


def test_way_to_ugd_is_shown_however_often(app, sqlite_clinic):
    kiosk = kiosk_of(app)
    answers = [
        kiosk.post("/kiosk/emergency", data={"f": secrets.token_urlsafe(15)}, follow_redirects=True)
        for _ in range(12)
    ]

    assert all("LANGSUNG KE UGD" in one.text for one in answers)
    assert len(rows_of(sqlite_clinic, tickets)) == 10
    assert all("E-0" in one.text for one in answers[:10])
    assert all("Panggil petugas terdekat" in one.text for one in answers[10:])


def test_slips_of_one_device(app, sqlite_clinic):
    kiosk = kiosk_of(app)
    path = ask(kiosk).headers["location"].partition("?")[0]
    answers = [kiosk.post(f"{path}/print").status_code for _ in range(61)]

    assert answers == [200] * 60 + [429]


def test_demo_and_the_servers_own_programs_take_as_many_as_they_like(sqlite_clinic, clock):
    demo = make_app(sqlite_clinic, DemoState(clock, [], {}))

    assert {ask(browser(demo)).status_code for _ in range(40)} == {303}

    own = make_app(sqlite_clinic)
    program = TestClient(
        own, base_url="http://127.0.0.1", client=("127.0.0.1", 1), headers=OWN,
        follow_redirects=False, cookies=hall_cookies(sqlite_clinic),
    )  # fmt: skip
    assert {ask(program).status_code for _ in range(40)} == {303}


# Ticket codes


def test_wrong_codes_of_one_address(app, sqlite_clinic):
    """The guesser is stopped; who has shown a code before still sees it, and others all."""
    mine, late = take(sqlite_clinic, "AA")
    phone, guesser = browser(app), kiosk_of(app)
    assert phone.get(f"/t/{mine.code}").status_code == 200

    guesses = [guesser.get(f"/t/WRONG{number:03}") for number in range(31)]

    assert [one.status_code for one in guesses] == [404] * 30 + [429]
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    assert guesser.get(f"/t/{late.code}").status_code == 429
    assert guesser.post(f"/t/{late.code}/cancel").status_code == 429
    assert guesser.get(f"/kiosk/ticket/{late.code}").status_code == 429
    assert guesser.post(f"/kiosk/ticket/{late.code}/print").status_code == 429
    assert find_ticket(sqlite_clinic, late.id) == late
    assert phone.get(f"/t/{mine.code}").status_code == 200
    assert browser(app, "192.168.1.31").get(f"/t/{late.code}").status_code == 200


@pytest.mark.parametrize("path", ["/t/{}/cancel", "/kiosk/ticket/{}/print", "/kiosk/ticket/{}"])
def test_wrong_codes_count_wherever_they_are_tried(app, path):
    guesser = kiosk_of(app)
    method = "GET" if path.endswith("{}") else "POST"

    answers = [
        guesser.request(method, path.format(f"WRONG{number:03}")).status_code
        for number in range(31)
    ]

    assert answers == [404] * 30 + [429]


def test_right_codes_are_free(app, sqlite_clinic):
    code = take(sqlite_clinic, "A")[0].code
    phones = [browser(app) for _ in range(40)]

    assert {phone.get(f"/t/{code}").status_code for phone in phones} == {200}


# Floods


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self):
        self.at = 100.0

    def __call__(self):
        return self.at


def test_pace_takes_some_at_once_and_then_so_many_a_second():
    now = Clock()
    pace = Pace(rate=8, free=20, now=now)

    assert [pace.take("hall") for _ in range(21)] == [True] * 20 + [False]
    assert pace.take("other")
    now.at += 1
    assert [pace.take("hall") for _ in range(9)] == [True] * 8 + [False]


def run_lane(requests, cost_s, **how):
    """Send requests of one address at once; return when each had its turn, and who was refused."""
    times, refused = [], []

    async def one(shares):
        if await shares.enter("hall"):
            refused.append(1)
            return
        times.append(asyncio.get_running_loop().time() - 1000)
        # What it costs is told, not spent.
        await anyio.lowlevel.checkpoint()
        shares.leave("hall", cost_s)

    async def run():
        shares = Shares(now=asyncio.get_running_loop().time, **how)
        async with anyio.create_task_group() as group:
            for _ in range(requests):
                group.start_soon(one, shares)

    play(run())
    return times, len(refused)


def test_address_is_held_to_its_share_once_it_used_what_is_free():
    """Ten requests of 11 ms, two at a time: some at once, then two in 88 ms."""
    times, refused = run_lane(10, 0.01, share=0.25, free_s=0.06)

    assert refused == 0
    assert times == pytest.approx([*[0] * 7, 0.068, 0.068, 0.156], abs=0.001)


def test_no_more_than_two_of_an_address_are_answered_at_once():
    shares, most, present = Shares(), [], []

    async def one():
        assert await shares.enter("hall") == 0
        present.append(1)
        most.append(len(present))
        await anyio.sleep(0.005)
        present.pop()
        shares.leave("hall", 0)

    async def run():
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    anyio.run(run)
    assert (max(most), len(most)) == (2, 20)


def test_who_would_wait_too_long_is_refused():
    times, refused = run_lane(60, 0.004, share=0.5, free_s=0.01, longest_s=0.3)

    assert refused > 10
    assert len(times) == 60 - refused
    assert max(times) < 0.4


def test_what_is_owed_has_an_end():
    """A hall pays for its neighbour's flood, but not for ever."""
    now = Clock()
    shares = Shares(share=0.25, free_s=1, longest_s=20, now=now)
    for _ in range(10_000):
        shares.leave("hall", 0.1)
    now.at += 20.1

    async def run():
        return await shares.enter("hall")

    assert anyio.run(run) == 0


def test_waiting_request_that_is_given_up_holds_no_place():
    shares = Shares()

    async def run():
        assert await shares.enter("hall") == 0
        assert await shares.enter("hall") == 0
        with anyio.move_on_after(0.01):
            await shares.enter("hall")
        shares.leave("hall", 0)
        with anyio.fail_after(30):
            assert await shares.enter("hall") == 0

    anyio.run(run)


def test_memory_is_bounded_whatever_comes(monkeypatch):
    monkeypatch.setattr(limits_module, "MAX_KEYS", 50)
    monkeypatch.setattr(shares_module, "MAX_KEYS", 50)
    now = Clock()
    pace, rate, codes = Pace(100, 100, now), RateLimit(2, 10, now), CodeGuesses(now)
    shares = Shares(now=now)
    for number in range(500):
        pace.take(str(number))
        shares.leave(str(number), 0.1)
        rate.take(str(number))
        codes.was_right(str(number), "CODE")
        codes.was_wrong(str(number))

    for kept in (
        pace._paid_until,
        shares._lanes,
        rate._taken,
        codes._right,
        codes.wrong._taken,
    ):
        assert len(kept) <= 51
    now.at += 100
    for _ in range(40):
        pace.take("one")
        rate.take("one")
        shares.leave("one", 0)
    assert len(pace._paid_until) == len(rate._taken) == len(shares._lanes) == 1


@pytest.fixture
def in_debt(app, monkeypatch):
    """Makes an address owe more than any request of it would wait for."""
    monkeypatch.setattr(turns, "HOLD_S", 0.01)
    shares = app.state.limits.shares
    # However long the test takes, nothing is paid back meanwhile.
    monkeypatch.setattr(shares, "_now", Clock())

    def owe(group="192.168.1.66"):
        shares._longest_s = 5
        for _ in range(3_000):
            shares.leave(group, 0.1)
        shares._longest_s = 1

    return owe


def test_flood_from_one_address_is_refused_and_others_do_not_notice(app, in_debt):
    in_debt()
    flooder, kiosk = browser(app, "192.168.1.66"), kiosk_of(app)

    refused = flooder.post("/kiosk/tickets", data=VISIT)

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert "Terlalu banyak permintaan" in refused.text
    assert "Too many requests" in refused.text
    assert "content-security-policy" in refused.headers
    assert ask(kiosk).status_code == 303
    assert app.state.limits.refused()["flood"] == 1


def test_subscriber_of_ipv6_is_one_whatever_its_machines_draw(app, in_debt):
    in_debt("2001:db8:1:2::")

    first = browser(app, "2001:db8:1:2::1").get("/healthz").status_code
    second = browser(app, "2001:db8:1:2:aaaa::2").get("/healthz").status_code
    other = browser(app, "2001:db8:1:3::1").get("/healthz").status_code

    assert (first, second, other) == (429, 429, 200)


@pytest.mark.parametrize(
    ("path", "headers", "kind", "word"),
    [
        ("/kiosk", {}, "text/html; charset=utf-8", "<!doctype html>"),
        ("/kiosk", {"hx-request": "true"}, "text/html; charset=utf-8", '<div role="alert">'),
        ("/kiosk", {"accept": "application/json"}, "application/json", "Terlalu banyak"),
        ("/kiosk", {"sec-fetch-dest": "empty"}, "application/json", "Terlalu banyak"),
        ("/api/v1/units", {}, PROBLEM, '"status":429'),
    ],
)
def test_refusal_comes_in_the_form_that_was_asked_for(app, in_debt, path, headers, kind, word):
    in_debt()

    answer = browser(app, "192.168.1.66").get(path, headers=headers)

    assert answer.status_code == 429
    assert answer.headers["content-type"] == kind
    assert word in answer.text
    if kind != "text/html; charset=utf-8":
        document = answer.json()
        assert document.keys() == {"type", "title", "status", "detail"}


def test_hall_of_phones_behind_one_address_is_let_in():
    """After a new version 300 phones load page, stream and eight files at once: 12 ms each."""
    requests = [0.003, 0.002, *[0.001] * 8] * 300
    shares = Limits().shares

    async def run():
        waits = []
        for cost_s in requests:
            waits.append(shares._owed_s(shares._lane("hall")))
            shares.leave("hall", cost_s - shares_module.OVERHEAD_S)
        return max(waits)

    assert anyio.run(run) < shares._longest_s


def test_paced_requests_take_no_thread(app):
    """Hundreds wait for their turn while another address is served at once."""
    done = []

    async def run():
        def client(address):
            transport = httpx.ASGITransport(app, client=(address, 1))
            return httpx.AsyncClient(
                transport=transport, base_url="https://antrean.local", headers=OWN
            )

        async with (
            client("192.168.1.66") as flooder,
            client("192.168.1.30") as kiosk,
            anyio.create_task_group() as group,
        ):
            app.state.limits.shares.leave("192.168.1.66", 0.1)
            app.state.limits.shares._burst_s = 0
            app.state.limits.shares._share = 0.01
            for _ in range(200):
                group.start_soon(flooder.get, "/")
            await anyio.sleep(0.1)
            with anyio.fail_after(60):
                answer = await kiosk.get("/")
            done.append(answer.status_code)
            group.cancel_scope.cancel()

    anyio.run(run)
    assert done == [200]


def test_slow_handler_holds_up_nobody_of_its_address(app, monkeypatch):
    """A silent printer keeps its request waiting, not the kiosk that it belongs to."""
    monkeypatch.setattr(turns, "LONGEST_S", 0.05)
    gate = threading.Event()
    monkeypatch.setattr(
        providers, "print_slip", lambda *_: gate.wait(120) and providers.Printed("printed", "")
    )
    one = kiosk_of(app)
    path = ask(one).headers["location"].partition("?")[0]
    statuses = []

    async def run():
        transport = httpx.ASGITransport(app, client=("192.168.1.30", 1))
        async with (
            httpx.AsyncClient(
                transport=transport,
                base_url="https://antrean.local",
                headers=OWN,
                cookies=dict(one.cookies),
            ) as kiosk,
            anyio.create_task_group() as group,
        ):
            for _ in range(4):
                group.start_soon(kiosk.post, f"{path}/print")
            await anyio.sleep(0.2)
            with anyio.move_on_after(60):
                answer = await kiosk.get("/kiosk")
                statuses.append(answer.status_code)
            gate.set()

    try:
        anyio.run(run)
    finally:
        gate.set()
    assert statuses == [200]


def test_every_limit_counts_its_refusals():
    limits = Limits()
    for _ in range(25):
        limits.logins.take("a")

    assert limits.refused()["login"] == 5
    assert set(limits.refused()) == {
        "login",
        "pairing",
        "code",
        "kiosk",
        "emergency",
        "slip",
        "reading",
        "flood",
    }
