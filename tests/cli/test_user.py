"""`user`: add, list, reset, disable."""

import json
import re

from click.testing import CliRunner, Result

from puskesmas_queue.cli import main


def add_with_password(config, username: str, password: str) -> Result:
    words = ["user", "add", username, "--role", "petugas_loket", "--name", "Budi"]
    return CliRunner().invoke(
        main, [*words, "--password-stdin", "--config", str(config)], input=f"{password}\n"
    )


def test_add_with_a_password_from_stdin(run, config):
    answer = add_with_password(config, "budi", "tikus7&abuabu")

    assert answer.exit_code == 0, answer.output
    assert "tikus7" not in answer.output
    rows = json.loads(run("user", "list", "--json", "--config", config).stdout)
    assert [(row["username"], row["role"], row["is_active"]) for row in rows] == [
        ("admin", "admin", True),
        ("budi", "petugas_loket", True),
    ]
    assert "password_hash" not in rows[0]


def test_add_and_reset_print_a_link(run, config):
    added = run("user", "add", "siti", "--role", "kepala", "--config", config)
    assert added.exit_code == 0, added.output
    link = re.compile(r"http://127\.0\.0\.1:8000/reset/[A-Za-z0-9_-]{43}\n")
    assert link.search(added.stdout)

    reset = run("user", "reset", "siti", "--json", "--config", config)
    told = json.loads(reset.stdout)
    assert told["username"] == "siti"
    assert told["url"] not in added.stdout


def test_disable(run, config):
    run("user", "add", "siti", "--role", "kepala", "--config", config)

    answer = run("user", "disable", "siti", "--config", config)

    assert answer.stdout == "siti is disabled, 0 sessions ended\n"
    assert "disabled" in run("user", "list", "--config", config).stdout


def test_what_cannot_be_is_one_line(run, config, refused):
    refused(run("user", "disable", "admn", "--config", config), 'did you mean "admin"')
    refused(run("user", "add", "admin", "--role", "admin", "--config", config), "already")
    refused(add_with_password(config, "budi", "budi1234"), "password refused")
    assert run("user", "add", "x", "--role", "raja", "--config", config).exit_code == 2
