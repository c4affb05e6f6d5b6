"""Which plugins of a process that just began are not ready to be asked for anything yet."""

import threading
from collections.abc import Iterable


class Beginnings:
    """The plugins whose tables are made, or whose `startup` runs, at this moment."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._changed = threading.Condition()

    def add(self, plugins: Iterable[str]) -> None:
        """Note that some begin."""
        with self._changed:
            self._open.update(plugins)

    def end(self, plugin: str) -> None:
        """Note that one is ready, or as ready as it gets."""
        with self._changed:
            self._open.discard(plugin)
            self._changed.notify_all()

    def wait(self, plugin: str, timeout_s: float) -> bool:
        """Wait until a plugin has begun; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: plugin not in self._open, timeout_s)
