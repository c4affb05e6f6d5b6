"""Settings know what they take."""

import pytest

from puskesmas_queue.domain.errors import InvalidSetting, UnknownName
from puskesmas_queue.domain.options import OPTIONS, option, parse_option


@pytest.mark.parametrize("key", list(OPTIONS))
def test_every_preset_is_a_value(key):
    """The default of each setting passes its own check."""
    OPTIONS[key].parse(OPTIONS[key].default)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("queue.priority_ratio", "0:1"),
        ("queue.reset_time", "25:00"),
        ("queue.reset_time", "0600"),
        ("queue.avg_service_minutes", "0"),
        ("queue.avg_service_minutes", "five"),
        ("queue.max_calls", "-1"),
        ("kiosk.ask_payment", "perhaps"),
        ("kiosk.slip_width_mm", "79"),
        ("display.language", "jv"),
        ("display.running_text", "x" * 501),
        ("display.running_text", "two\nlines"),
        ("clinic.accent_colour", "red; } body { display: none"),
    ],
)
def test_nonsense_is_refused_with_what_is_expected(key, value):
    """The message says what the setting takes."""
    with pytest.raises(InvalidSetting) as refusal:
        parse_option(key, value)
    assert refusal.value.expected == OPTIONS[key].expected


def test_unknown_settings_name_the_nearest():
    """A slip of the finger is pointed out."""
    with pytest.raises(UnknownName) as refusal:
        option("queue.priority_ration")
    assert refusal.value.nearest == "queue.priority_ratio"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("OFF", False), ("yes", True)])
def test_switches(text, value):
    """A switch is read as people write it."""
    assert parse_option("kiosk.print", text) is value
