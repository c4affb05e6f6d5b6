"""
Finds installed plugins and imports them, each by itself.

What a distribution says of itself is read without running any of its code; only `load` runs some,
on a thread that can be given up. Nothing here raises for what a plugin did wrong: each problem is
one line, and the plugin is not used.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    distribution,
    distributions,
)

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from puskesmas_queue import __version__
from puskesmas_queue.logs import speak_again
from puskesmas_queue.plugin_host.describing import UNSTORABLE
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer, Raised
from puskesmas_queue.plugin_host.manager import implemented, make_manager, register

GROUP = "puskesmas_queue.plugins"
CORE = "puskesmas-queue"
IMPORT_DEADLINE_S = 10.0
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{2,39}")
NAME_FORM = "3 to 40 small letters, digits and underscores, a letter first"
RESERVED = frozenset(
    # Sections of settings, of the file and of the database.
    {"booking", "clinic", "counter", "database", "display", "formats", "kiosk", "plugins", "queue"}
    | {"security", "server", "texts"}
    # Commands.
    | {"audit", "backup", "demo", "device", "doctor", "import", "init", "keys", "plugin", "serve"}
    | {"settings", "simulate", "tls", "user"}
    # Tables, and what stands before an underscore in the name of one.
    | {"announcements", "api", "counters", "day", "deliveries", "devices", "events", "hook"}
    | {"idempotency", "lines", "login", "password", "printer", "refresh", "sessions", "speakers"}
    | {"tickets", "token", "topic", "units", "users", "zones"}
    | {"core", "puskesmas", "puskesmas_queue"}
)
"""Names under which a plugin's settings, commands or tables would stand over the core's."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    One plugin that some installed distribution offers.

    Args:
        name: As it stands in `plugins.active`.
        distribution: Who offers it, as pip knows it.
        version: The distribution's.
        problems: Why it cannot be used, one line each; empty where nothing speaks against it.
        entry_point: Where its code is; None where even that could not be read.
    """

    name: str
    distribution: str
    version: str
    problems: tuple[str, ...] = ()
    entry_point: EntryPoint | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin's object and the hooks it implements, or the reason why it cannot be used."""

    found: Found
    plugin: object = None
    hooks: tuple[str, ...] = ()
    reason: str | None = None


# Names


def name_problem(name: str) -> str | None:
    """Say in one line why a plugin cannot have this name."""
    if NAME_PATTERN.fullmatch(name) is None:
        return f"its name must be {NAME_FORM}"
    if name in RESERVED or name.startswith("default"):
        return f'the name "{name}" is taken by the core'
    return None


# Finding


def discover() -> list[Found]:
    """Find every plugin that is installed, by name, without importing any."""
    found = [plugin for offers in _offering() for plugin in _plugins_of(offers)]
    times = Counter(plugin.name for plugin in found)
    found = [
        replace(plugin, problems=(*plugin.problems, _claimed(plugin, found)))
        if times[plugin.name] > 1
        else plugin
        for plugin in found
    ]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def _offering() -> list[list[Distribution]]:
    """Find the distributions that offer plugins; copies and other versions of one together."""
    grouped: dict[str, list[Distribution]] = {}
    for one in distributions():
        # pip sets aside under a tilde what it is about to remove, and may not come back for it.
        is_leftover = _folder(one).startswith("~")
        if not is_leftover and GROUP in (_text(one, "entry_points.txt") or ""):
            grouped.setdefault(canonicalize_name(_name(one)), []).append(one)
    return list(grouped.values())


def _plugins_of(copies: list[Distribution]) -> Iterator[Found]:
    """Read the plugins of one distribution, which may lie on the path more than once."""
    first = copies[0]
    name, version = _name(first), _version(first)
    problems = tuple(_distribution_problems(copies))
    entry_points: dict[str, EntryPoint] = {}
    doubled: set[str] = set()
    for copy in copies:
        seen: set[str] = set()
        try:
            offered = [one for one in copy.entry_points if one.group == GROUP]
        except Exception as error:  # noqa: BLE001 - a broken file breaks in many ways
            unreadable = f"its entry points cannot be read: {_line(str(error))}"
            yield Found(_line(name), _line(name), _line(version), (unreadable,))
            return
        for one in offered:
            if one.name in seen:
                doubled.add(one.name)
            seen.add(one.name)
            entry_points.setdefault(one.name, one)
    for one in entry_points.values():
        own = [problem for problem in (name_problem(one.name),) if problem]
        if one.name in doubled:
            own.append(f"{_line(name)} offers this name more than once")
        yield Found(_line(one.name), _line(name), _line(version), (*own, *problems), one)


def _claimed(plugin: Found, found: Iterable[Found]) -> str:
    others = sorted(
        f"{one.distribution} {one.version}"
        for one in found
        if one.name == plugin.name and one is not plugin
    )
    return f"its name is also offered by {', '.join(others)}: uninstall all but one"


def _distribution_problems(copies: list[Distribution]) -> Iterator[str]:
    one, name = copies[0], _name(copies[0])
    if _text(one, "METADATA") is None and _text(one, "PKG-INFO") is None:
        yield f"{_line(name)} is only half installed: install it again"
        return
    versions = sorted({_version(copy) for copy in (*copies, *distributions(name=name))})
    if len(versions) > 1:
        listed = f"two versions of {name} are installed, {', '.join(versions)}"
        yield f"{_line(listed)}: uninstall it, then install one"
    for text in one.requires or ():
        problem = _requirement_problem(text)
        if problem is not None:
            yield _line(problem)


def _requirement_problem(text: str) -> str | None:
    """Say why a requirement is not met; optional extras are not looked at."""
    try:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            return None
    except ValueError:
        return f'its requirement "{text}" cannot be read'
    is_core = canonicalize_name(wanted.name) == CORE
    try:
        there = __version__ if is_core else _version(distribution(wanted.name))
    except PackageNotFoundError:
        return f"it needs {_shown(wanted)}, which is not installed"
    try:
        # Who installed a pre-release means to use it.
        is_met = wanted.specifier.contains(Version(there), prereleases=True)
    except InvalidVersion:
        is_met = not wanted.specifier
    if is_met:
        return None
    return f"it needs {_shown(wanted)}, but {'this' if is_core else 'installed'} is {there}"


def _shown(wanted: Requirement) -> str:
    return f"{wanted.name} {wanted.specifier}".strip()


def _text(one: Distribution, name: str) -> str | None:
    try:
        return one.read_text(name)
    except (OSError, UnicodeDecodeError):
        return None


def _folder(one: Distribution) -> str:
    """Name the folder that holds what is known of a distribution, if it has one."""
    return str(getattr(getattr(one, "_path", None), "name", ""))


def _name(one: Distribution) -> str:
    return _field(one, "Name") or _folder(one)


def _version(one: Distribution) -> str:
    return _field(one, "Version") or "unknown"


def _field(one: Distribution, name: str) -> str | None:
    try:
        values = one.metadata.get_all(name)
    except Exception:  # noqa: BLE001 - newer Pythons raise where there is none
        return None
    return str(values[0]) if values else None


def _line(text: str) -> str:
    """Make one line of bounded length of foreign words."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))[:300]


# Loading


def load(found: Found, deadline_s: float = IMPORT_DEADLINE_S) -> Loaded:
    """
    Import a plugin and see whether its hooks are the core's.

    Args:
        found: What `discover` found.
        deadline_s: How long its import may take, seconds; then it is given up.
    """
    if found.problems:
        return Loaded(found, reason=found.problems[0])
    assert found.entry_point is not None
    guard = Guard()
    try:
        plugin, hooks, reason = guard.call(lambda: _import(found), deadline_s)
    except NoAnswer:
        guard.end()
        return Loaded(found, reason=f"import did not finish in {deadline_s:g} s")
    except Raised as error:
        plugin, hooks, reason = None, (), f"import raised {_line(str(error))}"
    finally:
        speak_again()
    guard.retire()
    if reason is not None:
        return Loaded(found, reason=reason)
    return Loaded(found, plugin, hooks)


def _import(found: Found) -> tuple[object, tuple[str, ...], str | None]:
    """Import and try the plugin out on a manager of its own; runs foreign code."""
    assert found.entry_point is not None
    plugin: object = found.entry_point.load()
    manager = make_manager(())
    reason = register(manager, found.name, plugin)
    if reason is not None:
        return None, (), _line(reason)
    hooks = implemented(manager, found.name)
    if not hooks:
        return None, (), "it implements no hook: is @hookimpl missing?"
    return plugin, hooks, None
