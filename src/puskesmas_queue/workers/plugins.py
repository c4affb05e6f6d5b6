"""
The beginning and the end of each plugin in a server process.

Each has a thread of its own: what it brings, its tables, `startup`, then its facts; the hall does
not wait.
"""

import logging
import threading

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.plugin_host.dispatch import PluginFailed
from puskesmas_queue.workers.outbox import Outbox

MIGRATION_DEADLINE_S = 60.0
STARTUP_DEADLINE_S = 30.0
SHUTDOWN_DEADLINE_S = 5.0
log = logging.getLogger(__name__)


class PluginLives:
    """Begins and ends the plugins of a clinic."""

    def __init__(self, clinic: Clinic, outbox: Outbox) -> None:
        self._clinic = clinic
        self._outbox = outbox
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin them all, each by itself."""
        self._threads = [
            threading.Thread(target=self._begin, args=(name,), name=f"begin-{name}", daemon=True)
            for name in self._clinic.plugins.names
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Deliver what is quick, then let each plugin end."""
        self._outbox.stop()
        enders = [
            threading.Thread(target=self._end, args=(name,), name=f"end-{name}", daemon=True)
            for name in self._clinic.plugins.names
        ]
        for thread in enders:
            thread.start()
        for thread in enders:
            thread.join(SHUTDOWN_DEADLINE_S + 1)

    def _begin(self, plugin: str) -> None:
        clinic = self._clinic
        data = clinic.plugin_data.get(plugin)
        clinic.contributions.ask(plugin)
        try:
            if data is not None:
                clinic.hooks.run(plugin, "migrations", data.prepare, MIGRATION_DEADLINE_S)
            clinic.hooks.call_life(plugin, "startup", clinic.clock.now(), STARTUP_DEADLINE_S)
        except PluginFailed as error:
            # It was reported; facts are told all the same, and kept while they fail.
            log.debug("plugin %s began badly: %s", plugin, error)
        self._outbox.start(plugin)

    def _end(self, plugin: str) -> None:
        clinic = self._clinic
        try:
            clinic.hooks.call_life(plugin, "shutdown", clinic.clock.now(), SHUTDOWN_DEADLINE_S)
        except PluginFailed as error:
            log.debug("plugin %s ended badly: %s", plugin, error)
