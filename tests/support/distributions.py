"""Real little distributions, as pip would have put them on the path."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

GOOD = """
from puskesmas_queue.hookspecs import hookimpl

@hookimpl
def ticket_called(fact, ticket):
    pass
"""
DECIDING = """
from puskesmas_queue.hookspecs import hookimpl

@hookimpl
def format_ticket_number(prefix, sequence):
    return f"{prefix}{sequence}"
"""


class Shelf:
    """A folder on the path into which distributions are put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        code: str = GOOD,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        requires: Sequence[str] = (),
        target: str | None = None,
        entry_points: str | None = None,
        below: str = ".",
    ) -> Path:
        """
        Put a distribution with one plugin onto the path.

        Args:
            name: The plugin's name.
            code: Its module.
            distribution: Its distribution's name, else `puskesmas-queue-<name>`.
            version: Of the distribution.
            requires: Its requirements.
            target: What the entry point names, else the module.
            entry_points: The whole of entry_points.txt, in place of the usual one.
            below: A folder of its own on the path.

        Returns:
            The .dist-info folder.
        """
        distribution = distribution or f"puskesmas-queue-{name.replace('_', '-')}"
        module = distribution.replace("-", "_")
        folder = self.folder / below
        folder.mkdir(exist_ok=True)
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        (folder / f"{module}.py").write_text(code)
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        usual = f"[puskesmas_queue.plugins]\n{name} = {target or module}\n"
        (info / "entry_points.txt").write_text(usual if entry_points is None else entry_points)
        importlib.invalidate_caches()
        return info


@contextmanager
def shelf_on_path(folder: Path) -> Iterator[Shelf]:
    """Lend a shelf; afterwards neither path nor modules know of it."""
    path, modules = list(sys.path), set(sys.modules)
    try:
        yield Shelf(folder)
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]
        importlib.invalidate_caches()
