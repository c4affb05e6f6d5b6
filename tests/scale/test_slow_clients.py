"""Clients that mean no good, on a real server: the hall does not notice them."""

import http.client
import re
import secrets
import socket
import threading
import time
from contextlib import ExitStack, closing
from urllib.parse import urlencode, urlsplit

import pytest

from scale.crowd import make_open_clinic, paired_kiosks
from support.server import running
from support.wire import connect, read_all

IDLE, DRIBBLING = 1_000, 200
NEIGHBOUR = "127.0.0.2"
HEAD = b"POST /kiosk/tickets HTTP/1.1\r\nhost: 127.0.0.1\r\nsec-fetch-site: same-origin\r\n"
FORM = b"content-type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the clinic is."""
    return tmp_path_factory.mktemp("slow")


@pytest.fixture(scope="module")
def config(folder):
    """A clinic that is always open."""
    return make_open_clinic(folder, "sqlite:///data/puskesmas.db", 3)[0]


@pytest.fixture(scope="module")
def port(config, folder):
    """Where the real command serves it."""
    with running("serve", "--config", config.path, "--port", 0, folder=folder) as server:
        yield urlsplit(server.url).port


@pytest.fixture
def log(folder):
    """Where the server writes, empty at the start of each test."""
    path = folder / "server.log"
    path.write_text("")
    return path


@pytest.fixture
def take_numbers(port, config):
    """Takes so many numbers as a kiosk does, each on its own connection; returns their codes."""
    cookies = "; ".join(f"{name}={value}" for name, value in paired_kiosks(config, 1)[0].items())
    return lambda count: [take_number(port, cookies) for _ in range(count)]


def take_number(port: int, cookies: str) -> str:
    """Take one number; return its code."""
    visit = {
        "f": secrets.token_urlsafe(15),
        "lane": "general",
        "payment": "bpjs",
        "unit": "umum",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as kiosk:
        kiosk.request(
            "POST",
            "/kiosk/tickets",
            urlencode(visit),
            {
                "sec-fetch-site": "same-origin",
                "content-type": "application/x-www-form-urlencoded",
                "cookie": cookies,
            },
        )
        answer = kiosk.getresponse()
        answer.read()
        location = answer.headers["location"]
    found = re.match(r"/kiosk/ticket/(\w+)", location)
    assert found, (answer.status, location)
    return found[1]


def test_a_thousand_idle_and_two_hundred_dribbling_connections_stop_no_kiosk(port, take_numbers):
    """And after their time they are gone."""
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(port, NEIGHBOUR)) for _ in range(IDLE)]
        heads = [stack.enter_context(connect(port, NEIGHBOUR)) for _ in range(DRIBBLING // 2)]
        bodies = [stack.enter_context(connect(port, NEIGHBOUR)) for _ in range(DRIBBLING // 2)]
        for one in bodies:
            one.sendall(HEAD + FORM + b"content-length: 500000\r\n\r\n")
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.5):
                for one in [*heads, *bodies]:
                    try:
                        one.sendall(b"x")
                    except OSError:
                        continue

        dribbling = threading.Thread(target=dribble)
        dribbling.start()
        try:
            codes = take_numbers(60)
            assert len(set(codes)) == 60
            until = time.monotonic() + 90
            for one in [*idle, *heads, *bodies]:
                one.settimeout(max(0.1, until - time.monotonic()))
                assert read_all(one).startswith(b"HTTP/1.1 4")
        finally:
            stop.set()
            dribbling.join()
        assert len(take_numbers(5)) == 5


def answer_to(port: int, *pieces: bytes) -> bytes:
    """Send pieces and return all that comes until the other end closes."""
    with connect(port) as one:
        for piece in pieces:
            try:
                one.sendall(piece)
            except ConnectionError:
                break
        one.settimeout(60)
        return read_all(one)


def test_chunked_body_over_the_cap(port, take_numbers):
    chunks = [b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"] * 11

    answer = answer_to(
        port, HEAD + FORM + b"transfer-encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert len(take_numbers(1)) == 1


@pytest.mark.parametrize(
    ("headers", "body", "statuses"),
    [
        (b"content-length: 1000001\r\n", b"", b"413"),
        (b"content-length: 99999999999999999999999\r\n", b"", b"4"),
        (b"content-length: -1\r\n", b"", b"4"),
        (b"content-length: 1\r\ncontent-length: 2\r\n", b"xx", b"4"),
        (b"content-length: 5\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n", b"4"),
        (b"transfer-encoding: chunked\r\n", b"zz\r\nabc\r\n", b"4"),
        (b"content-length: 100\r\n", b"f=too+short", b"408"),
    ],
)
def test_lengths_that_lie(port, log, take_numbers, headers, body, statuses):
    answer = answer_to(port, HEAD + FORM + headers + b"\r\n" + body)

    assert answer.startswith(b"HTTP/1.1 " + statuses), answer[:200]
    assert len(take_numbers(1)) == 1
    assert "Traceback" not in log.read_text()


def test_requests_that_are_left_halfway_write_no_traceback(port, log, take_numbers):
    for _ in range(5):
        with connect(port) as one:
            one.sendall(HEAD + FORM + b"content-length: 500\r\n\r\nf=")
    with connect(port) as one:
        one.sendall(HEAD + FORM + b"content-length: 500\r\n\r\nf=")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    time.sleep(0.3)

    assert len(take_numbers(1)) == 1
    assert log.read_text() == ""
