"""
Every step of docs/first-plugin.md, as somebody does it who has never made a plugin.

The steps are one shell script. The environment is this one, so the lines that make it and that
install packages are replaced: what pip would put on the path, `install` puts into a scratch folder.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/first-plugin.md").read_text(encoding="utf-8")
MAIN, PUBLISH = PAGE.split("## Publish it")
FENCE = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<code>.*?)```", re.DOTALL)
MADE = "puskesmas-queue-short-numbers"
REPLACED = {
    "python3 -m venv .venv && . .venv/bin/activate": ":",
    ". .venv/bin/activate": ":",
    'pip install "puskesmas-queue[testing]"': ":",
    'pip install -e ".[dev]"': f"{sys.executable} {__file__} install",
    "pip install build": ":",
}
WAIT = "for _ in $(seq 300); do curl -s -o /dev/null {url}/healthz && break; sleep 0.2; done"
END = "trap '[ -z $SERVER ] || kill $SERVER; wait' EXIT"
MARK = "@@@@"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the steps are for a POSIX shell")


def install(folder: Path, shelf: Path) -> None:
    """Put on the path what `pip install -e` would, without a network."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    info = shelf / f"{name}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}"]
    lines += [f"Requires-Dist: {one}" for one in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    points = []
    for group, entries in project["entry-points"].items():
        points += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    for package in (folder / "src").iterdir():
        (shelf / package.name).symlink_to(package)


def script_of(text: str, port: int) -> tuple[str, list[list[str]]]:
    """Return the page's steps as a script, and what each is said to print."""
    lines, expected = ["set -e -o pipefail", END], []
    for found in FENCE.finditer(text):
        code = found["code"].replace(":8000", f":{port}").replace("--port 8000", f"--port {port}")
        if found["kind"] == "text":
            expected[-1] += code.splitlines()
        elif found["kind"] == "python":
            (path,) = re.findall(r"`([^`]+\.py)`:$", found["before"])
            lines += [f"cat > {path} <<'END_OF_FILE'", code + "END_OF_FILE"]
        elif " serve " in code:
            # A second terminal, open where the first one began.
            *before, serve = code.splitlines()
            lines.append("pushd .. > /dev/null")
            lines += [REPLACED.get(line, line) for line in before]
            lines += [f"{serve} > server.log 2>&1 &", "SERVER=$!"]
            lines += ["popd > /dev/null", WAIT.format(url=f"http://127.0.0.1:{port}")]
        else:
            expected.append([])
            lines += [f"echo {MARK}", *(REPLACED.get(line, line) for line in code.splitlines())]
    return "\n".join(lines), expected


def run(script: str, folder: Path) -> list[str]:
    """Run the script in an empty folder and return what each step printed."""
    shelf = folder / "shelf"
    shelf.mkdir(exist_ok=True)
    source = str(ROOT / "src")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{shelf}{os.pathsep}{source}",
            "MYPYPATH": source,
            "SHELF": str(shelf),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(MARK)[1:]


@pytest.mark.timeout(600)
def test_a_new_author_gets_there(tmp_path):
    # Not above: this file is a script of the page too, which knows no helpers.
    from support.sockets import free_port

    script, expected = script_of(MAIN, free_port())

    printed = run(script, tmp_path)

    assert len(printed) == len(expected)
    for step, (words, text) in enumerate(zip(expected, printed, strict=True), 1):
        assert [line for line in words if line not in text] == [], f"step {step}: {text}"
    found = subprocess.run(
        [Path(sys.executable).with_name("puskesmas-queue"), "plugin", "list", "--json"],
        env={**os.environ, "PUSKESMAS_CONFIG": str(tmp_path / "clinic/puskesmas.toml")},
        capture_output=True,
        text=True,
        check=True,
    )
    names = {one["name"] for one in json.loads(found.stdout)}
    assert "short_numbers" not in names, "it is installed where it should not be"


@pytest.mark.packaging
@pytest.mark.timeout(600)
def test_it_can_be_published(tmp_path):
    made = "puskesmas-queue plugin new short_numbers\ncd puskesmas-queue-short-numbers\n"
    script, _ = script_of(PUBLISH, 0)

    run(made + script, tmp_path)

    (wheel,) = (tmp_path / MADE / "dist").glob("*.whl")
    held = set(ZipFile(wheel).namelist())
    assert "puskesmas_queue_short_numbers/plugin.py" in held
    points = ZipFile(wheel).read(next(name for name in held if name.endswith("entry_points.txt")))
    assert b"short_numbers = puskesmas_queue_short_numbers.plugin" in points


if __name__ == "__main__":
    assert sys.argv[1:] == ["install"]
    install(Path.cwd(), Path(os.environ["SHELF"]))
