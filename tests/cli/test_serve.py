"""`serve`: what it refuses, and that it answers."""

import os
import signal
import socket
import sqlite3
import sys
import time

import httpx2 as httpx
import pytest

from puskesmas_queue.cli.serve import address, listening, raise_open_files
from puskesmas_queue.domain.errors import SetupError
from support.distributions import shelf_on_path
from support.server import running

LOOK = """
import sys
from puskesmas_queue.hookspecs import hookimpl

@hookimpl
def startup(ctx):
    with open({path!r}, "w") as file:
        file.write(str(sys.getswitchinterval()))
"""


def test_answers_and_refuses_a_second_one(run, refused, config, tmp_path):
    """The command line works beside the server, another server does not."""
    with running("serve", "--config", config, "--port", 0, folder=tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200
        kiosk = httpx.get(f"{server.url}/kiosk", timeout=30)
        assert (kiosk.status_code, kiosk.headers["location"]) == (303, "/pair?for=kiosk")

        refused(run("serve", "--config", config, "--port", 0), "another server already uses")
        assert run("settings", "list", "--config", config).exit_code == 0
        answer = run("doctor", "--config", config)
        assert answer.exit_code == 0, answer.output
        assert "server: running" in answer.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_can_be_started_again_however_it_ended(config, tmp_path, name):
    for _ in range(2):
        with running("serve", "--config", config, "--port", 0, folder=tmp_path) as server:
            assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200
            os.kill(server.process.pid, getattr(signal, name))
            server.process.wait(60)


def test_several_workers_need_postgresql(run, refused, config):
    refused(run("serve", "--config", config, "--workers", 2), "SQLite", "PostgreSQL")


def test_a_busy_port(run, refused, config):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        refused(run("serve", "--config", config, "--port", port), f"127.0.0.1 port {port}")


def test_an_address_of_another_machine(run, refused, config):
    refused(run("serve", "--config", config, "--host", "0.0.0.0"), "server.allow_insecure")


def test_an_older_database(run, refused, config, clinic_folder):
    set_revision(clinic_folder, None)

    refused(run("serve", "--config", config), "puskesmas-queue db upgrade")


def test_a_newer_database(run, refused, config, clinic_folder):
    set_revision(clinic_folder, "9999_from_tomorrow")

    refused(run("serve", "--config", config), "newer", "9999_from_tomorrow")


def test_no_database(run, refused, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db").unlink()

    refused(run("serve", "--config", config), "no database at", "puskesmas-queue init")
    assert list((clinic_folder / "data").iterdir()) == []


def test_a_file_that_is_no_database(run, refused, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db").write_text("no database at all, but longer than a page")

    refused(run("serve", "--config", config), "puskesmas.db")


@pytest.mark.postgres
def test_two_workers_on_postgresql(run, empty_postgres_url, tmp_path):
    assert run("init", "--database", empty_postgres_url).exit_code == 0

    command = ("serve", "--config", tmp_path / "puskesmas.toml", "--port", 0, "--workers", 2)
    with running(*command, folder=tmp_path) as server:
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport, timeout=30) as client:
            assert client.get(f"{server.url}/healthz").status_code == 200


def test_an_unreachable_database(run, refused, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__DATABASE__URL", "postgresql://nobody:secret@127.0.0.1:9/none")

    answer = run("serve", "--config", config)

    refused(answer, "127.0.0.1")
    assert "secret" not in answer.stderr


def test_port_0_takes_a_free_one():
    with listening("127.0.0.1", 0) as listener:
        assert address(listener).startswith("http://127.0.0.1:")
        assert not address(listener).endswith(":0")


def test_an_address_that_is_not_ours():
    with pytest.raises(SetupError, match=r"192\.0\.2\.1"), listening("192.0.2.1", 0):
        pass


def test_the_limit_of_open_files_never_sinks():
    limit = raise_open_files(1)

    assert limit is None or limit > 1


def test_threads_give_way_early(config, tmp_path, monkeypatch):
    """A plugin that spins holds up each step of the hall for a thousandth, not for five."""
    seen = tmp_path / "seen"
    with shelf_on_path(tmp_path) as shelf:
        shelf.install("look", LOOK.format(path=str(seen)))
        monkeypatch.setenv("PYTHONPATH", str(shelf.folder), prepend=os.pathsep)
        with config.open("a") as file:
            file.write('\n[plugins]\nactive = ["look"]\n')
        with running("serve", "--config", config, "--port", 0, folder=tmp_path) as server:
            until = time.monotonic() + 60
            while not seen.exists() or not seen.read_text():
                assert time.monotonic() < until, server.url
                time.sleep(0.05)
    assert float(seen.read_text()) == pytest.approx(0.001)


def set_revision(folder, revision):
    """Write another schema revision into the database, or take it away."""
    connection = sqlite3.connect(folder / "data/puskesmas.db", isolation_level=None)
    connection.execute("DELETE FROM puskesmas_queue_version")
    if revision is not None:
        connection.execute("INSERT INTO puskesmas_queue_version VALUES (?)", (revision,))
    connection.close()
