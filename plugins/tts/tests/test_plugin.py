"""The plugin as the server meets it."""

from pathlib import Path

import pytest

from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue_tts import plugin as the_plugin

NAME = "tts"


class TestContract(PluginContract):
    """It keeps to what every plugin keeps to."""

    name = NAME
    plugin = the_plugin


def test_a_called_number_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Number and counter are there."""
    with ClinicUnderTest(tmp_path, [(NAME, the_plugin)]) as clinic:
        ticket = clinic.issue("umum")
        clinic.call_next(counter=1)
        clinic.deliver()

    assert f"{ticket.number} was called to counter 1" in caplog.text
