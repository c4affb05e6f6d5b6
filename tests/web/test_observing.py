"""What is known of a request afterwards, and that it is nobody's business."""

import io
import json
import logging
import re
import secrets
import threading

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.cli.context import command_actor
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.logs import FORMATS, REQUEST_ID, JsonLines, scrubbed, set_up
from puskesmas_queue.services.accounts import add_user
from puskesmas_queue.settings import load_config
from puskesmas_queue.web import observing
from puskesmas_queue.web.threads import Threads
from scale.crowd import make_open_clinic, paired_kiosks
from support.server import running

OWN = {"sec-fetch-site": "same-origin"}
PATIENCE_S = 30.0


@pytest.fixture
def app(sqlite_clinic):
    return make_app(sqlite_clinic)


def browser(app):
    return TestClient(
        app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), headers=OWN,
        follow_redirects=False, raise_server_exceptions=False,
    )  # fmt: skip


@pytest.fixture
def set_up_log():
    """Set up the log as a server does; gives where it is written."""
    stream = io.StringIO()
    root, requests = logging.getLogger(), logging.getLogger("puskesmas_queue.requests")
    before, level, own = root.handlers[:], root.level, requests.level
    core = logging.getLogger("puskesmas_queue")
    servers = logging.getLogger("uvicorn.error")
    filters = servers.filters[:]

    def start(kind):
        # Those of this test run among them.
        root.handlers[:] = []
        set_up(kind, stream)
        return stream

    yield start
    root.handlers[:] = before
    core.handlers[:] = []
    core.propagate = True
    root.setLevel(level)
    requests.setLevel(own)
    servers.filters[:] = filters


@pytest.fixture
def lines(set_up_log):
    """What is logged as JSON."""
    written = set_up_log("json")
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


# Ids


def test_every_answer_has_an_id_of_its_own(app):
    client = browser(app)
    ids = [client.get(path).headers["x-request-id"] for path in ("/", "/nowhere", "/static/x")]

    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)
    assert len(set(ids)) == 3
    refused = client.post("/kiosk/tickets", headers={"sec-fetch-site": "cross-site"})
    assert "x-request-id" in refused.headers


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [("abc-123.DEF_4", True), ("short", False), ("x" * 65, False), ("a b c d e f", False),
     ('"><script>', False)],
)  # fmt: skip
def test_id_of_a_proxy_is_taken_where_it_is_one(app, given, is_taken):
    answered = browser(app).get("/", headers={"x-request-id": given}).headers["x-request-id"]

    assert (answered == given) is is_taken


def test_error_pages_show_it_and_the_log_has_it(app, sqlite_clinic, monkeypatch, lines):
    def away(fn):
        raise StorageUnavailable("away")

    client = browser(app)
    assert client.get("/t/ABCDEFGH").status_code == 404
    monkeypatch.setattr(sqlite_clinic.db, "read", away)
    answer = client.get("/t/ABCDEFGH", headers={"x-request-id": "kode-gangguan-1"})

    assert answer.status_code == 503
    assert "Kode gangguan: kode-gangguan-1" in answer.text
    told = [one for one in lines() if one.get("request_id") == "kode-gangguan-1"]
    assert [one["logger"] for one in told] == [
        "puskesmas_queue.web.errors",
        "puskesmas_queue.requests",
    ]
    assert (told[1]["status"], told[1]["route"]) == (503, "/t/{code}")


def test_crash_has_it_too(app, monkeypatch, lines):
    monkeypatch.setattr("puskesmas_queue.web.routes.ticket.ticket_view", lambda *_: 1 / 0)

    answer = browser(app).get("/t/ABCDEFGH")

    assert answer.status_code == 500
    assert f"Kode gangguan: {answer.headers['x-request-id']}" in answer.text
    assert lines()[-1]["status"] == 500


@pytest.mark.anyio
async def test_id_goes_with_the_work_into_threads():
    threads = Threads(1)
    REQUEST_ID.set("request-one")

    assert await threads.run(REQUEST_ID.get) == "request-one"
    REQUEST_ID.set("request-two")
    assert await threads.run(REQUEST_ID.get) == "request-two"


@pytest.fixture
def anyio_backend():
    return "asyncio"


# Lines


def test_changes_errors_and_what_is_slow_are_told(app, sqlite_clinic, monkeypatch, lines):
    client = browser(app)
    monkeypatch.setattr(observing, "SLOW_S", 600.0)
    client.get("/")
    client.get("/t/NOSUCH00")
    assert lines() == []
    client.post("/lang", data={"lang": "en"})
    client.post("/display/heartbeat", data={"zone": "main", "screen": "layar12345"})
    monkeypatch.setattr(observing, "SLOW_S", 0.0)
    client.get("/healthz")

    told = [(one["method"], one["route"], one["level"]) for one in lines()]
    assert ("GET", "/healthz", "warning") in told
    assert all(route != "/display/heartbeat" for _, route, _ in told[:1])
    assert {"time", "logger", "request_id", "ms", "browser"} <= lines()[0].keys()


def test_lines_are_json_whatever_is_logged(lines):
    logging.getLogger("x").warning("two\nlines \x1b[31m %s", "“kutip”")
    try:
        raise ValueError("NIK 3509012345678901, token " + "a" * 43)
    except ValueError:
        logging.getLogger("x").exception("failed")

    first, second = lines()
    assert first["message"].startswith("two\nlines")
    assert "3509012345678901" not in json.dumps(second)
    assert "a" * 20 not in json.dumps(second)
    assert second["exception"][-1] == "ValueError: NIK …, token …"
    assert "test_observing.py" in second["exception"][0]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_takes_its_time_to_say_what_it_is_holds_up_no_other_line(set_up_log, kind):
    """A plugin logs values of its own, and exceptions."""
    asked, gate = threading.Event(), threading.Event()

    class Slow(Exception):
        def __str__(self):
            asked.set()
            gate.wait(PATIENCE_S)
            return "slow"

    written = set_up_log(kind)
    log = logging.getLogger("x")
    slow = threading.Thread(target=lambda: log.error("%s", "plugin", exc_info=Slow()))
    slow.start()
    try:
        assert asked.wait(PATIENCE_S)
        log.warning("hall")

        assert "hall" in written.getvalue()
        assert "plugin" not in written.getvalue()
    finally:
        gate.set()
        slow.join()
    assert "plugin" in written.getvalue()
    assert "Slow: slow" in written.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_what_cannot_be_said_is_no_fault_of_who_says_it(set_up_log, kind, capsys):
    written = set_up_log(kind)

    logging.getLogger("x").warning("%d", "no figure")

    assert written.getvalue() == ""
    assert "no figure" in capsys.readouterr().err


@pytest.mark.parametrize("kind", FORMATS)
def test_what_others_add_to_the_log_holds_up_no_line_of_ours(set_up_log, kind):
    """A plugin's handler that sends to a machine which does not answer, and a maker of records."""
    written, seen = set_up_log(kind), []

    class Far(logging.Handler):
        def emit(self, record):
            seen.append(record.name)

    def make(name, *rest, **more):
        return logging.LogRecord(name.lower(), *rest, **more)

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(make)
    try:
        logging.getLogger().addHandler(Far())
        logging.getLogger("puskesmas_queue.plugin_host.dispatch").error("ours")
        logging.getLogger("X").error("theirs")
    finally:
        logging.setLogRecordFactory(before)

    assert seen == ["x"]
    assert written.getvalue().count("ours") == written.getvalue().count("theirs") == 1


def test_text_is_what_went_wrong(set_up_log):
    written = set_up_log("text")

    logging.getLogger("puskesmas_queue.requests").info("asked")
    logging.getLogger("x").warning("%s %s", "two", "words")

    assert written.getvalue() == "two words\n"


def test_garbage_fills_no_log(lines):
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    assert lines() == []


def test_numbers_and_tokens_are_left_out():
    assert scrubbed("0812345678 A-001 3509012345678901") == "… A-001 …"
    assert JsonLines().format(logging.makeLogRecord({"msg": "plain"}))


def test_whole_visit_leaves_no_name_code_or_token_in_the_log(tmp_path):
    """On a real server: kiosk, counter, phone, login, wrong password, an unknown page."""
    config, passwords = make_open_clinic(tmp_path, "sqlite:///data/puskesmas.db", 3)
    clinic = open_clinic(load_config(config.path, {}))
    try:
        add_user(
            clinic, "sitirahma", command_actor(), role=Role.PETUGAS_LOKET, name="Siti Rahmawati",
            password="kuda9&merahputih",
        )  # fmt: skip
    finally:
        clinic.close()
    kiosk_cookies = paired_kiosks(config, 1)[0]
    known: set[str] = {"sitirahma", "Siti Rahmawati", "kuda9&merahputih", "3509012345678901"}
    known |= set(kiosk_cookies.values()) | set(passwords)
    command = ("serve", "--config", config.path, "--port", 0, "--log-format", "json")
    with running(*command, folder=tmp_path) as server:
        with httpx.Client(
            base_url=server.url, headers=OWN, cookies=kiosk_cookies, timeout=30
        ) as kiosk:
            visit = {"lane": "general", "payment": "bpjs", "unit": "umum"}
            for _ in range(3):
                key = secrets.token_urlsafe(15)
                answer = kiosk.post("/kiosk/tickets", data={**visit, "f": key})
                code = re.match(r"/kiosk/ticket/(\w+)", answer.headers["location"])[1]
                known |= {key, code, answer.headers.get("set-cookie", "x=-;")[:40].split("=")[1]}
                kiosk.post(f"/kiosk/ticket/{code}/print")
        with httpx.Client(base_url=server.url, headers=OWN, timeout=30) as phone:
            phone.get(f"/t/{code}?nik=3509012345678901")
            phone.post(f"/t/{code}/cancel")
        with httpx.Client(base_url=server.url, headers=OWN, timeout=30) as desk:
            login = {"username": "sitirahma", "password": "kuda9&merahputih"}
            desk.post("/login", data={**login, "password": "salah sekali"})
            desk.post("/login", data=login)
            known.add(desk.cookies["pq_session"])
            desk.post("/loket/open", data={"counter": "1"})
            desk.post("/loket/call-next")
            desk.post("/3509012345678901")
    log = (tmp_path / "server.log").read_text()

    told = [json.loads(one) for one in log.splitlines()]
    routes = {one["route"] for one in told if one["logger"] == "puskesmas_queue.requests"}
    assert {"/kiosk/tickets", "/kiosk/ticket/{code}/print", "/t/{code}/cancel", "/login",
            "/loket/call-next"} <= routes  # fmt: skip
    assert any(one.get("user") for one in told)
    assert any(str(one.get("device", "")).startswith("device-") for one in told)
    for one in known - {"-", ""}:
        assert one not in log, one
