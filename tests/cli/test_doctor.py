"""`doctor`: what is wrong, in words."""

import json

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.plugin_host.dispatch import Fault
from puskesmas_queue.settings import load_config
from puskesmas_queue.storage import faults


def findings(answer):
    """Return state and text of each finding by its name."""
    told = json.loads(answer.stdout)
    return {row["name"]: (row["state"], row["text"]) for row in told["findings"]}


def test_a_new_clinic_is_well(run, config):
    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 0, answer.output
    found = findings(answer)
    assert found["server"] == ("note", "never ran")
    assert found["database"][0] == "ok"
    assert "wrong" not in {state for state, _ in found.values()}


def test_a_server_that_ended(run, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db.lock").touch()

    answer = run("doctor", "--config", config, "--json")

    assert findings(answer)["server"] == ("note", "not running")


def test_a_plugin_that_failed_is_named(run, config):
    opened = open_clinic(load_config(config))
    try:
        fault = Fault("loud", "estimate_wait", "raised", "ValueError: no", is_switched_off=True)
        opened.db.write(lambda tx: faults.count(tx, [fault, fault]))
    finally:
        opened.close()

    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 1
    state, text = findings(answer)["plugin loud"]
    assert state == "wrong"
    assert text.startswith("estimate_wait raised 2 times")
    assert "switched off" in text


def test_no_configuration(run):
    answer = run("doctor", "--json")

    assert answer.exit_code == 1
    assert findings(answer)["configuration"][0] == "wrong"


def test_no_database(run, config, clinic_folder):
    (clinic_folder / "data/puskesmas.db").unlink()

    answer = run("doctor", "--config", config, "--json")

    assert answer.exit_code == 1
    assert "puskesmas-queue init" in findings(answer)["database"][1]


def test_passwords_are_not_shown(run, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__DATABASE__URL", "postgresql://nobody:secret@127.0.0.1:9/none")

    answer = run("doctor", "--config", config)

    assert answer.exit_code == 1
    assert "secret" not in answer.output
