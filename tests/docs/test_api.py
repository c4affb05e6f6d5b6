"""The examples for other programs run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.presence import not_run
from support.server import Server

PAGE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text("utf-8")


def example(language: str, mark: str) -> str:
    """Return the only example of a language that holds a mark."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (one,) = [code for code in found if mark in code]
    return one


@pytest.fixture
def environment(server: Server) -> dict[str, str]:
    login = server.login("petugas_loket")
    return {
        **os.environ,
        "QUEUE_URL": server.url,
        "QUEUE_USER": login["username"],
        "QUEUE_PASSWORD": login["password"],
    }


def run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=150, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example(environment):
    told = run([sys.executable, "-c", example("python", "httpx")], environment)

    first, second = told.splitlines()
    assert first == "P-001 after 0"
    assert second.startswith('data: {"v":')


def test_the_curl_example(environment):
    if shutil.which("curl") is None or shutil.which("bash") is None:
        not_run("the example with curl", "install curl")
    told = run(["bash", "-euc", example("bash", "# example: log in")], environment)

    assert '"role":"petugas_loket"' in told
    assert '"number":"A-001"' in told
    assert '"general":["A-001"]' in told
