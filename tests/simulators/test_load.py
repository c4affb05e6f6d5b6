"""Load at a rate, on a bare server that counts, and on a real demo."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2 as httpx
import pytest
from click.testing import CliRunner

from puskesmas_queue.cli import main
from puskesmas_queue.simulators import hall_load, load
from puskesmas_queue.simulators.hall_load import LoadWishes, press
from puskesmas_queue.simulators.http_hall import look_at


def simulate(*arguments):
    return CliRunner().invoke(main, ["simulate", "load", *map(str, arguments)])


@pytest.fixture
def bare():
    """A server that answers; `pause_s` it stands still, `hang_up_at` it hangs up on a request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with server.lock:
                server.asked += 1
                number = server.asked
                time.sleep(server.pause_s if number == 3 else 0)
            if number == server.hang_up_at:
                self.close_connection = True
                return
            self.send_response(303)
            self.send_header("location", f"/kiosk/ticket/T{number}?print=1")
            self.send_header("content-length", "0")
            if server.closes:
                self.send_header("connection", "close")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.lock, server.asked = threading.Lock(), 0
    server.pause_s, server.hang_up_at, server.closes = 0.0, 0, False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(client, number):
    return b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def test_so_many_requests_are_sent_once_each(bare):
    numbers = []

    def make(client, number):
        numbers.append(number)
        return ask(client, number)

    done = load.run(bare.url, 4, make, requests=50)

    assert sorted(numbers) == list(range(50))
    assert (len(done.answers), done.lost, bare.asked) == (50, 0, 50)
    assert {one.status for one in done.answers} == {303}


def test_the_rate_is_held(bare):
    done = load.run(bare.url, 4, ask, rate=40, seconds=1.5)

    assert len(done.answers) == 60
    assert 1.4 < done.seconds < 20


def test_what_waits_behind_a_slow_answer_counts_from_when_it_was_due(bare):
    """One client, a second of silence: all that should have been asked meanwhile waited too."""
    bare.pause_s = 1.0

    done = load.run(bare.url, 1, ask, rate=20, seconds=1.0)

    late = [one for one in done.answers if one.seconds > 0.3]
    assert len(done.answers) == 20
    assert len(late) >= 10


def test_a_server_that_closes_kept_connections_is_asked_on_new_ones(bare):
    bare.closes = True

    done = load.run(bare.url, 2, ask, rate=50, requests=20)

    assert (len(done.answers), done.lost) == (20, 0)


def test_an_answer_that_never_came_is_counted(bare):
    bare.hang_up_at = 5

    done = load.run(bare.url, 1, ask, requests=10)

    assert (len(done.answers), done.lost) == (9, 1)


def test_nobody_answers():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"Connect call failed|refused"):
            load.run(f"http://127.0.0.1:{taken.getsockname()[1]}", 1, ask, requests=1)


def test_a_demo_bears_it(server):
    """Kiosks and counters at a rate: all answered, nothing twice, nothing missing."""
    answer = simulate("--url", server.url, "--rate", 10, "--seconds", 3, "--json")

    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["wrong"] == {"refused": 0, "lost": 0, "duplicates": 0, "missing": 0}
    assert told["kinds"]["issue"]["answers"] == 30
    assert 10 <= told["kinds"]["call"]["answers"] <= 31
    assert told["kinds"]["serve"]["answers"] == told["kinds"]["call"]["answers"]
    assert told["kinds"]["issue"]["p99_ms"] >= told["kinds"]["issue"]["p50_ms"] > 0


def test_at_night_it_waits_for_the_morning(server):
    tonight = look_at(server.url).now.replace(hour=23, minute=0)
    httpx.post(f"{server.url}/demo/clock", json={"at": f"{tonight:%Y-%m-%dT%H:%M:%S}"})

    report = press(server.url, LoadWishes(clients=2, seconds=0.5, kinds=("issue",)))

    assert report.is_right
    assert report.latency_ms["issue"].count > 0


def test_a_number_that_is_not_in_the_list_is_missing(server, monkeypatch):
    """The report finds what the server forgot and what it gave twice."""
    listed = hall_load.told_by

    def forgetful(url, path):
        told = listed(url, path)
        told["tickets"] = [*told["tickets"][2:], told["tickets"][-1]]
        return told

    monkeypatch.setattr(hall_load, "told_by", forgetful)
    report = press(server.url, LoadWishes(clients=2, rate=10, seconds=1.0, kinds=("issue",)))

    assert report.wrong == {"refused": 0, "lost": 0, "duplicates": 1, "missing": 2}


def test_what_it_does_not_take(server):
    for wrong in (
        ("--mix", "pay"),
        ("--url", "http://192.0.2.1"),
        ("--rate", 0),
        ("--seconds", 601),
    ):
        assert simulate(*wrong).exit_code == 2, wrong
    assert simulate("--url", f"{server.url}/x", "--mix", "call", "--seconds", 0.5).exit_code == 0
