"""The built wheel, alone in a clean environment."""

import json
import subprocess
import time
from pathlib import Path
from zipfile import ZipFile

import httpx2 as httpx
import pytest

from support.wheels import ROOT, clean_environment, environment

PACKAGE = ROOT / "src/puskesmas_queue"

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory) -> Path:
    """The command of a clean environment into which the wheel was installed."""
    return environment(tmp_path_factory.mktemp("environment"), wheel) / "puskesmas-queue"


def test_holds_every_file_of_the_package(wheel):
    held = set(ZipFile(wheel).namelist())

    there = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - held == set()
    assert {
        name for name in held if not name.startswith(("puskesmas_queue/", "puskesmas_queue-"))
    } == (set())


def test_help_init_and_serve(program, tmp_path):
    """What a newcomer types, with nothing of the source folder in reach."""
    variables = clean_environment()

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [program, *map(str, arguments)],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "serve" in run("--help")
    told = json.loads(run("init", "clinic", "--json"))
    serve = [program, "serve", "--config", told["config"], "--port", "0"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            serve,
            cwd=tmp_path,
            env={**variables, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        url = server.stdout.readline().split()[-1]
        for path in ("/healthz", "/pair?for=kiosk", "/pair?for=display", "/login"):
            assert answer(f"{url}{path}") == 200
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def answer(url: str) -> int:
    """Return the status of a page, once the server is up."""
    for _ in range(300):
        try:
            return httpx.get(url, timeout=30).status_code
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")
