"""Makes the distribution of a new plugin from the templates beside this file."""

import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template

from packaging.version import Version

from puskesmas_queue import __version__
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.plugin_host.loading import name_problem

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/{package}/__init__.py": "init.py.txt",
    "src/{package}/plugin.py": "plugin.py.txt",
    "src/{package}/py.typed": "py.typed.txt",
    "tests/test_plugin.py": "test_plugin.py.txt",
    ".gitignore": "gitignore.txt",
}
"""Each file of the distribution, and its template."""


def make_distribution(name: str, parent: Path) -> Path:
    """
    Make the folder of a new plugin, whole or not at all.

    Args:
        name: The plugin's name.
        parent: Where its folder is made.

    Returns:
        That folder.

    Raises:
        SetupError: The name cannot be, the folder is there, or nothing can be written.
    """
    problem = name_problem(name)
    if problem is not None:
        raise SetupError(f"no plugin {name}: {problem}")
    folder = parent / f"puskesmas-queue-{name.replace('_', '-')}"
    if folder.exists():
        raise SetupError(f"{folder} exists already and was left as it is")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".puskesmas-plugin-", dir=parent))
        try:
            made = aside / folder.name
            for path, text in distribution(name).items():
                target = made / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            made.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise SetupError(f"cannot write {folder}: {error.strerror}") from error
    return folder


def distribution(name: str) -> dict[str, str]:
    """Return every file of a new plugin's distribution, by its path."""
    package = f"puskesmas_queue_{name}"
    words = {
        "name": name,
        "package": package,
        "distribution": package.replace("_", "-"),
        "core": core_range(__version__),
    }
    templates = files("puskesmas_queue.cli") / "plugin_template"
    return {
        path.format(package=package): Template(
            (templates / template).read_text(encoding="utf-8")
        ).substitute(words)
        for path, template in FILES.items()
    }


def core_range(version: str) -> str:
    """Say which versions of the core a plugin made with this one may expect to fit."""
    core = Version(version)
    # Before 1.0 a minor release may change what plugins stand on.
    next_one = f"0.{core.minor + 1}" if core.major == 0 else str(core.major + 1)
    return f">={core.public},<{next_one}"
