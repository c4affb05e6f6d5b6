"""Connections that are slow, silent or too many, on real sockets."""

import asyncio
import pickle
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from puskesmas_queue.web import connections
from puskesmas_queue.web.addresses import group_of
from puskesmas_queue.web.connections import Bounds, Connections, guarded
from puskesmas_queue.web.limits import Pace
from support.wire import connect, open_connections, read_all, read_answer, serving

QUICK = Bounds(head_s=0.5, body_s=0.5, unread_s=0.5, closing_s=0.5, look_s=0.05)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
BIG = 8_000_000


async def app(scope, receive, send):
    """Answer after the whole body; `/stream` is slow and long, `/big` is big."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/stream":
        for _ in range(15):
            await send({"type": "http.response.body", "body": b"beat\n", "more_body": True})
            await asyncio.sleep(0.1)
    body = b"x" * BIG if scope["path"] == "/big" else str(size).encode()
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
def fast(request, monkeypatch):
    """Let connections be of one of uvicorn's two protocols."""
    monkeypatch.setattr(connections, "FASTEST", guarded(request.param))


@pytest.fixture
def guard():
    return Connections(QUICK)


@pytest.fixture
def port(fast, guard):
    with serving(app, guard) as port:
        yield port


def test_requests_and_kept_connections_go_on_as_before(fast):
    """However long the next request is not there."""
    guard = Connections()
    with serving(app, guard) as port:
        with connect(port) as one:
            for _ in range(3):
                one.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde")
                assert b"\r\n5\r\n" in read_answer(one)
                look(guard, time.monotonic() + 100)
                look(guard, time.monotonic() + 200)
        assert open_connections(guard, 0)
    assert guard.refused.total() == 0


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"])
def test_head_that_never_comes(port, guard, sent):
    with connect(port) as one:
        one.sendall(sent)

        assert read_all(one).startswith(b"HTTP/1.1 408 ")
    assert guard.refused == {"slow head": 1}


def test_head_one_byte_at_a_time(port, guard):
    with connect(port) as one:
        assert drip(one, GET[:-2] + b"x-more: " + b"y" * 200) < 200
    assert guard.refused == {"slow head": 1}


def test_head_of_a_later_request_has_its_time_too(port, guard):
    with connect(port) as one:
        one.sendall(GET)
        read_answer(one)
        one.sendall(GET[:20])
        assert b"408" in read_all(one)


def test_body_one_byte_at_a_time(port, guard):
    with connect(port) as one:
        one.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n")
        assert drip(one, b"x" * 200) < 200
    assert guard.refused == {"slow body": 1}


def test_slow_but_honest_body(fast):
    """Twenty seconds for 60 kB is a bad line and no attack."""
    guard = Connections()
    with serving(app, guard) as port, connect(port) as one:
        one.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n")
        began = time.monotonic()
        for second in range(20):
            look(guard, began + second)
            one.sendall(b"x" * 3_000)
            until_received(guard, (second + 1) * 3_000)
        look(guard, began + 20)
        assert b"60000" in read_answer(one)
    assert guard.refused.total() == 0


def test_stream_is_long_and_is_not_cut(port, guard):
    with connect(port) as one:
        one.sendall(GET.replace(b"/ ", b"/stream ", 1))
        found = read_answer(one)
    assert found.count(b"beat") == 15
    assert guard.refused.total() == 0


def test_reader_that_takes_nothing(port, guard):
    with connect(port) as one:
        one.sendall(GET.replace(b"/ ", b"/big ", 1))
        until = time.monotonic() + 30
        while not guard.refused and time.monotonic() < until:
            time.sleep(0.02)

        assert open_connections(guard, 0)
        assert guard.refused.keys() <= {"no reader", "unclosed"}
        assert guard.refused.total() == 1


def test_reader_that_is_slow(port, guard):
    with connect(port) as one:
        one.sendall(GET.replace(b"/ ", b"/big ", 1))
        size = 0
        while size < BIG:
            size += len(one.recv(400_000))
            time.sleep(0.02)
    assert guard.refused.total() == 0


def test_head_without_an_end(port, guard):
    with connect(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        try:
            for number in range(100):
                one.sendall(b"x-%d: " % number + b"y" * 4000 + b"\r\n")
                time.sleep(0.002)
        except ConnectionError:
            pass
        read_all(one)
    assert guard.refused.keys() <= {"head", "garbage"}
    assert guard.refused.total() == 1


def test_garbage_in_a_row(port, guard):
    with connect(port) as one:
        one.sendall(b"\x16\x03\x01nonsense\r\n\r\n" * 50)
        read_all(one)
    with connect(port) as one:
        one.sendall(GET * 2_000 + GET[:-2] + b"connection: close\r\n\r\n")
        read_all(one)
    with connect(port) as one:
        one.sendall(GET)
        assert b"200" in one.recv(65536)
    assert guard.refused["garbage"] == 1


def test_too_many_of_one_address_and_of_all(fast, monkeypatch):
    guard = Connections(Bounds(total=7, per_address=5, new_rate=1_000_000, head_s=60))
    # On this machine there are loopback addresses only: to the guard they are neighbours here.
    monkeypatch.setattr(Connections, "group", lambda self, host: host)
    with serving(app, guard) as port:
        mine = [connect(port, "127.0.0.2") for _ in range(5)]
        assert open_connections(guard, 5)
        with connect(port, "127.0.0.2") as one:
            assert read_all(one).startswith(b"HTTP/1.1 503 ")
        assert open_connections(guard, 5)
        others = [connect(port, "127.0.0.3") for _ in range(2)]
        assert open_connections(guard, 7)
        others[0].sendall(GET)
        assert b"200" in others[0].recv(65536)
        with connect(port, "127.0.0.4") as one:
            assert read_all(one).startswith(b"HTTP/1.1 503 ")
        assert open_connections(guard, 7)
        mine.pop().close()
        assert open_connections(guard, 6)
        with connect(port, "127.0.0.2") as one:
            one.sendall(GET)
            assert b"200" in one.recv(65536)
        for one in [*mine, *others]:
            one.close()
        assert open_connections(guard, 0)
    assert guard.refused == {"address": 1, "all": 1}
    assert not guard._by_address


def test_new_connections_of_one_address_are_kept_waiting(fast, monkeypatch):
    """Whoever opens ever new ones costs little: each waits for its end and is never read."""
    guard = Connections(Bounds(per_address=8, new_rate=1, held_s=0.5, look_s=0.05))
    monkeypatch.setattr(Connections, "group", lambda self, host: host)
    # A second in which another one were due does not pass.
    guard._new = Pace(guard.bounds.new_rate, guard.bounds.per_address / 2, lambda: 0.0)
    with serving(app, guard) as port:
        for _ in range(4):
            with connect(port, "127.0.0.2") as one:
                one.sendall(GET)
                assert b"200" in one.recv(65536)
        began = time.monotonic()
        with connect(port, "127.0.0.2") as held, connect(port, "127.0.0.3") as other:
            held.sendall(GET)
            other.sendall(GET)
            assert b"200" in other.recv(65536)
            assert read_all(held) == b""
        assert time.monotonic() - began >= 0.5
    assert guard.refused == {"new of address": 1}


def test_this_machine_and_proxies_are_not_counted_by_address():
    guard = Connections(trusted_proxies=("192.168.1.0/28",))

    assert [guard.group(host) for host in ("127.0.0.1", "::1", "192.168.1.3", None)] == [None] * 4
    assert guard.group("192.168.1.30") == "192.168.1.30"
    assert guard.group("2001:db8:1:2:3::4") == guard.group("2001:db8:1:2:ffff::1")
    assert guard.group("2001:db8:1:3::4") != guard.group("2001:db8:1:2:3::4")


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("nowhere", "unknown"),
        (None, "unknown"),
    ],
)
def test_whom_a_limit_counts_as_one(text, group):
    assert group_of(text) == group


@pytest.mark.parametrize(
    ("open_files", "total"), [(None, 10_000), (65_536, 57_344), (1_024, 768), (256, 128)]
)
def test_files_are_left_for_the_database(open_files, total):
    bounds = Bounds.below(open_files)

    assert bounds.total == total
    assert bounds.per_address <= total


def test_workers_get_their_own():
    """Its configuration is sent to every worker process: uvicorn's way to make them."""
    copy = pickle.loads(pickle.dumps(Connections(QUICK, ("10.0.0.1",))))

    assert copy.bounds == QUICK
    assert copy.is_proxy("10.0.0.1")


def test_slow_heads_over_tls(fast, guard, tmp_path):
    server, client = contexts(tmp_path)
    with (
        serving(app, guard, server) as port,
        connect(port) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as one,
    ):
        one.sendall(GET[:20])

        assert read_all(one).startswith(b"HTTP/1.1 408 ")
    assert guard.refused == {"slow head": 1}


def look(guard, now):
    """Let the server look at its connections as it would at that moment."""
    done = threading.Event()
    (one,) = until_there(guard)

    def look_now():
        one.look(now)
        done.set()

    one.loop.call_soon_threadsafe(look_now)
    assert done.wait(30)


def until_there(guard):
    """Wait for a connection, and return all."""
    assert open_connections(guard, 1)
    return list(guard._open)


def until_received(guard, size):
    """Wait until so much of a body has come, or nothing comes any more."""
    (one,) = guard._open
    until = time.monotonic() + 30
    while one._received < size and time.monotonic() < until:
        time.sleep(0.001)


def drip(one, data):
    """Send a byte at a time until the other end has enough; return how many it took."""
    one.settimeout(0.02)
    for sent in range(len(data)):
        try:
            one.sendall(data[sent : sent + 1])
            if one.recv(65536) == b"":
                return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return len(data)


def contexts(folder):
    """Return what server and client need to know for TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "one.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + pem
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "one.pem")
    return server, ssl.create_default_context(cadata=pem.decode())
