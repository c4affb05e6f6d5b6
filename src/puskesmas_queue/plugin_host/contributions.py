"""
What the plugins of one clinic bring along: each is asked once, and what cannot be used is left out.

Nothing here raises for what a plugin answers; each problem is a fault of the plugin and its hook.
"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import click

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.extensions import Context, HealthCheck, Simulator
from puskesmas_queue.plugin_host.asking import REGISTRATION_DEADLINE_S, ask_plugin
from puskesmas_queue.plugin_host.describing import UNSTORABLE, describe
from puskesmas_queue.plugin_host.guard import NoAnswer, Raised
from puskesmas_queue.plugin_host.outcomes import Fault, FaultKind
from puskesmas_queue.plugin_host.registry import PluginSet
from puskesmas_queue.plugin_pages import MAX_UPLOAD_BYTES, SLOTS, NavItem, Panel, PluginRoute
from puskesmas_queue.plugin_ports import Announcer, Printer

DECLARABLE = frozenset(Permission) - {Permission.SESSION, Permission.DEMO}
"""What a plugin's page may ask for."""
LONGEST_LABEL = 60
MOST = 100
METHODS = ("GET", "POST")
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
PATH = re.compile(r"/|(?:/(?:[A-Za-z0-9._~-]+|\{[a-z][a-z0-9_]*\}))+")
OWN_PATHS = ("/static", "/panels")
"""Below `/x/<plugin>` these are the core's."""
C = TypeVar("C")
N = TypeVar("N", Printer, Announcer)


class Contributions:
    """
    Asks the plugins of one clinic what they bring.

    Args:
        plugins: Who is asked.
        context: Makes what a plugin may look at.
        report: Told of what cannot be used.
    """

    def __init__(
        self,
        plugins: PluginSet,
        context: Callable[[str], Context],
        report: Callable[[Fault], None],
    ) -> None:
        self._plugins = plugins
        self._context = context
        self._report = report
        # One each: a plugin that hangs while it is asked keeps nobody from what another brought.
        names = (*plugins.built_in, *plugins.names)
        self._locks = {name: threading.Lock() for name in names}
        self._known: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._silent: set[str] = set()

    def ask(self, plugin: str) -> None:
        """Ask a plugin for everything a server needs; what cannot be used is known from then on."""
        self.nav(plugin)
        self.panels(plugin)
        self.health_checks(plugin)
        self.simulators(plugin)
        self._printers_of(plugin)
        self._announcers_of(plugin)

    def routes(self, plugin: str) -> tuple[PluginRoute, ...]:
        """Return a plugin's pages, each at a place of its own."""
        return self._of(plugin, "register_routes", PluginRoute, _route_problem, _place)

    def nav(self, plugin: str) -> tuple[NavItem, ...]:
        """Return a plugin's links."""
        pages = {route.path for route in self.routes(plugin) if "GET" in route.methods}

        def problem(item: Any) -> str | None:
            return _nav_problem(item) or (
                None if item.path in pages else "the plugin has no page at its path"
            )

        return self._of(plugin, "register_nav", NavItem, problem, lambda one: one.path)

    def panels(self, plugin: str) -> tuple[Panel, ...]:
        """Return a plugin's panels."""
        return self._of(plugin, "register_panels", Panel, _panel_problem, lambda one: one.name)

    def health_checks(self, plugin: str) -> tuple[HealthCheck, ...]:
        """Return what a plugin has looked at."""
        hook = "register_health_checks"
        return self._of(plugin, hook, HealthCheck, _check_problem, lambda one: one.name)

    def simulators(self, plugin: str) -> tuple[Simulator, ...]:
        """Return a plugin's simulators."""
        hook = "register_simulators"
        return self._of(plugin, hook, Simulator, _simulator_problem, lambda one: one.name)

    def printers(self) -> dict[str, tuple[str, Printer]]:
        """Return all printers by name, each with the plugin that brought it."""
        return self._named("register_printers", self._printers_of)

    def announcers(self) -> dict[str, tuple[str, Announcer]]:
        """Return all announcers by name, each with the plugin that brought it."""
        return self._named("register_announcers", self._announcers_of)

    def command(self, plugin: str) -> click.Command | None:
        """Return a plugin's command."""
        hook = "register_commands"
        answer = self._answer(plugin, hook)
        if answer is None or isinstance(answer, click.Command):
            return answer
        self._fault(plugin, hook, "nonsense", f"brought {describe(answer)}")
        return None

    def _printers_of(self, plugin: str) -> tuple[Printer, ...]:
        hook = "register_printers"
        return self._of(plugin, hook, Printer, _printer_problem, lambda one: one.name)

    def _announcers_of(self, plugin: str) -> tuple[Announcer, ...]:
        hook = "register_announcers"
        return self._of(plugin, hook, Announcer, _announcer_problem, lambda one: one.name)

    def _named(self, hook: str, of: Callable[[str], tuple[N, ...]]) -> dict[str, tuple[str, N]]:
        found: dict[str, tuple[str, N]] = {}
        for plugin in (*self._plugins.built_in, *self._plugins.names):
            for one in of(plugin):
                if found.setdefault(one.name, (plugin, one))[0] != plugin:
                    taken = f"{one.name}: {found[one.name][0]} has this name already"
                    self._fault(plugin, hook, "nonsense", taken)
        return found

    def _of(
        self,
        plugin: str,
        hook: str,
        kind: type[C],
        problem: Callable[[Any], str | None],
        place: Callable[[C], object],
    ) -> tuple[C, ...]:
        with self._locks[plugin]:
            if (plugin, hook) not in self._known:
                self._known[plugin, hook] = tuple(self._usable(plugin, hook, kind, problem, place))
            return self._known[plugin, hook]

    def _usable(
        self,
        plugin: str,
        hook: str,
        kind: type[C],
        problem: Callable[[Any], str | None],
        place: Callable[[C], object],
    ) -> Iterable[C]:
        taken: set[object] = set()
        for one in self._ask(plugin, hook):
            if type(one) is not kind:
                self._fault(plugin, hook, "nonsense", f"brought {describe(one)}")
                continue
            found = problem(one) or _text_problem(one)
            if found is None and place(one) in taken:
                found = "there is another of the same name or path"
            if found is not None:
                self._fault(plugin, hook, "nonsense", f"{_shown(place, one)}: {found}")
                continue
            taken.add(place(one))
            yield one

    def _ask(self, plugin: str, hook: str) -> Sequence[object]:
        answer = self._answer(plugin, hook)
        if answer is None:
            return ()
        if type(answer) not in (list, tuple) or len(answer) > MOST:
            self._fault(plugin, hook, "nonsense", f"answered {describe(answer)}")
            return ()
        return tuple(answer)

    def _answer(self, plugin: str, hook: str) -> Any:
        # One that hung once would hang again: a start waits for each plugin once at most.
        if plugin in self._silent:
            return None
        try:
            return ask_plugin(self._plugins.manager, plugin, hook, self._context(plugin))
        except NoAnswer:
            self._silent.add(plugin)
            limit = f"no answer within {REGISTRATION_DEADLINE_S:.0f} s"
            self._fault(plugin, hook, "overran", limit)
            return None
        except Raised as error:
            self._report(Fault(plugin, hook, "raised", str(error), places=error.places))
            return None

    def _fault(self, plugin: str, hook: str, kind: FaultKind, detail: str) -> None:
        self._report(Fault(plugin, hook, kind, UNSTORABLE.sub("?", detail)[:500]))


def _place(route: PluginRoute) -> object:
    """Two pages are at one place if only the names in their braces differ."""
    return re.sub(r"\{\w+\}", "{}", route.path)


def _shown(place: Callable[[Any], object], one: object) -> str:
    shown = place(one) if not isinstance(one, PluginRoute) else one.path
    return shown if isinstance(shown, str) else describe(shown)


def _text_problem(one: object) -> str | None:
    """Every text of a contribution is one that can be shown."""
    for field in fields(one):  # type: ignore[arg-type]
        value = getattr(one, field.name)
        if isinstance(value, str) and (
            not value.strip() or len(value) > LONGEST_LABEL or UNSTORABLE.search(value)
        ):
            return f"{field.name} must be 1 to {LONGEST_LABEL} characters"
    return None


# Annotations bind no plugin: each field is looked at.


def _route_problem(route: Any) -> str | None:
    path, methods = route.path, route.methods
    if not isinstance(path, str) or PATH.fullmatch(path) is None:
        return "its path must be like /rooms/{number}"
    parts = path.split("/")
    if not {".", ".."}.isdisjoint(parts):
        return "its path must not walk up"
    braces = [part for part in parts if part.startswith("{")]
    if len(braces) != len(set(braces)):
        return "its path names one part twice"
    if any(path == own or path.startswith(own + "/") for own in OWN_PATHS):
        return "this path is the core's"
    if not isinstance(methods, tuple) or not methods or not set(methods) <= set(METHODS):
        return "its methods must be of GET, POST"
    return (
        _upload_problem(route)
        or _permission_problem(route.permission)
        or _callable_problem(route.handler)
    )


def _upload_problem(route: Any) -> str | None:
    most, limit = route.max_upload_bytes, MAX_UPLOAD_BYTES if "POST" in route.methods else 0
    if type(most) is not int or not 0 <= most <= limit:
        return f"it takes 0 to {MAX_UPLOAD_BYTES} bytes of files, and only by POST"
    return None


def _nav_problem(item: Any) -> str | None:
    path = item.path
    if not isinstance(path, str) or PATH.fullmatch(path) is None or "{" in path:
        return "its path must be that of one of its pages"
    if not isinstance(item.label, str):
        return "its label must be a text"
    return _permission_problem(item.permission)


def _panel_problem(panel: Any) -> str | None:
    if not isinstance(panel.slot, str) or panel.slot not in SLOTS:
        return f"its slot must be one of {', '.join(SLOTS)}"
    if not isinstance(panel.title, str):
        return "its title must be a text"
    return _name_problem(panel.name) or _callable_problem(panel.handler)


def _check_problem(check: Any) -> str | None:
    if not isinstance(check.name, str):
        return "its name must be a text"
    return _callable_problem(check.check)


def _simulator_problem(simulator: Any) -> str | None:
    return _name_problem(simulator.name) or _callable_problem(simulator.start)


def _printer_problem(printer: Any) -> str | None:
    return _name_problem(printer.name) or _callable_problem(printer.print_slip)


def _announcer_problem(announcer: Any) -> str | None:
    return _name_problem(announcer.name) or _callable_problem(announcer.speak)


def _permission_problem(permission: object) -> str | None:
    if not isinstance(permission, Permission) or permission not in DECLARABLE:
        return "it declares no permission that a page can ask for"
    return None


def _name_problem(name: object) -> str | None:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        return "its name must be small letters, digits and hyphens"
    return None


def _callable_problem(function: object) -> str | None:
    return None if callable(function) else "its function cannot be called"
