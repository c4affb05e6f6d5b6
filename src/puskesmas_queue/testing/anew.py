"""A plugin as the next process imports it: nothing that it kept in memory is there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


class NotImportable(Exception):
    """No module holds the plugin, so nobody can import it anew."""


@contextmanager
def imported_anew(plugin: object) -> Iterator[object]:
    """
    Import a plugin's package once more; the one that was there comes back afterwards.

    Args:
        plugin: A module, or an instance that its class's module holds by a name.

    Raises:
        NotImportable: It is neither, or its module cannot be found.
    """
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    name = "" if module is None else module.__name__
    held = [key for key, one in vars(module or object).items() if one is plugin]
    if module is None or not (held or module is plugin) or not _can_be_found(name):
        raise NotImportable(name)
    package = module.__package__ or name
    own = [one for one in sys.modules if one == package or one.startswith(f"{package}.")]
    before = {one: sys.modules.pop(one) for one in own}
    try:
        anew = import_module(name)
        yield anew if module is plugin else getattr(anew, held[0])
    finally:
        for one in [one for one in sys.modules if one == package or one.startswith(f"{package}.")]:
            del sys.modules[one]
        sys.modules.update(before)


def _can_be_found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        # Made by hand: it has no spec.
        return False
