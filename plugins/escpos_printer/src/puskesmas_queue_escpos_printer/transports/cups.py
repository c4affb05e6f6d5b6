"""A printer that the system's own print service has (CUPS): it takes the job and tells nothing."""

import os
import shutil
import subprocess

from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, TransportFailed, rest_s

MOST_WORDS = 160


class CupsTransport:
    """
    A queue of CUPS, looked at before anything is given to it.

    Args:
        queue: Its name, as `lpstat -e` lists it.

    Raises:
        TransportFailed: There is no CUPS or no such queue, or the queue is paused.
    """

    can_answer = False

    def __init__(self, queue: str, limits: Limits = LIMITS) -> None:
        self._queue = queue
        self._program = _program("lp")
        answer = _run([_program("lpstat"), "-p", queue], b"", limits.connect_s)
        words = " ".join((answer.stdout + answer.stderr).decode(errors="replace").split())
        if answer.returncode:
            is_unknown = "nvalid destination" in words
            reason = Reason.NO_QUEUE if is_unknown else Reason.UNREACHABLE
            raise TransportFailed(reason, words[:MOST_WORDS])
        if f"printer {queue} disabled" in words:
            raise TransportFailed(Reason.QUEUE_PAUSED, words[:MOST_WORDS])

    def send(self, data: bytes, until: float) -> None:
        command = [self._program, "-d", self._queue, "-o", "raw", "-s"]
        answer = _run(command, data, rest_s(until), has_begun=True)
        if answer.returncode:
            words = " ".join(answer.stderr.decode(errors="replace").split())
            raise TransportFailed(Reason.NOT_TAKEN, words[:MOST_WORDS])

    def receive(self, until: float) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing stays open."""


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise TransportFailed(Reason.NO_PROGRAM, f"{name} is not installed")
    return found


def _run(
    command: list[str], data: bytes, timeout_s: float, *, has_begun: bool = False
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603  # no shell, and the queue's name was looked at
            command,
            input=data,
            capture_output=True,
            timeout=timeout_s,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        detail = f"{command[0]} did not end"
        raise TransportFailed(Reason.UNREACHABLE, detail, has_begun=has_begun) from error
    except OSError as error:
        raise TransportFailed(Reason.NO_PROGRAM, str(error)) from error
