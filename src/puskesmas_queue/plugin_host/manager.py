"""Makes the plugin manager of one clinic."""

from collections.abc import Iterable

import pluggy

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.hookspecs import PROJECT, DecisionHooks

BUILT_IN = "default-"
"""Names of built-in plugins begin with this; they are called without a guard."""


def make_manager(
    built_in: Iterable[tuple[str, object]], others: Iterable[tuple[str, object]] = ()
) -> pluggy.PluginManager:
    """
    Register plugins on the hooks of one clinic.

    Args:
        built_in: Names without the prefix, and the core's own plugins.
        others: Names and third-party plugins.

    Raises:
        SetupError: A plugin wraps a hook, misses a specification, or takes a core name.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(DecisionHooks)
    for name, plugin in built_in:
        manager.register(plugin, BUILT_IN + name)
    for name, plugin in others:
        if name.startswith(BUILT_IN):
            raise SetupError(f"plugin {name}: names beginning with {BUILT_IN} are the core's")
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise SetupError(f"plugin {name}: {error}") from error
        for hook in manager.get_hookcallers(plugin) or ():
            if any(
                i.plugin is plugin and (i.wrapper or i.hookwrapper) for i in hook.get_hookimpls()
            ):
                raise SetupError(f"plugin {name}: {hook.name} must not be a wrapper")
    return manager
