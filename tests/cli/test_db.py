"""`db`: upgrade, current, check."""

import json
import sqlite3


def test_a_new_clinic_is_up_to_date(run, config):
    told = json.loads(run("db", "current", "--config", config, "--json").stdout)

    assert told["current"] == told["head"]
    assert "nothing to do" in run("db", "upgrade", "--config", config).stdout
    assert run("db", "check", "--config", config).exit_code == 0


def test_upgrade_makes_what_is_not_there(run, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db").unlink()

    assert "database is at" in run("db", "upgrade", "--config", config).stdout
    assert run("db", "check", "--config", config).exit_code == 0


def test_check_names_what_differs(run, config, clinic_folder):
    connection = sqlite3.connect(clinic_folder / "data/puskesmas.db", isolation_level=None)
    connection.execute("DROP TABLE audit")
    connection.close()

    answer = run("db", "check", "--config", config)

    assert answer.exit_code == 1
    assert "audit" in answer.stdout


def test_upgrade_of_a_newer_database_is_refused(run, refused, config, clinic_folder):
    connection = sqlite3.connect(clinic_folder / "data/puskesmas.db", isolation_level=None)
    connection.execute("UPDATE puskesmas_queue_version SET version_num = '9999'")
    connection.close()

    refused(run("db", "upgrade", "--config", config), "newer")
