"""
Runs foreign code under a deadline, on a thread that can be given up.

A Python loop is ended by raising in it; a thread that blocks in C is left behind.
"""

import asyncio
import ctypes
import inspect
import queue
import re
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters that no database takes."""


class Overrun(BaseException):
    """Raised inside a guard thread whose implementation ran out of time."""


class NoAnswer(Exception):
    """The implementation ran out of time; not a TimeoutError, which plugins raise themselves."""


class Raised(Exception):
    """The implementation raised; `str()` describes what."""


class Guard:
    """A thread that runs one implementation at a time for whoever waits under a deadline."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, str | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hook-guard", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                try:
                    result = task()
                    if inspect.iscoroutine(result):
                        result = asyncio.run(result)
                    answer: tuple[Any, str | None] = (result, None)
                except Overrun:
                    return
                except BaseException as error:
                    # Its text is foreign code too: it is made here, under the same deadline.
                    answer = (None, describe_error(error))
            except Overrun:
                return
            self._answers.put(answer)

    def call(self, task: Callable[[], Any], deadline_s: float) -> Any:
        """
        Run `task` and return what it returns.

        Raises:
            NoAnswer: It ran out of time; this guard is then of no more use.
            Raised: It raised.
        """
        self._tasks.put(task)
        try:
            answer, raised = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            raise NoAnswer from None
        if raised is not None:
            raise Raised(raised)
        return answer

    def retire(self) -> None:
        """Let the thread end, now that nobody will call again."""

        def leave() -> None:
            raise Overrun

        self._tasks.put(leave)

    @property
    def is_running(self) -> bool:
        """Whether the thread still runs; after `end` that of a stubborn implementation does."""
        return self._thread.is_alive()

    def end(self) -> None:
        """End a Python loop by raising in it; a thread blocked in C is left behind."""
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(Overrun)
            )


def describe(answer: object) -> str:
    """Show an answer; that of a foreign class by its name only, since its repr is foreign code."""
    if type(answer) in (str, int, float, bool, bytes, date, datetime, timedelta):
        return repr(answer)[:200]
    return f"a {type(answer).__name__}"


def describe_error(error: BaseException) -> str:
    """Show an exception of a plugin in one line that can be logged and stored."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return f"{name} without a text"
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", f"{name}: {text}"[:500])
