"""
Runs foreign code under a deadline, on a thread that can be given up.

A Python loop is ended by raising in it; a thread that blocks in C is left behind.
"""

import asyncio
import ctypes
import inspect
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import Any

from puskesmas_queue.plugin_host.describing import (
    Place,
    describe_error,
    places,
    places_of,
    where,
)
from puskesmas_queue.plugin_host.handovers import is_delicate, is_handing_over
from puskesmas_queue.plugin_host.haste import haste

AGAIN_S = (1, 2, 5, 10, 30, 60)
"""Pauses before a thread that did not end is told again: so long it may clean up."""
SOON_S = 0.01
"""How soon is looked again whether a thread that could not be told can be."""
LATE_S = 0.01
"""Whoever is woken later than this is on a busy machine; on a quiet one it is a thousandth."""
FIRST_LOOK_S, LOOK_S = 0.02, 0.2
"""How soon and then how often is looked whether a thread computes too long."""
COMPUTING_S = 0.015
"""A thread that computed for so long has the others wait: they are let in sooner."""


class Overrun(BaseException):
    """Raised inside a guard thread whose implementation ran out of time."""


class NoAnswer(Exception):
    """
    The implementation ran out of time; not a TimeoutError, which plugins raise themselves.

    Args:
        detail: Which time, in words.
        is_computing: Whether it computed, and did not wait for something.
        is_machine_busy: Whether even the one who waited was woken late: then it may have had no
            turn at all, through no fault of its own.
        places: Where it was when its time was up.
    """

    def __init__(
        self,
        detail: str,
        *,
        is_computing: bool,
        is_machine_busy: bool = False,
        places: tuple[Place, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.is_computing = is_computing
        self.is_machine_busy = is_machine_busy
        self.places = places


class Raised(Exception):
    """
    The implementation raised; `str()` describes what.

    Args:
        detail: The description.
        places: Where it went through foreign code.
    """

    def __init__(self, detail: str, places: tuple[Place, ...]) -> None:
        super().__init__(detail)
        self.places = places


class Guard:
    """A thread that runs one implementation at a time for whoever waits under a deadline."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, Raised | None]] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._is_open = False
        self._given_up_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="hook-guard", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            try:
                if self._opens():
                    self._serve()
            except Overrun:
                # Wherever it comes, even just after an answer: this thread is of no more use.
                pass
            self._close()
        except Overrun:
            # It was told again while it was about to leave.
            self._close()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._answers.put(self._answer(task))

    def _opens(self) -> bool:
        """Say whether there is anything to do; from now on something may be raised in here."""
        with self._changing:
            self._is_open = self._given_up_at is None
            return self._is_open

    def _close(self) -> None:
        """
        Let nobody raise anything in here any more, and forget what was to be.

        Outside of `_run` it would end Python's own code for threads half-way, and where this
        thread is gone, its number may be that of another one.
        """
        with self._changing:
            self._is_open = False
            self._raise_here(None)

    def _answer(self, task: Callable[[], Any]) -> tuple[Any, Raised | None]:
        try:
            result = task()
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
        except Overrun:
            raise
        except BaseException as error:
            return None, _described(error)
        return result, None

    def call(self, task: Callable[[], Any], deadline_s: float, busy_s: float | None = None) -> Any:
        """
        Run `task` and return what it returns.

        Args:
            task: Foreign code.
            deadline_s: How long it may take, seconds.
            busy_s: How long it may compute, seconds; waiting does not count. Windows cannot tell.

        Raises:
            NoAnswer: It ran out of time; this guard is then of no more use.
            Raised: It raised.
        """
        self._tasks.put(task)
        with ExitStack() as while_waiting:
            answer, raised = self._wait(deadline_s, busy_s, while_waiting)
        if raised is not None:
            raise raised
        return answer

    def _wait(
        self, deadline_s: float, busy_s: float | None, while_waiting: ExitStack
    ) -> tuple[Any, Raised | None]:
        ends, began_s = time.monotonic() + deadline_s, self._computed_s()
        look_s, is_in_haste = FIRST_LOOK_S, False
        while True:
            left_s = ends - time.monotonic()
            try:
                wait_s = left_s if busy_s is None else min(left_s, look_s)
                return self._answers.get(timeout=max(wait_s, 0))
            except queue.Empty:
                late_s = time.monotonic() - ends
                computed_s = self._computed_s() - began_s
                look_s = LOOK_S
                if computed_s > COMPUTING_S and not is_in_haste:
                    while_waiting.enter_context(haste.while_computing())
                    is_in_haste = True
                if busy_s is not None and computed_s > busy_s:
                    raise self._no_answer(f"computed for {busy_s:.0f} s", True) from None
                if late_s >= 0:
                    detail = f"no end within {deadline_s:.0f} s"
                    is_computing = computed_s > deadline_s / 4
                    raise self._no_answer(detail, is_computing, late_s > LATE_S) from None

    def _no_answer(
        self, detail: str, is_computing: bool, is_machine_busy: bool = False
    ) -> NoAnswer:
        with self._changing:
            frame = sys._current_frames().get(self._thread.ident or 0) if self._is_open else None
        found = () if frame is None else places_of(frame)
        return NoAnswer(
            detail + where(found),
            is_computing=is_computing,
            is_machine_busy=is_machine_busy,
            places=found,
        )

    def _computed_s(self) -> float:
        """Return how long the thread has computed, seconds; 0 where the system does not tell."""
        clock_of = getattr(time, "pthread_getcpuclockid", None)
        # It stays while this is held; the clock of a thread that is gone may crash the process.
        with self._changing:
            if clock_of is None or not self._is_open:
                return 0.0
            computed: float = time.clock_gettime(clock_of(self._thread.ident))
            return computed

    def retire(self) -> None:
        """Let the thread end, now that nobody will call again."""
        self._tasks.put(None)

    @property
    def is_running(self) -> bool:
        """Whether the thread still runs; after `end` that of a stubborn implementation does."""
        return self._thread.is_alive()

    def end(self) -> None:
        """
        End a Python loop by raising in it; a thread blocked in C is left behind.

        Where foreign code swallows it, it is raised again for a while.
        """
        self.retire()
        was_told = self._raise()
        if self._thread.is_alive():
            insist = partial(self._insist, was_told=was_told)
            # Where the system has no thread left, what was raised once has to do.
            with suppress(RuntimeError):
                threading.Thread(target=insist, name="hook-guard-end", daemon=True).start()

    def _insist(self, *, was_told: bool) -> None:
        """Raise again; in haste only while it computes: what waits in C holds nobody up."""
        computed_s, is_computing = self._computed_s(), True
        for pause_s in AGAIN_S:
            with haste.while_computing() if is_computing else nullcontext():
                self._await_end(pause_s, was_told=was_told)
            if not self._thread.is_alive():
                return
            before_s, computed_s = computed_s, self._computed_s()
            is_computing = computed_s - before_s > COMPUTING_S
            was_told = self._raise()

    def _await_end(self, pause_s: float, *, was_told: bool) -> None:
        """Give the thread time to end; one that could not be told yet is told meanwhile."""
        ends = time.monotonic() + pause_s
        while not was_told and self._thread.is_alive() and time.monotonic() < ends:
            self._thread.join(SOON_S)
            was_told = self._raise()
        self._thread.join(max(ends - time.monotonic(), 0))

    def _raise(self) -> bool:
        """Have the thread told to end; False where this is no moment for it, so that it goes on."""
        with self._changing:
            if self._given_up_at is None:
                self._given_up_at = time.monotonic()
            since_s = time.monotonic() - self._given_up_at
            if not self._is_open:
                return True
            if not self._can_end(since_s):
                return False
            self._raise_here(Overrun)
            # It may have had a turn since it was looked at; what is raised comes in its next one.
            if not self._can_end(since_s):
                self._raise_here(None)
                return False
            return True

    def _can_end(self, since_s: float) -> bool:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return not (is_handing_over(frame) or is_delicate(frame, since_s))

    def _raise_here(self, error: type[Overrun] | None) -> None:
        """Have it raised by whatever the thread runs next, or nothing after all."""
        given = None if error is None else ctypes.py_object(error)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident or 0), given)


def _described(error: BaseException) -> Raised:
    """Describe an exception; its text is foreign code too and made here, under its deadline."""
    try:
        return Raised(describe_error(error), places(error.__traceback__))
    except Overrun:
        raise
    except BaseException as another:
        name = f"{type(error).__name__} without a text"
        return Raised(f"{name}: it raised {type(another).__name__}", ())
