"""`init`: a clinic, whole or not at all."""

import json
import os
import sys
from pathlib import Path

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.services.accounts import list_users
from puskesmas_queue.services.counters import all_counters
from puskesmas_queue.settings import load_config
from puskesmas_queue.storage.crypto import make_key_file


def everything(folder: Path) -> list[str]:
    """Name every file and folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_makes_a_clinic_that_opens(run, tmp_path):
    answer = run("init", "clinic", "--name", "Klinik Ünik", "--zone", "Asia/Jayapura", "--json")

    told = json.loads(answer.stdout)
    config = load_config(told["config"])
    assert (config.clinic.name, config.clinic.zone) == ("Klinik Ünik", "Asia/Jayapura")
    assert everything(tmp_path) == [
        "clinic",
        "clinic/data",
        "clinic/data/puskesmas.db",
        "clinic/puskesmas.toml",
        "clinic/secret.key",
    ]
    clinic = open_clinic(config)
    try:
        assert [user.username for user in list_users(clinic)] == ["admin"]
    finally:
        clinic.close()


@pytest.mark.parametrize(("wish", "counters"), [((), 2), (("--counters", 5), 5)])
def test_as_many_counters_as_wished(run, tmp_path, wish, counters):
    told = json.loads(run("init", "--json", *wish).stdout)

    clinic = open_clinic(load_config(told["config"]))
    try:
        assert [counter.number for counter in all_counters(clinic)] == [*range(1, counters + 1)]
    finally:
        clinic.close()


def test_the_password_is_shown_once_and_is_nowhere_in_the_folder(run, tmp_path):
    answer = run("init", "--admin", "kepala")

    password = answer.stdout.partition("password")[2].split()[0]
    assert "kepala" in answer.stdout
    assert len(password) >= 12
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        assert password.encode() not in path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_others_cannot_read_it(config, clinic_folder):
    assert config.stat().st_mode & 0o077 == 0
    assert (clinic_folder / "secret.key").stat().st_mode & 0o077 == 0
    assert (clinic_folder / "data").stat().st_mode & 0o077 == 0


def test_refuses_to_overwrite(run, refused, config, clinic_folder):
    before = config.read_bytes()

    refused(run("init", "clinic"), str(config), "exists already")

    assert config.read_bytes() == before
    config.unlink()
    refused(run("init", "clinic"), "puskesmas.db", "exists already")
    assert everything(clinic_folder) == ["data", "data/puskesmas.db", "secret.key"]


def test_a_key_that_is_there_is_used(run, refused, tmp_path):
    key = tmp_path / "clinic/secret.key"
    key.parent.mkdir()
    key.write_text("damaged")
    key.chmod(0o600)
    refused(run("init", "clinic"), str(key), "damaged in line 1")
    assert everything(tmp_path) == ["clinic", "clinic/secret.key"]

    key.unlink()
    make_key_file(key)
    before = key.read_bytes()
    assert run("init", "clinic").exit_code == 0
    assert key.read_bytes() == before


def test_a_file_in_the_way_leaves_nothing_behind(run, refused, tmp_path):
    (tmp_path / "clinic").write_text("mine")

    refused(run("init", "clinic/here"), "clinic")

    assert everything(tmp_path) == ["clinic"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_an_unwritable_folder_leaves_nothing_behind(run, refused, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0 and Path("/proc").exists():
        folder = Path("/proc")  # where not even root may make files

    refused(run("init", folder / "clinic"), "cannot write", str(folder))

    assert everything(tmp_path) == ["locked"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--admin", "no spaces please"],
        ["--database", "mysql://localhost/db"],
        ["--database", "postgresql://nobody@127.0.0.1:9/none"],
        ["--name", " "],
    ],
)
def test_what_cannot_be_leaves_nothing_behind(run, refused, tmp_path, arguments):
    refused(run("init", "clinic", *arguments))

    assert everything(tmp_path) == []


@pytest.mark.postgres
def test_on_postgresql(run, empty_postgres_url, tmp_path):
    answer = run("init", "--database", empty_postgres_url, "--preset", "ilp", "--json")

    assert answer.exit_code == 0, answer.output
    assert everything(tmp_path) == ["puskesmas.toml", "secret.key"]
    assert json.loads(run("db", "check", "--json").stdout) == {"differences": []}


def test_a_folder_and_a_file_is_a_usage_error(run):
    assert run("init", "clinic", "--config", "other.toml").exit_code == 2
