"""
One clinic: its rows, clock, settings and plugins, bound together.

There is no module-level state anywhere, so one process can hold many clinics.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from puskesmas_queue.clock import ClockGuard, SystemClock
from puskesmas_queue.defaults import (
    announcement,
    browser_printer,
    browser_voice,
    estimate,
    first_come,
    full_priority,
    numbering,
    ratio,
)
from puskesmas_queue.domain.days import ZONES, ClockFault
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.domain.options import OPTIONS, option
from puskesmas_queue.extensions import Context
from puskesmas_queue.plugin_config import PluginConfigs
from puskesmas_queue.plugin_host.beginnings import Beginnings
from puskesmas_queue.plugin_host.contributions import Contributions
from puskesmas_queue.plugin_host.dispatch import Dispatcher
from puskesmas_queue.plugin_host.registry import load_plugins
from puskesmas_queue.settings import Config
from puskesmas_queue.storage import faults, options, topics
from puskesmas_queue.storage.engine import Database, open_database
from puskesmas_queue.storage.fault_writer import FaultWriter
from puskesmas_queue.storage.plugin_data import plugin_database

BUILT_IN_PLUGINS = (
    ("numbering", numbering),
    ("ratio", ratio),
    ("full-priority", full_priority),
    ("first-come", first_come),
    ("estimate", estimate),
    ("announcement", announcement),
    ("browser-printer", browser_printer),
    ("browser-voice", browser_voice),
)
CLOCK_TOPIC = "clock"
"""Given a new version when staff confirmed the clock."""
MEMORY_S = 10.0
"""Even an unchanged version is read again after so long: times of day show in it."""
PLUGINS_TOPIC = "plugins"
"""Given a new version when an administrator switched a plugin's decisions on again."""
PLUGIN_FILES = "plugins"
"""Beside `puskesmas.toml`: a folder for each plugin that keeps files."""
FLUSH_S = 5.0
SETTINGS_TOPIC = "settings"
"""Given a new version when settings, units or counters were changed."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Settings:
    """The clinic's settings, parsed; read anew when one was changed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._values: dict[str, Any] | None = None
        self._forgotten = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        """
        Return the parsed value of a setting.

        Raises:
            UnknownName: There is no such setting.
        """
        values = self._values
        if values is None:
            forgotten = self._forgotten
            stored = self._db.read(options.load)
            values = {
                name: one.parse(stored.get(name, one.default)) for name, one in OPTIONS.items()
            }
            with self._lock:
                # What was read before a change must not be kept after it.
                if forgotten == self._forgotten:
                    self._values = values
        return values[key] if key in values else option(key)

    def forget(self) -> None:
        """Read the rows again at the next question."""
        with self._lock:
            self._forgotten += 1
            self._values = None


class Clinic:
    """
    A clinic that is open for business.

    Args:
        config: What the process was started with.
        db: The clinic's rows.
        clock: Where time comes from.
        plugins: Names and third-party plugins.
    """

    def __init__(
        self,
        config: Config,
        db: Database,
        clock: SystemClock,
        plugins: Iterable[tuple[str, object]] = (),
    ) -> None:
        self.config = config
        self.id = config.clinic.id
        self.name = config.clinic.name
        self.timezone = ZoneInfo(config.clinic.zone)
        self.zone_label = ZONES[config.clinic.zone]
        self.db = db
        self.clock = clock
        self.settings = Settings(db)
        self.guard = ClockGuard(clock)
        self._known_fault: ClockFault | None = None
        self.versions: dict[str, int] = {}
        self._memory: dict[str, tuple[int, float, Any]] = {}
        self._listeners: list[Callable[[dict[str, int]], None]] = []
        self.sightings: dict[int, tuple[datetime, str | None]] = {}
        """When and from where devices were last there, by id, until it is written."""
        self.faults = FaultWriter(db)
        self._are_configs_stale = threading.Event()
        self._is_switched_on_elsewhere = False
        self._is_closing = False
        self._config_reader = threading.Thread(target=self._keep_configs, daemon=True)
        self.plugins = load_plugins(config.plugins.active, BUILT_IN_PLUGINS, plugins)
        self.plugin_data = {
            name: database
            for name in self.plugins.names
            if (
                database := plugin_database(
                    config.database.url,
                    name,
                    self.plugins.folder(name),
                    pooler=config.database.pooler,
                )
            )
        }
        self.hooks = Dispatcher(self.plugins.manager, self._context, self.faults.put, self._own)
        self.configs = PluginConfigs(
            db, self.plugins, config.key_path, lambda: self._context(clock.now()), self.hooks.report
        )
        self.contributions = Contributions(self.plugins, self.plugin_context, self.hooks.report)
        self.beginnings = Beginnings()
        db.listener = self._committed
        db.audience = self._audience
        known = db.read(topics.load)
        self.versions = {name: topic.version for name, topic in known.items()}
        self.guard.start(self.newest_time())
        self.hooks.switched_off.update(db.read(faults.switched_off))
        self.faults.start()
        self._read_configs()
        if self.plugins.names:
            self._config_reader.start()

    def listen(self, listener: Callable[[dict[str, int]], None]) -> None:
        """Be told the new versions of topics, in the thread that committed them."""
        self._listeners.append(listener)

    def newest_time(self, prefix: str = "") -> datetime | None:
        """Return the newest stored time of topics that begin so, None where there is none."""
        known = self.db.read(topics.load)
        times = [topic.changed_at for name, topic in known.items() if name.startswith(prefix)]
        return max(times, default=None)

    def heard(self, topic: str, version: int) -> None:
        """Hear of a new version from another process."""
        if version > self.versions.get(topic, 0):
            self._committed({topic: version}, is_own=False)

    def look(self) -> None:
        """Look for what nobody told us of: versions by another process, a clock that was moved."""
        known = self.db.read(topics.load)
        news = {
            name: topic.version
            for name, topic in known.items()
            if topic.version > self.versions.get(name, 0)
        }
        for name in news:
            if name != CLOCK_TOPIC:
                self.guard.saw(known[name].changed_at)
        if news:
            self._committed(news, is_own=False)
        fault = self.guard.fault()
        if fault != self._known_fault:
            # No commit tells of a clock that was moved, and the screens have to.
            self._known_fault = fault
            self._memory.clear()
            for listener in self._listeners:
                listener({CLOCK_TOPIC: self.versions.get(CLOCK_TOPIC, 0)})

    def remembered(self, name: str, topic: str, max_age_s: float, make: Callable[[], T]) -> T:
        """
        Return what `make` made for this version of a topic.

        Args:
            name: What is remembered.
            topic: Its version tells whether the memory still holds.
            max_age_s: An older version is good enough for so long, seconds.
            make: Reads it anew.
        """
        version, now = self.versions.get(topic, 0), self.clock.monotonic()
        found = self._memory.get(name)
        allowed_s = MEMORY_S if found is not None and found[0] == version else max_age_s
        if found is not None and now - found[1] < allowed_s:
            value: T = found[2]
            return value
        if found is not None and max_age_s > 0:
            # Whoever asks meanwhile makes do with the old one: one reader is enough.
            self._memory[name] = (found[0], now, found[2])
        value = make()
        self._memory[name] = (version, now, value)
        return value

    def close(self) -> None:
        """Finish what was accepted and let go of the database."""
        self._is_closing = True
        self._are_configs_stale.set()
        if self._config_reader.is_alive():
            self._config_reader.join()
        self.hooks.close()
        self.faults.close()
        for database in self.plugin_data.values():
            database.close()
        self.db.close()

    def _committed(self, versions: dict[str, int], is_own: bool = True) -> None:
        for topic, version in versions.items():
            self.versions[topic] = max(version, self.versions.get(topic, 0))
        if CLOCK_TOPIC in versions:
            self.guard.rebase()
        elif is_own:
            self.guard.saw(self.clock.now())
        if CLOCK_TOPIC in versions or SETTINGS_TOPIC in versions:
            # What was read of a line shows them too.
            self._memory.clear()
        if SETTINGS_TOPIC in versions:
            self.settings.forget()
            self.configs.forget()
            if self.plugins.names:
                # Not here: the committing thread may be the one that others wait for.
                self._are_configs_stale.set()
        if PLUGINS_TOPIC in versions and not is_own:
            self._is_switched_on_elsewhere = True
            self._are_configs_stale.set()
        for listener in self._listeners:
            listener(versions)

    def plugin_context(self, plugin: str) -> Context:
        """Make what a plugin may look at outside of decisions and vetoes, as of now."""
        return self._own(plugin, self._context(self.clock.now()))

    def _own(self, plugin: str, context: Context) -> Context:
        return replace(
            context,
            config=self.configs.latest(plugin),
            data=self.plugin_data.get(plugin),
            folder=self.config.folder / PLUGIN_FILES / plugin,
        )

    def _keep_configs(self) -> None:
        while not self._is_closing:
            self._are_configs_stale.wait()
            self._are_configs_stale.clear()
            if not self._is_closing:
                self._read_configs()
                self._follow_switches()

    def _read_configs(self) -> None:
        try:
            self.configs.warm()
        except StorageUnavailable as error:
            log.warning("settings of plugins: %s", error)

    def _follow_switches(self) -> None:
        """Ask the plugins again whose decisions were switched on by another process."""
        if not self._is_switched_on_elsewhere:
            return
        self._is_switched_on_elsewhere = False
        try:
            # What this process switched off just now is stored first, or it would look like on.
            self.faults.flush(FLUSH_S)
            off = self.db.read(faults.switched_off)
        except (StorageUnavailable, TimeoutError) as error:
            log.warning("plugins that were switched on again: %s", error)
            return
        for plugin in self.hooks.switched_off - off:
            self.hooks.switch_on(plugin)

    def _audience(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name in self.plugins.names if self.plugins.listens(name, kind))

    def _context(self, now: datetime) -> Context:
        return Context(self.id, self.name, self.settings, now, self.timezone)


def open_clinic(
    config: Config,
    clock: SystemClock | None = None,
    plugins: Iterable[tuple[str, object]] = (),
) -> Clinic:
    """
    Open the clinic of a configuration.

    Raises:
        SetupError: The database's address or a plugin is wrong.
        StorageUnavailable: The database cannot be reached.
    """
    clock = clock or SystemClock()
    db = open_database(config.database.url, config.clinic.id, clock, pooler=config.database.pooler)
    try:
        return Clinic(config, db, clock, plugins)
    except BaseException:
        db.close()
        raise
