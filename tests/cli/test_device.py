"""`device`: pair, code, list, revoke."""

import json
import re

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.services import devices
from puskesmas_queue.settings import load_config

CODE = re.compile(r"^  ([2-9A-HJKMNP-Z]{4}) ([2-9A-HJKMNP-Z]{4})$", re.MULTILINE)


def pair_with(config, code: str) -> devices.PairedDevice:
    clinic = open_clinic(load_config(config, {}))
    try:
        return devices.pair(clinic, code, SYSTEM)
    finally:
        clinic.close()


def test_pair_prints_a_code_that_pairs(run, config):
    answer = run("device", "pair", "kiosk", "--name", "Pintu depan", "--config", config)

    assert answer.exit_code == 0, answer.output
    assert "http://127.0.0.1:8000/pair" in answer.stdout
    paired = pair_with(config, "".join(CODE.search(answer.stdout).groups()))
    assert (paired.device.kind, paired.device.name, paired.device.zone) == (
        "kiosk",
        "Pintu depan",
        "main",
    )


def test_pair_for_programs(run, config):
    told = json.loads(
        run("device", "pair", "counter", "--counter", "2", "--json", "--config", config).stdout
    )

    assert (told["kind"], told["name"], told["counter"]) == ("counter", "counter", 2)
    assert pair_with(config, told["code"]).device.id == told["id"]


def test_a_new_code_replaces_the_machine(run, config):
    first = json.loads(run("device", "pair", "display", "--json", "--config", config).stdout)
    pair_with(config, first["code"])

    again = run("device", "code", first["id"], "--json", "--config", config)

    assert pair_with(config, json.loads(again.stdout)["code"]).device.id == first["id"]


def test_list_and_revoke(run, config):
    told = json.loads(run("device", "pair", "kiosk", "--json", "--config", config).stdout)
    waiting = run("device", "list", "--config", config).stdout
    assert re.search(rf"{told['id']}  kiosk    waiting  never .* main +kiosk\n", waiting)

    pair_with(config, told["code"])
    answer = run("device", "revoke", told["id"], "--config", config)

    assert answer.stdout == f"device {told['id']} is revoked\n"
    (row,) = json.loads(run("device", "list", "--json", "--config", config).stdout)
    assert (row["id"], row["state"]) == (told["id"], "revoked")
    assert "token" not in str(row)


def test_what_cannot_be_is_one_line(run, config, refused):
    refused(run("device", "revoke", 99, "--config", config), "no device 99")
    refused(run("device", "code", 99, "--config", config), "no device 99")
    refused(run("device", "pair", "counter", "--config", config), "counter")
    refused(run("device", "pair", "kiosk", "--zone", "x", "--config", config), "zone")
    assert run("device", "pair", "robot", "--config", config).exit_code == 2


def test_init_says_how_machines_are_paired(run):
    said = run("init", "clinic").stdout

    assert "puskesmas-queue device pair kiosk --config" in said
    assert "puskesmas-queue device pair display --config" in said
