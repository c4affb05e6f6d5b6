"""Live streams by bearer token, from the real server."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from puskesmas_queue.live.stream import RECHECK_S
from rest.program import UMUM
from support.server import Server, run_command

LIMIT_S, PATIENCE_S = 5.0, 60.0


class Client:
    """A program of the running demo."""

    def __init__(self, server: Server) -> None:
        self.address = urlsplit(server.url)
        self.token = ""

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, dict]:
        with closing(self._open(60)) as connection:
            body = None if document is None else json.dumps(document)
            connection.request(method, "/api/v1" + path, body, self._headers())
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}

    @contextmanager
    def stream(self, topic: str) -> Iterator[http.client.HTTPResponse]:
        with closing(self._open(60)) as connection:
            connection.request("GET", f"/api/v1/live/{topic}", headers=self._headers())
            yield connection.getresponse()

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            str(self.address.hostname), self.address.port, timeout=timeout
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}


@pytest.fixture
def program(server: Server) -> Client:
    client = Client(server)
    login = server.login("admin")
    _, given = client.ask(
        "POST", "/token", {"username": login["username"], "password": login["password"]}
    )
    client.token, client.refresh = given["access"], given["refresh"]
    client.username = login["username"]
    return client


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    """Read one event after the other."""
    name = data = ""
    for line in answer:
        key, _, value = line.decode().rstrip("\r\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            data += value
        elif not key:
            yield name, data
            name = data = ""


def test_a_stream_shows_the_state_and_then_each_change(program):
    with program.stream("phone-main") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = events(answer)
        _, first = next(one for one in seen if one[0] == "phone-main")
        before = json.loads(first)["order"]
        status, ticket = program.ask("POST", "/tickets", UMUM)
        assert status == 201
        _, second = next(one for one in seen if ticket["number"] in one[1])
    assert json.loads(second)["order"] == [*before, ticket["number"]]


@pytest.mark.parametrize("how", ["logout", "disabled", "device"])
def test_a_stream_ends_within_five_seconds(server, program, how):
    """It is looked at sooner, and that ends it: no machine's load is measured here."""
    assert RECHECK_S <= LIMIT_S - 1
    token = program.token
    if how == "device":
        asked = {"kind": "display", "name": "TV"}
        waiting = program.ask("POST", "/devices", asked)[1]
        paired = program.ask("POST", "/devices/pair", {"code": waiting["code"]})[1]
        program.token = paired["token"]
    with program.stream("display-main") as answer:
        assert next(events(answer))[0]
        if how == "logout":
            program.ask("POST", "/token/revoke", {"refresh": program.refresh})
        elif how == "disabled":
            config = server.told["config"]
            done = run_command("user", "disable", program.username, "--config", config)
            assert done.returncode == 0, done.stderr
        else:
            program.token = token
            number = paired["device"]["id"]
            assert program.ask("POST", f"/devices/{number}/revoke")[0] == 204
        until = time.monotonic() + PATIENCE_S
        assert all(time.monotonic() < until for _ in events(answer))
    assert program.ask("GET", "/me")[0] == (200 if how == "device" else 401)


def test_topics_that_are_not_there_or_not_for_everybody(program):
    assert program.ask("GET", "/live/nothing-main")[0] == 404
    assert program.ask("GET", "/live/phone-nowhere")[0] == 404
    waiting = program.ask("POST", "/devices", {"kind": "display", "name": "TV"})[1]
    paired = program.ask("POST", "/devices/pair", {"code": waiting["code"]})[1]
    program.token = paired["token"]
    for topic in ("counter-main", "day-main", "phone-main,counter-main"):
        assert program.ask("GET", f"/live/{topic}")[0] == 403, topic
    program.token = ""
    assert program.ask("GET", "/live/phone-main")[0] == 401
