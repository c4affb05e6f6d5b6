"""
The threads that run handlers for the event loop.

They do what `starlette.concurrency.run_in_threadpool` does at a tenth of its cost, which at many
tickets a second was a good part of the whole request.
"""

import asyncio
import contextvars
import queue
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

MOST = 32
"""Requests that are handled at the same time; further ones wait in the order they came."""

T = TypeVar("T")
Task = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]
Tasks = queue.SimpleQueue[Task | None]


class Threads:
    """
    A few threads, started as they are needed; they end with this object.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tasks: Tasks = queue.SimpleQueue()
        self._started: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._in_work = 0
        weakref.finalize(self, _end, self._tasks, self._started)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in one of the threads and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._in_work += 1
        if self._in_work > len(self._started):
            self._start()
        # With it goes the request's id, for what is logged there.
        run = contextvars.copy_context().run
        self._tasks.put((loop, future, run, (function, *arguments)))
        try:
            return await future
        finally:
            self._in_work -= 1

    def _start(self) -> None:
        with self._starting:
            if len(self._started) < self._most:
                name = f"handler-{len(self._started) + 1}"
                thread = threading.Thread(target=_work, args=(self._tasks,), name=name, daemon=True)
                thread.start()
                self._started.append(thread)


def _work(tasks: Tasks) -> None:
    while (task := tasks.get()) is not None:
        loop, future, function, arguments = task
        value: Any = None
        refusal: BaseException | None = None
        try:
            value = function(*arguments)
        except BaseException as error:  # noqa: BLE001  # the waiting request is told
            refusal = error
        # A loop that is closed waits for nothing any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, future, value, refusal)
        del task, future, function, arguments, value, refusal


def _tell(future: "asyncio.Future[Any]", value: Any, refusal: BaseException | None) -> None:
    if future.done():
        return
    if refusal is None:
        future.set_result(value)
    else:
        future.set_exception(refusal)


def _end(tasks: Tasks, started: list[threading.Thread]) -> None:
    for _ in started:
        tasks.put(None)
