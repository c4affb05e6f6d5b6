"""
The only caller of hooks.

Built-in implementations are called directly. Those of plugins run on a guard thread under a
deadline, since they are called inside a transaction: one that raises, answers nonsense or hangs
costs its own answer and nothing else.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pluggy

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.events import Fact
from puskesmas_queue.domain.line import LaneChoice, LineHeads
from puskesmas_queue.domain.tickets import Source, TicketRequest
from puskesmas_queue.extensions import Context
from puskesmas_queue.logs import speak_again
from puskesmas_queue.plugin_host.answers import (
    is_announcement,
    is_choice,
    is_number,
    is_objection,
    is_wait,
)
from puskesmas_queue.plugin_host.describing import describe, where
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer, Raised
from puskesmas_queue.plugin_host.manager import BUILT_IN
from puskesmas_queue.plugin_host.outcomes import Fault, Outcome, PluginFailed
from puskesmas_queue.plugin_host.rests import Rests

DEADLINE_S = 0.1
FACT_DEADLINE_S = 30.0
"""A fact may send something over the network."""
BUSY_S = 1.0
"""So long a plugin may compute at a time: a thread that computes slows down the whole hall."""
LIFE_BUSY_S = 5.0
"""What comes once in the life of a process, tables say, may compute for so long."""
STARTUP_BUSY_S = 2.0
"""A beginning less: the hall is open by then."""
MOST_LATE, LATE_WINDOW_S = 3, 600.0
"""A plugin whose decisions wait for something so often within so many seconds is switched off."""
BUSY = "while this machine was busy"
"""Stands in the description of an answer that may have been late through nobody's fault."""
MOST_STUCK = 3
"""A plugin with so much that never came to an end is not told or asked more until it does."""

log = logging.getLogger(__name__)


class Dispatcher:
    """
    Asks the hooks of one clinic.

    Args:
        manager: The clinic's plugins.
        context: Makes what hooks may look at, for a moment.
        on_fault: Told of every fault; must return at once.
        own: Adds a plugin's own settings and tables to a context; asked inside transactions, so
            it reads nothing.
        deadline_s: How long one decision or veto of a plugin may take, seconds.
        fact_deadline_s: How long one fact may take, seconds.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        context: Callable[[datetime], Context],
        on_fault: Callable[[Fault], None],
        own: Callable[[str, Context], Context] = lambda plugin, context: context,
        deadline_s: float = DEADLINE_S,
        fact_deadline_s: float = FACT_DEADLINE_S,
    ) -> None:
        self._manager = manager
        self._context = context
        self._on_fault = on_fault
        self._own = own
        self._deadline_s = deadline_s
        self._fact_deadline_s = fact_deadline_s
        self._stuck: dict[str, list[Guard]] = {}
        self._rests = Rests()
        self._late: dict[str, list[float]] = {}
        self._lost: dict[str, list[Guard]] = {}
        self._resting: dict[str, Guard] = {}
        self._guards: queue.LifoQueue[Guard] = queue.LifoQueue()
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
            speak_again()
            log.error("%s", fault.in_words())
        self._on_fault(fault)

    def switch_on(self, plugin: str) -> None:
        """Ask for a plugin's decisions again, and log anew what goes wrong in it."""
        with self._lock:
            self.switched_off.discard(plugin)
            self._late.pop(plugin, None)
            self._reported = {key for key in self._reported if key[0] != plugin}

    def close(self) -> None:
        """Let the threads end that wait for what they run next: nobody will ask again."""
        for plugin in list(self._resting):
            self._resting.pop(plugin).retire()
        with suppress(queue.Empty):
            while True:
                self._guards.get_nowait().retire()

    def format_ticket_number(
        self, prefix: str, sequence: int, service_date: date, now: datetime
    ) -> str:
        """Ask for the number that patients see."""
        arguments = {"prefix": prefix, "sequence": sequence, "service_date": service_date}
        return str(self._decide("format_ticket_number", arguments, now, is_number))

    def choose_lane(self, heads: LineHeads, now: datetime) -> LaneChoice:
        """Ask which lane the next ticket is called from."""
        is_good = partial(is_choice, heads=heads)
        choice: LaneChoice = self._decide("choose_lane", {"heads": heads}, now, is_good)
        return choice

    def estimate_wait(
        self, people_ahead: int, service_s: Sequence[float], open_counters: int, now: datetime
    ) -> timedelta:
        """Ask how long a ticket will wait; at least one counter is open."""
        arguments = {
            "people_ahead": people_ahead,
            "service_s": service_s,
            "open_counters": open_counters,
        }
        wait: timedelta = self._decide("estimate_wait", arguments, now, is_wait)
        return wait

    def format_announcement(self, call: Call, now: datetime) -> Announcement:
        """Ask for the words of a call."""
        arguments = {"call": call}
        words: Announcement = self._decide("format_announcement", arguments, now, is_announcement)
        return words

    def objections(self, request: TicketRequest, source: Source, now: datetime) -> list[str]:
        """Ask whether a ticket may be given; a plugin that fails does not object."""
        hook = "check_ticket_request"
        found = []
        for impl in reversed(self._impls(hook)):
            chosen = self._chosen(impl, {"request": request, "source": source}, now)
            answer = self._ask(impl, hook, chosen, is_objection)
            if answer is not None:
                found.append(str(answer))
        return found

    def tell(self, plugin: str, fact: Fact, about: dict[str, Any], now: datetime) -> Outcome:
        """
        Tell one plugin a fact; whatever it does comes back as the outcome.

        Args:
            plugin: Who is told.
            fact: Its kind names the hook.
            about: The further argument of the hook, by name.
            now: The clinic's clock.
        """
        impl = next((i for i in self._impls(fact.kind) if i.plugin_name == plugin), None)
        if impl is None:
            # It listened when this was stored, and does not any more.
            return Outcome(is_good=True)
        stuck = [guard for guard in self._stuck.get(plugin, ()) if guard.is_running]
        self._stuck[plugin] = stuck
        if len(stuck) >= MOST_STUCK:
            return Outcome(is_good=False, detail=f"{len(stuck)} earlier facts never ended")
        chosen = self._chosen(impl, {**about, "fact": fact}, now, has_data=True)
        started = time.monotonic()
        try:
            guard = self._resting.pop(plugin, None) or self._begin(plugin, fact.kind)
            guard.call(lambda: impl.function(*chosen), self._fact_deadline_s, BUSY_S)
        except PluginFailed as error:
            return Outcome(is_good=False, detail=str(error))
        except NoAnswer as error:
            guard.end()
            stuck.append(guard)
            self._rests.begin(plugin)
            self.report(Fault(plugin, fact.kind, "overran", str(error), places=error.places))
            return Outcome(is_good=False, detail=str(error))
        except Raised as error:
            self._resting[plugin] = guard
            self.report(Fault(plugin, fact.kind, "raised", str(error), places=error.places))
            return Outcome(is_good=False, detail=str(error))
        self._resting[plugin] = guard
        self._rests.fared_well(plugin)
        took = time.monotonic() - started
        self.seconds[plugin, fact.kind] = max(took, self.seconds.get((plugin, fact.kind), 0.0))
        return Outcome(is_good=True)

    def rest_s(self, plugin: str) -> float:
        """
        Return how long a plugin is not to be told anything, seconds.

        One that ran out of time takes a core or a thread each time: it is left alone for a
        while, twice as long after each further time.
        """
        return self._rests.left_s(plugin)

    def run(
        self,
        plugin: str,
        name: str,
        task: Callable[[], Any],
        deadline_s: float,
        busy_s: float = BUSY_S,
    ) -> Any:
        """
        Run something of a plugin's under a deadline: a page, a panel, a check, its start.

        What computed for too long is not run again for a while; what waited for something is.

        Args:
            plugin: Whose it is.
            name: What it is, for the doctor.
            task: Runs the foreign code.
            deadline_s: How long it may take, seconds.
            busy_s: How long of that it may compute, seconds.

        Raises:
            PluginFailed: It raised, ran out of time or rests; the message says which.
        """
        rest_s = self._rests.left_s((plugin, name))
        if rest_s > 0:
            raise PluginFailed(f"it computed for too long and rests for {rest_s:.0f} s")
        with self._lock:
            # One list for all who ask at once: each adds to it what never ended.
            lost = self._lost.setdefault(plugin, [])
            lost[:] = [guard for guard in lost if guard.is_running]
            stuck = len(lost)
        if stuck >= MOST_STUCK:
            detail = f"not asked: {stuck} earlier calls never ended"
            self.report(Fault(plugin, name, "overran", detail))
            raise PluginFailed(detail)
        guard = self._begin(plugin, name)
        try:
            answer = guard.call(task, deadline_s, busy_s)
        except NoAnswer as error:
            guard.end()
            with self._lock:
                lost.append(guard)
            if error.is_computing:
                self._rests.begin((plugin, name))
            self.report(Fault(plugin, name, "overran", str(error), places=error.places))
            raise PluginFailed(str(error)) from None
        except Raised as error:
            guard.retire()
            self.report(Fault(plugin, name, "raised", str(error), places=error.places))
            raise PluginFailed(str(error)) from None
        guard.retire()
        self._rests.fared_well((plugin, name))
        return answer

    def call_life(
        self, plugin: str, hook: str, now: datetime, deadline_s: float, busy_s: float = LIFE_BUSY_S
    ) -> None:
        """
        Tell one plugin that the server begins or ends.

        Args:
            plugin: Who is told.
            hook: `startup` or `shutdown`.
            now: The clinic's clock.
            deadline_s: How long it may take, seconds.
            busy_s: How long of that it may compute, seconds.

        Raises:
            PluginFailed: See `run`.
        """
        impl = next((i for i in self._impls(hook) if i.plugin_name == plugin), None)
        if impl is not None:
            chosen = self._chosen(impl, {}, now, has_data=True)
            try:
                self.run(plugin, hook, lambda: impl.function(*chosen), deadline_s, busy_s)
            finally:
                speak_again()

    def _begin(self, plugin: str, name: str) -> Guard:
        """Begin a thread; where the system has none left, that is told as the plugin's fault."""
        try:
            return Guard()
        except RuntimeError as error:
            self.report(Fault(plugin, name, "raised", str(error)))
            raise PluginFailed(str(error)) from None

    def _chosen(
        self,
        impl: pluggy.HookImpl,
        arguments: Mapping[str, Any],
        now: datetime,
        *,
        has_data: bool = False,
    ) -> list[Any]:
        """Return the arguments that an implementation takes, its context with its own settings."""
        context = self._context(now)
        if not impl.plugin_name.startswith(BUILT_IN):
            context = self._own(impl.plugin_name, context)
            if not has_data:
                context = replace(context, data=None, folder=None)
        values = {**arguments, "ctx": context}
        return [values[name] for name in impl.argnames]

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
        for impl in reversed(self._impls(hook)):
            if impl.plugin_name.startswith(BUILT_IN):
                answer = impl.function(*self._chosen(impl, arguments, now))
            else:
                answer = self._ask(impl, hook, self._chosen(impl, arguments, now), is_good)
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
            try:
                guard = self._begin(plugin, hook)
            except PluginFailed:
                return None
        started = time.monotonic()
        try:
            answer = guard.call(lambda: impl.function(*chosen), self._deadline_s)
        except NoAnswer as error:
            guard.end()
            self._came_late(plugin, hook, error)
            return None
        except Raised as error:
            answer = None
            self.report(Fault(plugin, hook, "raised", str(error), places=error.places))
        self._guards.put(guard)
        took = time.monotonic() - started
        self.seconds[plugin, hook] = max(took, self.seconds.get((plugin, hook), 0.0))
        if answer is not None and not is_good(answer):
            self.report(Fault(plugin, hook, "nonsense", f"answered {describe(answer)}"))
            return None
        return answer

    def _came_late(self, plugin: str, hook: str, error: NoAnswer) -> None:
        """Switch a plugin's decisions off once it is clear that the time was lost in it."""
        now = time.monotonic()
        with self._lock:
            times = [at for at in self._late.get(plugin, ()) if now - at < LATE_WINDOW_S]
            # Where the whole machine is busy, nobody knows whose fault one late answer is.
            times += [] if error.is_machine_busy else [now]
            self._late[plugin] = times
            is_off = error.is_computing or len(times) >= MOST_LATE
            if is_off:
                self.switched_off.add(plugin)
        busy = f", {BUSY}" if error.is_machine_busy else ""
        detail = f"no answer within {self._deadline_s * 1000:.0f} ms{busy}{where(error.places)}"
        self.report(Fault(plugin, hook, "overran", detail, is_off, error.places))
