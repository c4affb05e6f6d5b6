"""
The beginning and the end of each plugin in a server process.

Tables come first, one plugin's after the other's, since Alembic does one migration at a time; then
each has a thread of its own: what it brings, `startup`, then its facts. The hall does not wait.
"""

import logging
import threading

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.plugin_host.dispatch import LIFE_BUSY_S, STARTUP_BUSY_S
from puskesmas_queue.plugin_host.outcomes import PluginFailed
from puskesmas_queue.workers.outbox import Outbox

MIGRATION_DEADLINE_S = 30.0
STARTUP_DEADLINE_S = 30.0
SHUTDOWN_DEADLINE_S = 5.0
log = logging.getLogger(__name__)


class PluginLives:
    """Begins and ends the plugins of a clinic."""

    def __init__(self, clinic: Clinic, outbox: Outbox) -> None:
        self._clinic = clinic
        self._outbox = outbox

    def start(self) -> None:
        """Begin them all."""
        data = self._clinic.plugin_data
        self._clinic.beginnings.add(self._clinic.plugins.names)
        for name in self._clinic.plugins.names:
            if name not in data:
                self._start(name)
        if data:
            threading.Thread(target=self._migrate, name="migrate-plugins", daemon=True).start()

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

    def _migrate(self) -> None:
        hooks = self._clinic.hooks
        for plugin, data in self._clinic.plugin_data.items():
            try:
                hooks.run(plugin, "migrations", data.prepare, MIGRATION_DEADLINE_S, LIFE_BUSY_S)
            except PluginFailed as error:
                # It was reported; facts are told all the same, and kept while they fail.
                log.debug("plugin %s has no tables: %s", plugin, error)
                data.give_up()
                self._start(plugin, has_tables=False)
            else:
                self._start(plugin)

    def _start(self, plugin: str, *, has_tables: bool = True) -> None:
        threading.Thread(
            target=self._begin, args=(plugin, has_tables), name=f"begin-{plugin}", daemon=True
        ).start()

    def _begin(self, plugin: str, has_tables: bool) -> None:
        clinic = self._clinic
        clinic.contributions.ask(plugin)
        try:
            if has_tables:
                clinic.hooks.call_life(
                    plugin, "startup", clinic.clock.now(), STARTUP_DEADLINE_S, STARTUP_BUSY_S
                )
        except PluginFailed as error:
            log.debug("plugin %s began badly: %s", plugin, error)
        clinic.beginnings.end(plugin)
        self._outbox.start(plugin)

    def _end(self, plugin: str) -> None:
        clinic = self._clinic
        try:
            clinic.hooks.call_life(plugin, "shutdown", clinic.clock.now(), SHUTDOWN_DEADLINE_S)
        except PluginFailed as error:
            log.debug("plugin %s ended badly: %s", plugin, error)
