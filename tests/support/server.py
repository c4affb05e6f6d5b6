"""The real command in a process of its own."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

START_S = 120


def command(*arguments: object) -> list[str]:
    """Return the command line of `puskesmas-queue` in this environment."""
    return [sys.executable, "-m", "puskesmas_queue", *map(str, arguments)]


def run_command(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


@dataclass(slots=True)
class Server:
    """A running server; `told` is what a demo printed with `--json`, empty for `serve`."""

    process: "subprocess.Popen[str]"
    url: str
    told: dict[str, Any]

    @property
    def pages(self) -> dict[str, str]:
        """Addresses of the demo's pages by name."""
        pages: dict[str, str] = self.told["pages"]
        return pages

    def login(self, role: str) -> dict[str, str]:
        """Return the demo's login of a role: username and password."""
        login: dict[str, str] = next(row for row in self.told["logins"] if row["role"] == role)
        return login

    def stop(self) -> None:
        """End the server as Ctrl+C would."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server without telling it (SIGKILL)."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running(
    *arguments: object, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """
    Run `demo --json` or `serve` until the end of the block.

    Args:
        arguments: The command line.
        folder: Where its error output is kept, for the message if it does not start.
        env: More environment.
    """
    log = folder / "server.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
    server: Server | None = None
    assert process.stdout is not None
    try:
        line = _first_line(process.stdout)
        if not line:
            process.kill()
            raise RuntimeError(f"the server did not start: {log.read_text()}")
        told = json.loads(line) if line.startswith("{") else {}
        server = Server(process, told.get("url") or line.split()[-1], told)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        process.stdout.close()


def _first_line(output: IO[str]) -> str:
    """Read the first line, "" if none came in time, and drain the rest for as long as it runs."""
    lines: queue.Queue[str] = queue.Queue()

    def drain() -> None:
        try:
            lines.put(output.readline().strip())
            for _ in output:
                pass
        except ValueError:
            return

    threading.Thread(target=drain, daemon=True).start()
    try:
        return lines.get(timeout=START_S)
    except queue.Empty:
        return ""
