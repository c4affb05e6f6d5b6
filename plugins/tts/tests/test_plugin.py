"""The plugin as the server meets it."""

from puskesmas_queue.testing import PluginContract
from puskesmas_queue_tts import plugin as the_plugin

NAME = "tts"


class TestContract(PluginContract):
    """It keeps to what every plugin keeps to."""

    name = NAME
    plugin = the_plugin
