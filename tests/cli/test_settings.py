"""`settings`: list, get, set."""

import json

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.options import OPTIONS
from puskesmas_queue.services.plugin_settings import read
from puskesmas_queue.settings import load_config
from support.distributions import shelf_on_path

DESK = """
from pydantic import BaseModel, Field, SecretStr
from puskesmas_queue.api import hookimpl

print("loud")


class Settings(BaseModel):
    folder: str = Field(min_length=2)
    place: str = Field(min_length=2)
    copies: int = Field(1, ge=1)
    cuts: bool = True
    beeps: bool = True
    token: SecretStr | None = None


@hookimpl
def register_settings():
    return Settings
"""


@pytest.mark.parametrize("key", ["kiosk.printers", "display.announcers"])
def test_a_name_that_nobody_brings_is_stored_and_named(run, config, key):
    done = run("settings", "set", key, "thermla, browser", "--config", config)

    assert done.exit_code == 0
    assert done.stdout == f"{key} = thermla, browser\n"
    assert done.stderr == "nobody brings thermla: is its plugin enabled?\n"
    assert run("settings", "set", key, "browser", "--config", config).stderr == ""


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


# Those of plugins


@pytest.fixture
def desk(run, config, tmp_path):
    """Reads and sets what belongs to an active plugin with settings."""
    with shelf_on_path(tmp_path / "shelf") as shelf:
        shelf.install("desk", DESK)
        assert run("plugin", "enable", "desk", "--config", config).exit_code == 0

        def setting(*arguments, **options):
            return run("settings", *arguments, "--config", config, **options)

        yield setting


def desk_settings(config):
    clinic = open_clinic(load_config(config))
    try:
        return read(clinic, "desk")
    finally:
        clinic.close()


def test_set_and_get_of_a_plugin(desk, config):
    """One after the other, though neither of the two required ones is enough."""
    assert desk("set", "desk.folder", "slips").stdout == "desk.folder = slips\n"
    desk("set", "desk.place", "hall")
    desk("set", "desk.copies", "2")
    desk("set", "desk.cuts", "false")

    told = json.loads(desk("list", "--json").stdout)
    assert {key: value for key, value in told.items() if key.startswith("desk.")} == {
        "desk.folder": "slips",
        "desk.place": "hall",
        "desk.copies": "2",
        "desk.cuts": "false",
        "desk.beeps": "true",
        "desk.token": "",
    }
    assert list(told)[: len(OPTIONS)] == list(OPTIONS)
    assert desk("get", "desk.folder").stdout == "slips\n"
    settings = desk_settings(config)
    assert (settings.folder, settings.copies, settings.cuts) == ("slips", 2, False)


def test_a_secret_is_set_and_never_shown(desk, config):
    desk("set", "desk.folder", "slips")
    desk("set", "desk.place", "hall")

    answer = desk("set", "desk.token", "-", typed="very-secret\n")

    assert answer.stdout == "desk.token = ••••\n"
    assert desk("get", "desk.token").stdout == "••••\n"
    assert "very-secret" not in desk("list").output
    assert desk_settings(config).token.get_secret_value() == "very-secret"
    desk("set", "desk.token", "-", typed="\n")
    assert desk_settings(config).token is None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("desk.foldr", "slips", 'did you mean "desk.folder"?'),
        ("desk", "slips", 'unknown setting "desk."'),
        ("desk.folder", "x", "folder must have at least 2 characters"),
        ("desk.copies", "0", "copies must be at least 1"),
        ("desk.cuts", "perhaps", "cuts must be one of its choices"),
        ("other.folder", "slips", 'unknown setting "other.folder"'),
    ],
)
def test_what_a_plugin_does_not_take(desk, refused, key, value, said):
    refused(desk("set", key, value), said)
