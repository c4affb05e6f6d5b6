"""
What a plugin may look at, and the checks and simulators that it brings along.

Shapes only; `hookspecs` says which hook takes which. Pages are in `plugin_pages`, printers and
announcers in `plugin_ports`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")


class SettingsReader(Protocol):
    """Reads the clinic's settings."""

    def get(self, key: str) -> Any:
        """Return the parsed value of a setting."""


class PluginData(Protocol):
    """
    A plugin's own tables.

    `do` is called with a `sqlalchemy.Connection` inside a transaction; what it returns is
    returned. Tables are made by the plugin's migrations and their names begin with the plugin's
    name and an underscore.
    """

    def read(self, do: Callable[[Any], T]) -> T:
        """
        Look something up.

        Raises:
            PluginDataUnavailable: The database cannot be reached, or a migration failed.
        """

    def write(self, do: Callable[[Any], T]) -> T:
        """
        Change something, all of it or nothing; one writer at a time on SQLite.

        Raises:
            PluginDataUnavailable: See `read`.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """
    What every hook may look at beside its arguments.

    Args:
        clinic_id: Of this clinic; part of the key of every row.
        clinic_name: For people.
        settings: `settings.get("queue.priority_ratio")` and every other setting of the clinic.
        now: The clinic's clock, aware, in UTC.
        zone: The clinic's zone, which need not be that of the computer.
        config: The plugin's own settings, an instance of the model that its `register_settings`
            gave; None where it has none or cannot have them.
        data: Its own tables; None in decisions and vetoes, which do no I/O, and where it brings
            no migrations.
        folder: Where it keeps files, `plugins/<name>` beside `puskesmas.toml`; whoever writes
            there first makes it. None in decisions and vetoes.
    """

    clinic_id: str
    clinic_name: str
    settings: SettingsReader
    now: datetime
    zone: tzinfo
    config: Any = None
    data: PluginData | None = None
    folder: Path | None = None

    @property
    def local_now(self) -> datetime:
        """What the clinic's clocks show, aware, in the clinic's zone."""
        return self.now.astimezone(self.zone)


@dataclass(frozen=True, slots=True)
class Health:
    """
    How something stands.

    Args:
        state: `ok`; `note` is worth knowing; `wrong` needs somebody.
        text: One line that says what; the page looks it up in the plugin's catalogues.
        values: What stands in it in place of `%(name)s`: texts and numbers by name.
    """

    state: Literal["ok", "note", "wrong"]
    text: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)

    def line(self, told: Callable[[str], str] = str) -> str:
        """
        Return the whole line.

        Args:
            told: Says a text in the reader's language; none leaves it as it is.

        Raises:
            KeyError, TypeError, ValueError: Text and values do not fit.
        """
        return told(self.text) % self.values if self.values else told(self.text)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """
    Something that `doctor` and the page of plugins look at.

    Args:
        name: What is looked at, for people.
        check: Sync, 5 s.
    """

    name: str
    check: Callable[[Context], Health]


class RunningSimulator(Protocol):
    """
    A simulator that runs.

    It may have `settings` too, texts by name: settings of its plugin with which that uses the
    simulator. A demo stores them at each start.
    """

    url: str
    """Where it can be reached."""

    def stop(self) -> None:
        """End it and let go of its port."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """
    A stand-in for a plugin's foreign side, for `simulate NAME`, the demo and tests.

    Args:
        name: Small letters, digits and hyphens.
        start: Starts a real server on loopback: a folder of its own, and a port, 0 for any.
    """

    name: str
    start: Callable[[Path, int], RunningSimulator]
