"""The built wheel, alone in a clean environment."""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx2 as httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/puskesmas_queue"

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from this folder."""
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("puskesmas_queue-*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory) -> Path:
    """The command of a clean environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip(scripts / "python", "install", wheel)
    return scripts / "puskesmas-queue"


def pip(python: object, *arguments: object) -> None:
    """Run pip and show what it said if it failed."""
    done = subprocess.run(
        [str(python), "-m", "pip", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def clean_environment() -> dict[str, str]:
    """Nothing of this process's own Python reaches the clean environment."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


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
    environment = clean_environment()

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [program, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
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
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        url = server.stdout.readline().split()[-1]
        for path in ("/healthz", "/kiosk", "/display", "/login"):
            assert answer(f"{url}{path}") == 200
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


def answer(url: str) -> int:
    """Return the status of a page, once the server is up."""
    for _ in range(50):
        try:
            return httpx.get(url, timeout=10).status_code
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")
