"""A demo of the command's own, and the rule that simulations stay on this machine."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

from puskesmas_queue.domain.errors import SetupError

STOP_S = 20.0


@contextmanager
def own_demo(counters: int) -> Iterator[str]:
    """
    Run a demo in a scratch folder until the end of the block; its address.

    Raises:
        SetupError: It did not start.
    """
    with tempfile.TemporaryDirectory(
        prefix="puskesmas-simulate-", ignore_cleanup_errors=True
    ) as folder:
        # What a morning does to the queue is looked at: nobody has to hear it.
        command = [sys.executable, "-m", "puskesmas_queue", "demo", "--no-plugins"]
        command += ["--port", "0", "--json"]
        command += ["--dir", str(Path(folder, "demo")), "--counters", str(counters)]
        log = Path(folder, "demo.log")
        with log.open("w", encoding="utf-8") as errors:
            demo = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        assert demo.stdout is not None
        try:
            line = demo.stdout.readline()
            if not line:
                said = log.read_text(encoding="utf-8").strip().splitlines()
                raise SetupError(f"the demo did not start: {said[-1] if said else 'no reason'}")
            yield str(json.loads(line)["url"])
        finally:
            demo.terminate()
            try:
                demo.wait(STOP_S)
            except subprocess.TimeoutExpired:
                demo.kill()
                demo.wait()
            demo.stdout.close()


def local_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Take the address of a server on this machine; a simulation is no load for anybody else's."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme != "http" or not parts.hostname:
        raise click.BadParameter("expected an address like http://127.0.0.1:8000")
    if not _is_loopback(parts.hostname):
        raise click.BadParameter("only a demo on this machine, like http://127.0.0.1:8000")
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
