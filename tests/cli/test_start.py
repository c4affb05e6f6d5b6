"""The root command: quick, clear, and the same exit codes everywhere."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from puskesmas_queue.cli import main
from puskesmas_queue.cli.root import COMMANDS
from support.server import run_command

HEAVY = ("sqlalchemy", "starlette", "uvicorn", "alembic", "babel", "jinja2", "psycopg", "argon2")


def test_help_names_every_command():
    answer = CliRunner().invoke(main, ["--help"])

    assert answer.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in answer.output


def test_help_loads_nothing_heavy():
    """What makes `--help` answer within 0.35 s, asserted without a clock."""
    code = (
        "import sys; from puskesmas_queue.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    answer = CliRunner().invoke(main, [name, "--help"])

    assert answer.exit_code == 0
    assert "--config" in answer.output or name == "demo"


def test_usage_errors_exit_with_2():
    assert CliRunner().invoke(main, ["serv"]).exit_code == 2
    assert CliRunner().invoke(main, ["serve", "--port", "x"]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--config", "nowhere.toml"],
        ["--config", "nowhere.toml", "serve"],
        ["db", "upgrade", "--config", "nowhere.toml"],
        ["settings", "--config", "nowhere.toml", "list"],
    ],
)
def test_a_missing_configuration_is_one_line_and_exit_1(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    answer = CliRunner().invoke(main, arguments)

    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: no configuration at {tmp_path / 'nowhere.toml'}")
    assert answer.output.count("\n") == 1


def test_the_module_is_the_command(tmp_path):
    answer = run_command("--version", cwd=tmp_path)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("puskesmas-queue ")
