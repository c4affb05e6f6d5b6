"""`settings`: list, get, set."""

import json

from puskesmas_queue.domain.options import OPTIONS


def test_list_shows_every_setting(run, config):
    told = json.loads(run("settings", "list", "--config", config, "--json").stdout)

    assert list(told) == list(OPTIONS)
    assert "queue.priority_ratio" in run("settings", "list", "--config", config).stdout


def test_set_and_get(run, config):
    assert run("settings", "set", "queue.priority_ratio", "3:1", "--config", config).exit_code == 0

    assert run("settings", "get", "queue.priority_ratio", "--config", config).stdout == "3:1\n"


def test_an_unknown_setting_names_the_nearest(run, refused, config):
    refused(
        run("settings", "set", "queue.priority_ration", "3:1", "--config", config),
        '"queue.priority_ration"',
        '"queue.priority_ratio"',
    )
    refused(run("settings", "get", "queue.nothing", "--config", config), '"queue.nothing"')


def test_a_wrong_value_says_what_is_expected(run, refused, config):
    refused(
        run("settings", "set", "queue.priority_ratio", "two", "--config", config),
        "queue.priority_ratio",
        "full",
    )
    assert run("settings", "get", "queue.priority_ratio", "--config", config).stdout == "2:1\n"
