"""Wheels, and clean environments to install them in."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pip(python: object, *arguments: object) -> None:
    """Run pip and show what it said if it failed."""
    done = subprocess.run(
        [str(python), "-m", "pip", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def build(source: Path, folder: Path) -> Path:
    """Build the wheel of a distribution."""
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


def environment(folder: Path, *wheels: object) -> Path:
    """Make a clean environment with these wheels and what they need; return its scripts."""
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip(scripts / "python", "install", *wheels)
    return scripts


def clean_environment() -> dict[str, str]:
    """Nothing of this process's own Python reaches the clean environment."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
