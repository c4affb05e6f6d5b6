"""
The only caller of hooks.

Built-in implementations are called directly. Those of plugins run on a guard thread under a
deadline, since they are called inside a transaction: one that raises, answers nonsense or hangs
costs its own answer and nothing else.
"""

import ctypes
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import pluggy

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.line import LaneChoice, LineHeads, RatioState
from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.hookspecs import Context
from puskesmas_queue.plugin_host.manager import BUILT_IN

DEADLINE_S = 0.1
NUMBER_PATTERN = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,10}[A-Z0-9])?")
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters that no database takes."""
LONGEST_WAIT = timedelta(hours=24)
LONGEST_TEXT = 200
LONGEST_ROUND = 1_000

FaultKind = Literal["raised", "overran", "nonsense"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure of one implementation; `is_switched_off` says whether it is asked again."""

    plugin: str
    hook: str
    kind: FaultKind
    detail: str
    is_switched_off: bool = False


class _Overrun(BaseException):
    """Raised inside a guard thread whose implementation ran out of time."""


class _NoAnswer(Exception):
    """The implementation ran out of time; not a TimeoutError, which plugins raise themselves."""


class _Raised(Exception):
    """The implementation raised; `str()` describes what."""


class _Guard:
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
                    answer: tuple[Any, str | None] = (task(), None)
                except _Overrun:
                    return
                except BaseException as error:
                    # Its text is foreign code too: it is made here, under the same deadline.
                    answer = (None, _describe_error(error))
            except _Overrun:
                return
            self._answers.put(answer)

    def call(self, task: Callable[[], Any], deadline_s: float) -> Any:
        """
        Run `task` and return what it returns.

        Raises:
            _NoAnswer: It ran out of time; this guard is then of no more use.
            _Raised: It raised.
        """
        self._tasks.put(task)
        try:
            answer, raised = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            raise _NoAnswer from None
        if raised is not None:
            raise _Raised(raised)
        return answer

    def end(self) -> None:
        """End a Python loop by raising in it; a thread blocked in C is left behind."""
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Overrun)
            )


class Dispatcher:
    """
    Asks the hooks of one clinic.

    Args:
        manager: The clinic's plugins.
        context: Makes what hooks may look at, for a moment.
        on_fault: Told of every fault; must return at once.
        deadline_s: How long one implementation of a plugin may take, seconds.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        context: Callable[[datetime], Context],
        on_fault: Callable[[Fault], None],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._manager = manager
        self._context = context
        self._on_fault = on_fault
        self._deadline_s = deadline_s
        self._guards: queue.LifoQueue[_Guard] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._reported: set[tuple[str, str, str]] = set()
        self.switched_off: set[str] = set()
        """Plugins whose decisions are not asked for until an administrator turns them on."""
        self.seconds: dict[tuple[str, str], float] = {}
        """Longest time that each plugin's implementation took, seconds, by plugin and hook."""

    def first_plugin(self, hook: str) -> str:
        """Name the plugin that is asked first on this hook, a built-in one where there is none."""
        names = [impl.plugin_name for impl in reversed(self._impls(hook))]
        return next(name for name in names if name not in self.switched_off)

    def is_default(self, hook: str) -> bool:
        """Say whether no plugin but the core answers this hook."""
        return self.first_plugin(hook).startswith(BUILT_IN)

    def report(self, fault: Fault) -> None:
        """Log a fault once per plugin, hook and kind, and pass every one on for counting."""
        key = (fault.plugin, fault.hook, fault.kind)
        with self._lock:
            is_new = key not in self._reported
            self._reported.add(key)
        if is_new:
            off = "; its decisions are switched off" if fault.is_switched_off else ""
            log.error(
                "plugin %s, hook %s %s: %s%s",
                fault.plugin, fault.hook, fault.kind, fault.detail, off,
            )  # fmt: skip
        self._on_fault(fault)

    def format_ticket_number(
        self, prefix: str, sequence: int, service_date: date, now: datetime
    ) -> str:
        """Ask for the number that patients see."""

        def is_good(answer: object) -> bool:
            return isinstance(answer, str) and NUMBER_PATTERN.fullmatch(answer) is not None

        arguments = {"prefix": prefix, "sequence": sequence, "service_date": service_date}
        return str(self._decide("format_ticket_number", arguments, now, is_good))

    def choose_lane(self, heads: LineHeads, now: datetime) -> LaneChoice:
        """Ask which lane the next ticket is called from."""

        def is_good(answer: object) -> bool:
            if not isinstance(answer, LaneChoice):
                return False
            # Annotations bind no plugin: look at everything that would be stored.
            state: object = answer.state
            lane: object = answer.lane
            if not isinstance(state, RatioState) or not isinstance(lane, Lane):
                return False
            taken: tuple[object, ...] = (state.priority_taken, state.general_taken)
            if not all(type(n) is int and 0 <= n < LONGEST_ROUND for n in taken):
                return False
            head = {Lane.PRIORITY: heads.priority, Lane.GENERAL: heads.general}
            return head.get(lane) is not None

        choice: LaneChoice = self._decide("choose_lane", {"heads": heads}, now, is_good)
        return choice

    def estimate_wait(
        self, people_ahead: int, service_s: Sequence[float], open_counters: int, now: datetime
    ) -> timedelta:
        """Ask how long a ticket will wait; at least one counter is open."""

        def is_good(answer: object) -> bool:
            return isinstance(answer, timedelta) and timedelta() <= answer <= LONGEST_WAIT

        arguments = {
            "people_ahead": people_ahead,
            "service_s": service_s,
            "open_counters": open_counters,
        }
        wait: timedelta = self._decide("estimate_wait", arguments, now, is_good)
        return wait

    def format_announcement(self, call: Call, now: datetime) -> Announcement:
        """Ask for the words of a call."""

        def is_good(answer: object) -> bool:
            if not isinstance(answer, Announcement):
                return False
            halves: tuple[object, ...] = (answer.number_text, answer.direction_text)
            return all(
                isinstance(half, str)
                and half.strip() != ""
                and len(half) <= LONGEST_TEXT
                and UNSTORABLE.search(half) is None
                for half in halves
            )

        words: Announcement = self._decide("format_announcement", {"call": call}, now, is_good)
        return words

    def _impls(self, hook: str) -> "list[pluggy.HookImpl]":
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _decide(
        self,
        hook: str,
        arguments: dict[str, Any],
        now: datetime,
        is_good: Callable[[object], bool],
    ) -> Any:
        values = {**arguments, "ctx": self._context(now)}
        for impl in reversed(self._impls(hook)):
            chosen = [values[name] for name in impl.argnames]
            if impl.plugin_name.startswith(BUILT_IN):
                answer = impl.function(*chosen)
            else:
                answer = self._ask(impl, hook, chosen, is_good)
            if answer is not None:
                return answer
        raise AssertionError(f"{hook} has no default")

    def _ask(
        self,
        impl: pluggy.HookImpl,
        hook: str,
        chosen: list[Any],
        is_good: Callable[[object], bool],
    ) -> Any:
        plugin = impl.plugin_name
        if plugin in self.switched_off:
            return None
        try:
            guard = self._guards.get_nowait()
        except queue.Empty:
            guard = _Guard()
        started = time.monotonic()
        try:
            answer = guard.call(lambda: impl.function(*chosen), self._deadline_s)
        except _NoAnswer:
            guard.end()
            self.switched_off.add(plugin)
            limit = f"no answer within {self._deadline_s * 1000:.0f} ms"
            self.report(Fault(plugin, hook, "overran", limit, is_switched_off=True))
            return None
        except _Raised as error:
            answer = None
            self.report(Fault(plugin, hook, "raised", str(error)))
        self._guards.put(guard)
        took = time.monotonic() - started
        self.seconds[plugin, hook] = max(took, self.seconds.get((plugin, hook), 0.0))
        if answer is not None and not is_good(answer):
            self.report(Fault(plugin, hook, "nonsense", f"answered {_describe(answer)}"))
            return None
        return answer


def _describe(answer: object) -> str:
    """Show an answer; that of a foreign class by its name only, since its repr is foreign code."""
    if type(answer) in (str, int, float, bool, bytes, date, datetime, timedelta):
        return repr(answer)[:200]
    return f"a {type(answer).__name__}"


def _describe_error(error: BaseException) -> str:
    """Show an exception of a plugin in one line that can be logged and stored."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return f"{name} without a text"
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", f"{name}: {text}"[:500])
