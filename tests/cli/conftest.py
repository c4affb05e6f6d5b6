"""A clinic made by the command itself."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from puskesmas_queue.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, typed: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed)

    return run


@pytest.fixture
def clinic_folder(run, tmp_path) -> Path:
    """A folder in which `init` was run."""
    answer = run("init", "clinic", "--name", "Puskesmas Gladak Pakem", "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["config"] == str(tmp_path / "clinic/puskesmas.toml")
    return tmp_path / "clinic"


@pytest.fixture
def config(clinic_folder) -> Path:
    """The configuration file of that clinic."""
    return clinic_folder / "puskesmas.toml"


def assert_one_line(answer: Result, *words: str) -> None:
    """A refusal is one line on stderr, exit 1, nothing else."""
    assert answer.exit_code == 1, answer.output
    assert answer.stdout == ""
    assert answer.stderr.startswith("Error: ")
    assert answer.stderr.count("\n") == 1
    for word in words:
        assert word in answer.stderr


@pytest.fixture
def refused():
    """Asserts that an answer is one clear line and exit 1."""
    return assert_one_line
