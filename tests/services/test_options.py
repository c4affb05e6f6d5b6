"""Settings: their values, their history, and what is refused."""

import threading

import pytest

from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.errors import InvalidSetting, UnknownName
from puskesmas_queue.domain.line import Ratio
from puskesmas_queue.domain.options import OPTIONS
from puskesmas_queue.services import accounts
from puskesmas_queue.services.options import (
    get_option,
    list_options,
    option_history,
    set_option,
)
from puskesmas_queue.services.topics import line_topic, speech_topic
from puskesmas_queue.storage import options as rows
from puskesmas_queue.storage import tables
from support.desk import STAFF, rows_of

RATIO = "queue.priority_ratio"


def test_presets(clinic):
    """A new clinic has every setting at its preset, and none of them stored."""
    listed = list_options(clinic)

    assert [one.key for one in listed] == list(OPTIONS)
    assert all(one.is_default and one.value == OPTIONS[one.key].default for one in listed)
    assert all(one.description and one.expected for one in listed)
    assert clinic.settings.get(RATIO) == Ratio("ratio", 2, 1)
    assert rows_of(clinic, tables.settings) == []


def test_change_holds_at_once(clinic):
    """Whoever asks after the change has the new value, parsed."""
    for text, value in (("3:2", Ratio("ratio", 3, 2)), ("full", Ratio("full"))):
        set_option(clinic, RATIO, text, STAFF)

        assert clinic.settings.get(RATIO) == value
        assert get_option(clinic, RATIO).value == text
        assert not get_option(clinic, RATIO).is_default


def test_history(clinic):
    """What it was, what it became, when, and by whom; newest first."""
    accounts.add_user(clinic, "admin", SYSTEM, role=Role.ADMIN)
    admin = type(STAFF)("user", accounts.list_users(clinic)[0].id, "Admin")
    set_option(clinic, RATIO, "1:1", admin)
    set_option(clinic, "queue.max_calls", "5", admin)
    set_option(clinic, RATIO, "2:1", SYSTEM)

    changes = option_history(clinic, RATIO)

    assert [(one.old_value, one.new_value, one.changed_by) for one in changes] == [
        ("1:1", "2:1", None),
        (None, "1:1", "admin"),
    ]
    assert changes[0].changed_at > changes[1].changed_at
    assert option_history(clinic, "display.voice") == []


def test_change_is_audited(clinic):
    """With old and new value, and the user."""
    set_option(clinic, RATIO, "1:1", STAFF)
    set_option(clinic, RATIO, "full", STAFF)

    audit = rows_of(clinic, tables.audit)[-1]
    assert (audit.action, audit.record_id, audit.user_id) == ("change_setting", RATIO, STAFF.id)
    assert (audit.old_values, audit.new_values) == ({RATIO: "1:1"}, {RATIO: "full"})


def test_screens_hear_of_a_change(clinic):
    """The line and the voice both show settings."""
    names = ("settings", line_topic("main"), speech_topic("main"))
    before = [clinic.versions.get(name, 0) for name in names]

    set_option(clinic, "display.voice", "off", STAFF)

    assert [clinic.versions[name] for name in names] == [version + 1 for version in before]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (RATIO, "2"),
        (RATIO, "0:1"),
        (RATIO, "fifo"),
        ("queue.reset_time", "24:00"),
        ("queue.reset_time", "6"),
        ("queue.max_calls", "0"),
        ("queue.max_calls", "-3"),
        ("queue.max_calls", "tiga"),
        ("queue.recall_interval_s", "301"),
        ("kiosk.slip_width_mm", "72"),
        ("display.voice", "maybe"),
        ("display.language", "jv"),
        ("display.running_text", "x" * 501),
        ("clinic.motto", "dua\nbaris"),
        ("clinic.accent_colour", "green"),
    ],
)
def test_value_that_a_setting_does_not_take(sqlite_clinic, key, value):
    """Refused with what it takes; the old value stays and nothing is recorded."""
    with pytest.raises(InvalidSetting) as refusal:
        set_option(sqlite_clinic, key, value, STAFF)

    assert (refusal.value.key, refusal.value.expected) == (key, OPTIONS[key].expected)
    assert get_option(sqlite_clinic, key).is_default
    assert option_history(sqlite_clinic, key) == []
    assert rows_of(sqlite_clinic, tables.audit) == []


def test_unknown_setting_names_the_nearest(sqlite_clinic):
    """Reading, changing, its history, and the parsed value."""
    for ask in (
        lambda: set_option(sqlite_clinic, "queue.priority_rato", "2:1", STAFF),
        lambda: get_option(sqlite_clinic, "queue.priority_rato"),
        lambda: option_history(sqlite_clinic, "queue.priority_rato"),
        lambda: sqlite_clinic.settings.get("queue.priority_rato"),
    ):
        with pytest.raises(UnknownName) as refusal:
            ask()
        assert refusal.value.nearest == RATIO


def test_every_preset_is_a_value_of_its_setting(sqlite_clinic):
    """Writing a preset back changes nothing but the history."""
    for one in list_options(sqlite_clinic):
        before = sqlite_clinic.settings.get(one.key)
        set_option(sqlite_clinic, one.key, one.value, STAFF)
        assert sqlite_clinic.settings.get(one.key) == before


def test_what_was_read_before_a_change_is_not_kept_after_it(clinic, monkeypatch):
    """A reader that is overtaken by the change must not bring the old value back for good."""
    is_read, may_go_on = threading.Event(), threading.Event()
    load = rows.load

    def load_slowly(tx):
        stored = load(tx)
        if threading.current_thread() is reader:
            is_read.set()
            may_go_on.wait(60)
        return stored

    monkeypatch.setattr(rows, "load", load_slowly)
    clinic.settings.forget()
    reader = threading.Thread(target=lambda: clinic.settings.get(RATIO))
    reader.start()
    assert is_read.wait(60)
    set_option(clinic, RATIO, "full", STAFF)
    may_go_on.set()
    reader.join()

    assert clinic.settings.get(RATIO) == Ratio("full")
