"""Plugins that go wrong in each way that is known, and the hooks in which they can."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from puskesmas_queue import hookspecs
from puskesmas_queue.hookspecs import PROJECT, hookimpl

DECISIONS, VETOES, FACTS = (
    tuple(
        name
        for name, member in inspect.getmembers(group, inspect.isfunction)
        if hasattr(member, f"{PROJECT}_spec")
    )
    for group in (hookspecs.DecisionHooks, hookspecs.VetoHooks, hookspecs.FactHooks)
)
"""By inspection, so that a new hook is among them."""
LATE_S = 0.1
"""The deadline of decisions and vetoes."""
PATIENT_S = 20.0
"""Deadline where a fault is not about time: this machine may be busy."""
LEAKED = 100_000


@dataclass
class Life:
    """What faulty implementations share: how often they were called, and when it is over."""

    called: int = 0
    leaked: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def life() -> Iterator[Life]:
    """Let what hangs go on at the end of the test."""
    shared = Life()
    with shared.lock:
        yield shared
        shared.over.set()


@dataclass(frozen=True)
class Way:
    """
    A way to go wrong.

    Args:
        act: What an implementation does.
        kind: The fault that the doctor names, None where nobody can see one.
        is_endless: Whether only a deadline ends it.
    """

    act: Callable[[Life], Any]
    kind: str | None
    is_endless: bool = False

    def kind_in(self, hook: str) -> str | None:
        """Name the fault in one hook: nobody looks at what is answered to a fact."""
        return None if self.kind == "nonsense" and hook in FACTS else self.kind

    @property
    def deadline_s(self) -> float:
        """How long a test lets it run, seconds."""
        return LATE_S if self.is_endless else PATIENT_S


def _raise(life: Life) -> None:
    raise ValueError("broken")


def _end_thread(life: Life) -> None:
    raise SystemExit(3)


def _recurse(life: Life) -> None:
    _recurse(life)


def _spin(life: Life) -> None:
    while True:
        pass


def _sleep(life: Life) -> None:
    # Longer than any deadline here; nothing can cut a sleep short.
    time.sleep(3)


def _wait_in_lock(life: Life) -> None:
    with life.lock:
        pass


async def _await(life: Life) -> None:
    await asyncio.sleep(3)


def _cling(life: Life) -> None:
    while not life.over.is_set():
        # Holds out against what ends a Python loop.
        try:
            life.over.wait(0.05)
        except BaseException:
            continue


def _leak(life: Life) -> None:
    life.leaked.append(bytes(LEAKED))


WAYS = {
    "raises": Way(_raise, "raised"),
    "ends its thread": Way(_end_thread, "raised"),
    "recurses": Way(_recurse, "raised"),
    "answers nonsense": Way(lambda life: object(), "nonsense"),
    "leaks memory": Way(_leak, None),
    "spins": Way(_spin, "overran", is_endless=True),
    "sleeps": Way(_sleep, "overran", is_endless=True),
    "waits in a lock": Way(_wait_in_lock, "overran", is_endless=True),
    "awaits": Way(_await, "overran", is_endless=True),
    "clings": Way(_cling, "overran", is_endless=True),
}


def faulty(way: Way, life: Life, *hooks: str) -> object:
    """Make a plugin that goes wrong in these hooks, which it implements without any argument."""

    def implementation() -> Any:
        life.called += 1
        return way.act(life)

    members = {hook: staticmethod(hookimpl(_copy(implementation))) for hook in hooks}
    return type("Faulty", (), members)()


def _copy(function: Callable[[], Any]) -> Callable[[], Any]:
    def copied() -> Any:
        return function()

    return copied
