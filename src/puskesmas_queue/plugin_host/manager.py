"""Makes the plugin manager of one clinic."""

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches

import pluggy

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.hookspecs import (
    PROJECT,
    DecisionHooks,
    FactHooks,
    LifeHooks,
    RegistrationHooks,
    VetoHooks,
)
from puskesmas_queue.plugin_host.describing import describe_error

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
    for hooks in (RegistrationHooks, DecisionHooks, VetoHooks, FactHooks, LifeHooks):
        manager.add_hookspecs(hooks)
    for name, plugin in built_in:
        manager.register(plugin, BUILT_IN + name)
    for name, plugin in others:
        if name.startswith(BUILT_IN):
            raise SetupError(f"plugin {name}: names beginning with {BUILT_IN} are the core's")
        reason = register(manager, name, plugin)
        if reason is not None:
            raise SetupError(f"plugin {name}: {reason}")
    return manager


def register(manager: pluggy.PluginManager, name: str, plugin: object) -> str | None:
    """
    Register one plugin, or leave the manager as it was.

    Returns:
        None, or why the plugin cannot be used, in one line.
    """
    if inspect.isclass(plugin):
        return "it is a class: a module or an instance is needed"
    if manager.has_plugin(name):
        return "a plugin of this name is registered already"
    try:
        if manager.register(plugin, name) is None:
            return "it is None: a module or an instance is needed"
        reason = _fault(manager, plugin)
        if reason is None:
            manager.check_pending()
    except pluggy.PluginValidationError as error:
        reason = _explain(manager, str(error).strip())
    except (ValueError, TypeError) as error:
        reason = f"registration raised {describe_error(error)}"
    if reason is not None and manager.has_plugin(name):
        manager.unregister(name=name)
    return reason


def implemented(manager: pluggy.PluginManager, name: str) -> tuple[str, ...]:
    """Name the hooks that a registered plugin implements."""
    callers = manager.get_hookcallers(manager.get_plugin(name)) or ()
    return tuple(sorted(caller.name for caller in callers if caller.has_spec()))


def _fault(manager: pluggy.PluginManager, plugin: object) -> str | None:
    """Look at each hook of a plugin that was just registered."""
    callers = manager.get_hookcallers(plugin) or ()
    known = [name for name, caller in vars(manager.hook).items() if caller.has_spec()]
    for caller in callers:
        for impl in caller.get_hookimpls():
            if impl.plugin is not plugin:
                continue
            if not caller.has_spec() and not impl.optionalhook:
                nearest = get_close_matches(caller.name, known, n=1)
                hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
                return f'unknown hook "{caller.name}"{hint}'
            if impl.wrapper or impl.hookwrapper:
                return f"hook {caller.name} must not be a wrapper"
            if inspect.isgeneratorfunction(impl.function) or inspect.isasyncgenfunction(
                impl.function
            ):
                return f"hook {caller.name} must return its answer, not yield it"
    return None


def _explain(manager: pluggy.PluginManager, text: str) -> str:
    """Say in one line what pluggy says in several."""
    found = re.search(r"for hook '(\w+)'", text)
    if found is None:
        return " ".join(text.split())
    name, last = found[1], text.splitlines()[-1].strip()
    caller: pluggy.HookCaller = getattr(manager.hook, name)
    strange = re.search(r"\{'(\w+)'.*\} are declared in the hookimpl", last)
    if strange is None or caller.spec is None:
        return f"hook {name}: {last}"
    nearest = get_close_matches(strange[1], caller.spec.argnames, n=1)
    known = ", ".join(caller.spec.argnames)
    hint = f'did you mean "{nearest[0]}"?' if nearest else f"it has {known}"
    return f'hook {name}: unknown argument "{strange[1]}"; {hint}'
