"""A process that speaks, as the server sees it: begun, kept warm, begun again, ended."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from itertools import count
from typing import IO

from puskesmas_queue_tts.engine import PATIENT_S, EngineFailed, EngineStarting
from puskesmas_queue_tts.frames import (
    FAILURE,
    QUESTION,
    READY,
    SOUND,
    BadFrame,
    read_frame,
    write_frame,
)

LOAD_S = 60.0
HANG_S = 20.0
"""A sentence that takes longer never ends."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STOP_S = 2.0
log = logging.getLogger(__name__)


class SpeakingProcess:
    """
    A voice in a process of its own, one question at a time and in order.

    It is begun by `start`, begun again after its death (later and later, until it spoke), and
    ends with `stop` or with this process, however that one ends.

    Args:
        name: For people.
        module: What Python runs, a module that calls `child.serve`.
        arguments: For that module.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str] = ()) -> None:
        self._name = name
        # -P: a file in the server's folder must not stand in for a library.
        self._command = (sys.executable, "-P", "-m", module, *arguments)
        self._questions = _Questions()
        self._life: _Life | None = None
        self._is_ready = threading.Event()
        self._is_stopped = False
        self._lock = threading.Lock()
        self._pause_s = 0.0
        self._due_s = 0.0
        self._why = ""
        self._thread = threading.Thread(target=self._work, name=f"tts-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Its number while it runs."""
        life = self._life
        return None if life is None else life.process.pid

    def start(self) -> None:
        """Begin; it is loaded in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End it; whoever waits for a sound gets none."""
        with self._lock:
            self._is_stopped = True
            if self._life is not None:
                self._life.process.kill()
        self._questions.look()
        if self._thread.is_alive():
            self._thread.join()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is loaded; say whether it is."""
        return self._is_ready.wait(timeout_s)

    def ask(self, text: str, language: str, speed: float, deadline_s: float) -> bytes:
        """
        Speak; arguments and errors as in `engine.Engine.synthesise`.

        A sentence that comes too late is computed to its end and thrown away: the next question
        waits for it.
        """
        if self._is_stopped:
            raise EngineFailed("it was ended")
        if self._life is None and self._due_s > time.monotonic():
            raise EngineFailed(self._why)
        content = json.dumps({"text": text, "language": language, "speed": speed}).encode()
        sound = self._questions.add(content, is_patient=deadline_s > PATIENT_S)
        try:
            return sound.result(deadline_s)
        except CancelledError:
            raise EngineFailed("it was ended") from None
        except TimeoutError:
            sound.cancel()
            if not self._is_ready.is_set():
                raise EngineStarting("it is being loaded") from None
            raise EngineFailed("too slow") from None

    # In its thread

    def _work(self) -> None:
        while not self._is_stopped:
            if self._life is None and time.monotonic() >= self._due_s:
                self._begin()
            if self._life is None:
                asked = self._questions.next(max(0.0, self._due_s - time.monotonic()))
            else:
                asked = self._questions.next(None)
            if asked is not None:
                self._answer(*asked)
            elif self._life is not None and self._life.is_over.is_set():
                self._bury(f"it ended with {self._life.code()}")
        if self._life is not None:
            self._life.end()
        self._questions.cancel()

    def _begin(self) -> None:
        try:
            life = _Life(self._command, self._questions)
        except OSError as error:
            self._bury(str(error))
            return
        with self._lock:
            self._life = life
            if self._is_stopped:
                return
        try:
            kind, answer = life.next(LOAD_S)
            if kind != READY:
                raise _Dead(answer.decode(errors="replace"))
        except _Dead as error:
            self._bury(str(error))
        else:
            self._is_ready.set()

    def _answer(self, content: bytes, sound: "Future[bytes]") -> None:
        if not sound.set_running_or_notify_cancel():
            return
        if self._life is None:
            sound.set_exception(EngineFailed(self._why))
            return
        try:
            made = self._life.ask(content)
        except _Dead as error:
            self._bury(str(error))
            sound.set_exception(error)
        except EngineFailed as error:
            sound.set_exception(error)
        else:
            self._pause_s = 0.0
            sound.set_result(made)

    def _bury(self, why: str) -> None:
        """Let go of a dead process; the next one begins after a pause."""
        self._is_ready.clear()
        with self._lock:
            life, self._life = self._life, None
        if life is not None:
            life.end()
        if self._is_stopped:
            return
        self._pause_s = min(self._pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._due_s, self._why = time.monotonic() + self._pause_s, why
        log.warning("voice %s: %s; begun again in %.0f s", self._name, why, self._pause_s)


class _Questions:
    """What a process is still to be asked; None says that it should be looked at."""

    def __init__(self) -> None:
        self._waiting: queue.PriorityQueue[tuple[int, int, tuple[bytes, Future[bytes]] | None]]
        self._waiting = queue.PriorityQueue()
        self._numbers = count()

    def add(self, content: bytes, *, is_patient: bool) -> "Future[bytes]":
        """Put a question behind those that are as urgent."""
        sound: Future[bytes] = Future()
        rank = 2 if is_patient else 1
        self._waiting.put((rank, next(self._numbers), (content, sound)))
        return sound

    def look(self) -> None:
        """Let the process be looked at."""
        self._waiting.put((0, next(self._numbers), None))

    def next(self, timeout_s: float | None) -> "tuple[bytes, Future[bytes]] | None":
        """Wait for a question; None where the process should be looked at."""
        try:
            return self._waiting.get(timeout=timeout_s)[2]
        except queue.Empty:
            return None

    def cancel(self) -> None:
        """Let nobody wait any more."""
        while not self._waiting.empty():
            asked = self._waiting.get()[2]
            if asked is not None:
                asked[1].cancel()


class _Dead(EngineFailed):
    """The process is of no use any more."""


class _Life:
    """One life of the process; a thread reads what it says, so that waiting can end in time."""

    def __init__(self, command: Sequence[str], questions: _Questions) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the interpreter of this server
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin: IO[bytes] = self.process.stdin
        self._stdout: IO[bytes] = self.process.stdout
        self.is_over = threading.Event()
        self._frames: queue.SimpleQueue[tuple[bytes, bytes] | None] = queue.SimpleQueue()
        self._questions = questions
        self._reader = threading.Thread(target=self._read, name="tts-reader", daemon=True)
        self._reader.start()

    def ask(self, content: bytes) -> bytes:
        """Return the sound of a question, or raise why there is none."""
        try:
            write_frame(self._stdin, QUESTION, content)
        except OSError:
            raise _Dead(f"it ended with {self.code()}") from None
        kind, answer = self.next(HANG_S)
        if kind == FAILURE:
            raise EngineFailed(answer.decode(errors="replace"))
        if kind != SOUND:
            raise _Dead("it answers what was not asked")
        return answer

    def next(self, timeout_s: float) -> tuple[bytes, bytes]:
        """Wait for the next frame."""
        try:
            frame = self._frames.get(timeout=timeout_s)
        except queue.Empty:
            raise _Dead(f"it did not answer for {timeout_s:.0f} s") from None
        if frame is None:
            raise _Dead(f"it ended with {self.code()}")
        return frame

    def code(self) -> str:
        """Say how it ended."""
        try:
            return f"code {self.process.wait(STOP_S)}"
        except subprocess.TimeoutExpired:
            return "its pipes closed"

    def end(self) -> None:
        """End it now: it keeps nothing that could be lost."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        # What was still to be sent to a dead process cannot be flushed.
        with suppress(OSError):
            self._stdin.close()
        self._stdout.close()

    def _read(self) -> None:
        frame: tuple[bytes, bytes] | None = (b"", b"")
        while frame is not None:
            try:
                frame = read_frame(self._stdout)
            except (BadFrame, OSError):
                frame = None
            self._frames.put(frame)
        self.is_over.set()
        self._questions.look()


def _environment() -> dict[str, str]:
    """Return what the process sees of ours: nothing of the clinic's configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PUSKESMAS")}
