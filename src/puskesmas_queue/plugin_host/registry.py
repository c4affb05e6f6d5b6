"""The plugins of one clinic: which are used, which are not and why, and what each listens to."""

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Literal

import pluggy

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.domain.events import FACTS
from puskesmas_queue.plugin_host.loading import (
    IMPORT_DEADLINE_S,
    Found,
    Loaded,
    discover,
    load,
)
from puskesmas_queue.plugin_host.manager import BUILT_IN, implemented, make_manager, register

PluginState = Literal["active", "available", "disabled", "missing"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """
    How one plugin stands.

    `active`: it is used. `disabled`: it is named as active and cannot be used. `missing`: it is
    named as active and not installed. `available`: it is installed and not named; with a reason,
    it could not be used either.
    """

    name: str
    distribution: str
    version: str
    state: PluginState
    reason: str | None = None

    @property
    def is_broken(self) -> bool:
        """Whether somebody wanted this plugin and does not have it."""
        return self.state in ("disabled", "missing")


class PluginSet:
    """
    The plugins of one clinic.

    Args:
        manager: Built-in plugins and those that are used.
        statuses: Every installed plugin and every one that is named as active.
    """

    def __init__(self, manager: pluggy.PluginManager, statuses: Iterable[PluginStatus]) -> None:
        self.manager = manager
        self.statuses = tuple(statuses)
        self._hooks = {
            name: frozenset(implemented(manager, name))
            for name, plugin in manager.list_name_plugin()
            if plugin is not None and not name.startswith(BUILT_IN)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that are used, built-in ones left out."""
        return tuple(self._hooks)

    @property
    def built_in(self) -> tuple[str, ...]:
        """The core's own plugins."""
        names = (name for name, _ in self.manager.list_name_plugin())
        return tuple(name for name in names if name.startswith(BUILT_IN))

    def hooks(self, name: str) -> tuple[str, ...]:
        """Name the hooks that a plugin implements; none for one that is not used."""
        return tuple(sorted(self._hooks.get(name, ())))

    def folder(self, name: str) -> Path | None:
        """Return the folder of the package that a plugin's code is in, None where it has none."""
        plugin = self.manager.get_plugin(name)
        module = (
            plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
        )
        file = getattr(module, "__file__", None)
        # The folder of a module that is in no package is everybody's.
        is_packaged = module is not None and bool(module.__package__)
        return Path(file).parent if file and is_packaged else None

    def listeners(self) -> tuple[str, ...]:
        """Name the plugins that hear of at least one fact."""
        return tuple(name for name, hooks in self._hooks.items() if not hooks.isdisjoint(FACTS))

    def listens(self, name: str, kind: str) -> bool:
        """Say whether a plugin hears of facts of this kind."""
        return kind in FACTS and kind in self._hooks.get(name, ())

    def status(self, name: str) -> PluginStatus | None:
        """Say how a plugin stands, None for one that nobody knows."""
        return next((status for status in self.statuses if status.name == name), None)

    def log_broken(self) -> None:
        """Log every plugin that is named as active and not used; for the start of a server."""
        for status in self.statuses:
            if status.is_broken:
                log.error("plugin %s is %s: %s", status.name, status.state, status.reason)


def load_plugins(
    active: Sequence[str],
    built_in: Iterable[tuple[str, object]],
    extra: Iterable[tuple[str, object]] = (),
    deadline_s: float = IMPORT_DEADLINE_S,
) -> PluginSet:
    """
    Load the plugins that are named as active; one that cannot be used is left out.

    Args:
        active: Their names; decisions ask the first named first.
        built_in: Names without the prefix, and the core's own plugins.
        extra: Names and objects that need not be installed, for tests; asked before all others.
        deadline_s: How long each import may take, seconds.

    Raises:
        SetupError: An `extra` one cannot be used.
    """
    manager = make_manager(built_in)
    found = discover()
    loaded = {
        plugin: load(plugin, deadline_s)
        for name in dict.fromkeys(active)
        for plugin in found
        if plugin.name == name
    }
    # pluggy asks whom it met last first.
    refused = {plugin: _register(manager, one) for plugin, one in reversed(loaded.items())}
    statuses = [_status(plugin, refused) for plugin in found]
    statuses += [_missing(name, found) for name in dict.fromkeys(active) if not _has(found, name)]
    for name, plugin in extra:
        if name.startswith(BUILT_IN):
            raise SetupError(f"plugin {name}: names beginning with {BUILT_IN} are the core's")
        reason = register(manager, name, plugin)
        if reason is not None:
            raise SetupError(f"plugin {name}: {reason}")
        statuses.append(PluginStatus(name, "", "", "active"))
    return PluginSet(manager, sorted(statuses, key=lambda status: status.name))


def missing_reason(name: str, found: Iterable[Found]) -> str:
    """Say that a plugin is not installed, and which one may be meant."""
    nearest = get_close_matches(name, [plugin.name for plugin in found], n=1)
    return "it is not installed" + (f'; did you mean "{nearest[0]}"?' if nearest else "")


def _has(found: Iterable[Found], name: str) -> bool:
    return any(plugin.name == name for plugin in found)


def _register(manager: pluggy.PluginManager, loaded: Loaded) -> str | None:
    if loaded.reason is not None:
        return loaded.reason
    return register(manager, loaded.found.name, loaded.plugin)


def _status(plugin: Found, refused: dict[Found, str | None]) -> PluginStatus:
    state: PluginState = "available"
    reason = plugin.problems[0] if plugin.problems else None
    if plugin in refused:
        reason = refused[plugin]
        state = "active" if reason is None else "disabled"
    return PluginStatus(plugin.name, plugin.distribution, plugin.version, state, reason)


def _missing(name: str, found: Iterable[Found]) -> PluginStatus:
    return PluginStatus(name, "", "", "missing", missing_reason(name, found))
