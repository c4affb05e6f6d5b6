"""`serve` with TLS and with the port of patients' phones, over real sockets."""

import json
import socket
import ssl
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx2 as httpx
import pytest

from puskesmas_queue import tls
from puskesmas_queue.cli.config_file import with_server
from puskesmas_queue.settings import load_config
from support.server import running
from support.sockets import free_port
from support.wire import read_all

PASSWORD = "tikus7&abuabu"


@pytest.fixture
def certified(run, config):
    """The configuration of a clinic that has a certificate."""
    answer = run("tls", "create", "--name", "antrean.lan", "--config", config, "--json")
    assert answer.exit_code == 0, answer.output
    return config


def trusting(config) -> ssl.SSLContext:
    """What a device has that was told of the clinic's authority."""
    return ssl.create_default_context(cafile=config.parent / "tls" / tls.AUTHORITY)


def with_phones(config) -> str:
    """Give the clinic a port for phones; returns its address."""
    port = free_port()
    text = config.read_text().replace("[server]\n", f"[server]\npublic_port = {port}\n")
    url = f"http://127.0.0.1:{port}"
    config.write_text(with_server(text, {"public_url": url}))
    return url


def first_event(url: str, **options) -> str:
    with httpx.stream("GET", url, timeout=30, **options) as answer:
        assert answer.status_code == 200
        return next(answer.iter_lines())


def handshake(url: str, context: ssl.SSLContext) -> str | None:
    """Return the version that client and server agree on."""
    there = httpx.URL(url)
    with (
        socket.create_connection((there.host, there.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="antrean.lan") as secure,
    ):
        return secure.version()


def test_tls_1_3_and_nothing_older(certified, tmp_path):
    context = trusting(certified)
    with running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert httpx.get(f"{server.url}/healthz", verify=context, timeout=30).status_code == 200
        assert handshake(server.url, context) == "TLSv1.3"
        assert (
            "strict-transport-security" in httpx.get(server.url, verify=context, timeout=30).headers
        )

        old = trusting(certified)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            handshake(server.url, old)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server.url, ssl.create_default_context())
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https", "http"), timeout=30)


def test_logins_get_the_cookie_that_only_https_sends(run, certified, tmp_path):
    words = ("siti", "--role", "petugas_loket", "--password-stdin")
    added = run("user", "add", *words, "--config", certified, typed=f"{PASSWORD}\n")
    assert added.exit_code == 0, added.output
    with (
        running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server,
        httpx.Client(base_url=server.url, verify=trusting(certified), timeout=30) as client,
    ):
        answer = client.post(
            "/login",
            data={"username": "siti", "password": PASSWORD},
            headers={"origin": server.url},
        )
        assert answer.status_code == 303, answer.text
        cookie = next(one for one in answer.headers.get_list("set-cookie") if "session" in one)
        assert cookie.startswith("__Host-pq_session=")
        assert cookie.endswith("; Secure")
        assert client.get("/me").status_code == 200


def test_with_tls_other_machines_may_come(run, certified, refused, monkeypatch):
    """The port is looked at after everything else: a busy one shows that all else was fine."""
    monkeypatch.setenv("PUSKESMAS__SERVER__HOST", "0.0.0.0")
    with socket.create_server(("0.0.0.0", 0)) as busy:
        answer = run("serve", "--config", certified, "--port", busy.getsockname()[1])

    refused(answer, "cannot listen on 0.0.0.0")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / tls.SERVER).unlink(), "is missing"),
        (lambda folder: (folder / tls.SERVER_KEY).unlink(), "is missing"),
        (lambda folder: (folder / tls.SERVER).write_text("x"), "no certificate"),
        (
            lambda folder: (folder / tls.SERVER_KEY).write_bytes(
                (folder / tls.AUTHORITY_KEY).read_bytes()
            ),
            "is not the key of",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(run, refused, certified, damage, words):
    damage(certified.parent / "tls")

    refused(run("serve", "--config", certified, "--port", 0), words)


def test_a_certificate_that_has_ended_is_one_line(run, refused, certified):
    again(certified, days=30, ago=31)

    refused(run("serve", "--config", certified, "--port", 0), "ended on", "tls create")


def test_a_certificate_that_ends_soon_is_told_at_the_start(certified, tmp_path):
    again(certified, days=10, ago=0)
    with running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server:
        assert (
            httpx.get(f"{server.url}/healthz", verify=trusting(certified), timeout=30).status_code
            == 200
        )

    assert "ends in 9 days" in (tmp_path / "server.log").read_text()


@pytest.mark.parametrize("one", ["tls_certificate", "tls_key"])
def test_certificate_and_key_go_together(run, refused, config, one):
    config.write_text(with_server(config.read_text(), {one: "tls/server.crt"}))

    refused(run("serve", "--config", config), "go together")


def test_phones_have_their_pages_in_plain_text_beside(certified, tmp_path):
    """One process, one hall: what happens over TLS is seen on the plain port."""
    phones = with_phones(certified)
    context = trusting(certified)
    with running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server:
        assert httpx.get(f"{phones}/healthz", timeout=30).text == "ok"
        assert httpx.get(f"{phones}/t", timeout=30).status_code == 200
        assert httpx.get(f"{phones}/login", timeout=30).status_code == 404
        assert httpx.get(f"{server.url}/login", verify=context, timeout=30).status_code == 200
        # It would hold for the plain port too, and phones could not come any more.
        assert (
            "strict-transport-security"
            not in httpx.get(server.url, verify=context, timeout=30).headers
        )
        assert first_event(f"{phones}/live/phone-main").startswith("event: ")
        assert first_event(f"{server.url}/live/phone-main", verify=context).startswith("event: ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking")
def test_open_streams_of_phones_do_not_hold_up_the_end(certified, tmp_path):
    phones = with_phones(certified)
    with (
        running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server,
        httpx.stream("GET", f"{phones}/live/phone-main", timeout=30) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        server.process.terminate()
        server.process.wait(60)

        assert "graceful shutdown exceeded" not in (tmp_path / "server.log").read_text()
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{phones}/healthz", timeout=5)


def test_a_busy_port_of_phones(run, refused, certified):
    url = with_phones(certified)
    with socket.create_server(("127.0.0.1", httpx.URL(url).port)):
        refused(run("serve", "--config", certified, "--port", 0), "cannot listen on", url[-5:])


@pytest.mark.postgres
def test_several_workers_have_both_ports(run, empty_postgres_url, tmp_path):
    assert run("init", "--database", empty_postgres_url).exit_code == 0
    config = tmp_path / "puskesmas.toml"
    assert run("tls", "create", "--name", "antrean.lan").exit_code == 0
    phones = with_phones(config)
    context = trusting(config)

    command = ("serve", "--config", config, "--port", 0, "--workers", 2)
    with running(*command, folder=tmp_path) as server:
        # Until all workers are there calls wait: nobody is turned away.
        assert httpx.get(f"{phones}/healthz", timeout=60).status_code == 200
        assert httpx.get(f"{server.url}/healthz", verify=context, timeout=60).status_code == 200
        assert handshake(server.url, context) == "TLSv1.3"
        for _ in range(8):
            assert httpx.get(f"{phones}/login", timeout=30).status_code == 404
            assert httpx.get(f"{server.url}/login", verify=context, timeout=30).status_code == 200
        assert first_event(f"{phones}/live/phone-main").startswith("event: ")


def test_links_for_staff_lead_to_the_port_of_staff(run, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__SERVER__PUBLIC_URL", "http://antrean.lan:8080")
    monkeypatch.setenv("PUSKESMAS__SERVER__PUBLIC_PORT", "8080")
    monkeypatch.setenv("PUSKESMAS__SERVER__TLS_CERTIFICATE", "tls/server.crt")
    monkeypatch.setenv("PUSKESMAS__SERVER__TLS_KEY", "tls/server.key")

    told = json.loads(run("user", "reset", "admin", "--config", config, "--json").stdout)

    assert told["url"].startswith("https://antrean.lan:8000/reset/")


def again(config, *, days: int, ago: int) -> None:
    """Make the certificate anew, as if that had been done some days ago."""
    found = load_config(config)
    identity = tls.certificates.identity_of(tls.TlsFiles(*found.tls_paths).look())
    then = datetime.now(UTC) - timedelta(days=ago)
    tls.make(found.folder / tls.FOLDER, found.clinic.name, identity, days, then)


def test_handshakes_that_are_left_halfway_hold_nobody_up(certified, tmp_path):
    """Half a handshake, or none: others are served meanwhile, and after ten seconds it is over."""
    context = trusting(certified)
    with running("serve", "--config", certified, "--port", 0, folder=tmp_path) as server:
        there = httpx.URL(server.url)
        with ExitStack() as stack:
            began = time.monotonic()
            left = [
                stack.enter_context(socket.create_connection((there.host, there.port), timeout=50))
                for _ in range(300)
            ]
            for one in left[::2]:
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert httpx.get(f"{server.url}/kiosk", verify=context, timeout=9).status_code in {
                200,
                303,
            }
            for one in left:
                assert read_all(one) == b""
            # asyncio's own patience is a minute.
            assert time.monotonic() - began < 50
    assert "Traceback" not in (tmp_path / "server.log").read_text()
