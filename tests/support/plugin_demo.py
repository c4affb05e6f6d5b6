"""A demo with a plugin that a test wrote."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from support.distributions import shelf_on_path
from support.server import Server, run_command, running


@contextmanager
def demo_with_plugin(
    folder: Path, name: str, code: str, settings: Sequence[tuple[str, str]]
) -> Iterator[Server]:
    """
    Run a demo.

    Args:
        folder: Empty; of the demo and the plugin's package.
        name: Of the plugin.
        code: Of its module.
        settings: Keys and values that are set beforehand.
    """
    shelf, demo = folder / "shelf", folder / "demo"
    shelf.mkdir()
    with shelf_on_path(shelf) as plugins:
        plugins.install(name, code)
    env = {"PYTHONPATH": str(shelf)}
    start = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", demo)
    with running(*start, folder=folder) as first:
        assert httpx.get(first.pages["kiosk"], timeout=30).status_code == 200
    commands = [["plugin", "enable", name], *(["settings", "set", *one] for one in settings)]
    for command in commands:
        done = run_command(*command, "--config", demo / "puskesmas.toml", env=env)
        assert done.returncode == 0, done.stderr
    with running(*start, folder=folder, env=env) as started:
        yield started
