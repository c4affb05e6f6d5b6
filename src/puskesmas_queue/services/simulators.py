"""
Stand-ins for what plugins talk to, started and ended whatever their plugin does.

Source: architecture, section 2, "simulators".
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.extensions import Simulator
from puskesmas_queue.plugin_host.describing import describe
from puskesmas_queue.plugin_host.dispatch import LIFE_BUSY_S
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer, Raised
from puskesmas_queue.plugin_host.outcomes import Fault, PluginFailed

START_DEADLINE_S = 10.0
STOP_DEADLINE_S = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """
    A simulator that runs at an address; `end` never raises and never hangs.

    Args:
        name: The simulator's.
        plugin: Who brought it.
        url: Where people look at it.
        stop: Ends it.
        settings: Of its plugin, with which that uses it.
    """

    name: str
    plugin: str
    url: str
    stop: Callable[[], object]
    settings: Mapping[str, str]

    def end(self) -> None:
        """End it, as far as it lets itself be ended."""
        guard = Guard()
        try:
            guard.call(self.stop, STOP_DEADLINE_S, LIFE_BUSY_S)
        except NoAnswer as error:
            guard.end()
            log.warning("simulator %s did not stop: %s", self.name, error)
            return
        except Raised as error:
            log.warning("simulator %s stopped badly: %s", self.name, error)
        guard.retire()


def simulators(clinic: Clinic) -> Mapping[str, tuple[str, Simulator]]:
    """Return plugin and simulator by the simulator's name; of two with one name the first."""
    found: dict[str, tuple[str, Simulator]] = {}
    for plugin in clinic.plugins.names:
        for one in clinic.contributions.simulators(plugin):
            first, _ = found.setdefault(one.name, (plugin, one))
            if first != plugin:
                detail = f"{one.name}: {first} has a simulator of this name"
                clinic.hooks.report(Fault(plugin, "register_simulators", "nonsense", detail))
    return found


def start_simulator(clinic: Clinic, name: str, folder: Path, port: int = 0) -> Running:
    """
    Start a simulator.

    Args:
        clinic: Whose plugins are asked.
        name: The simulator's.
        folder: Where it may keep files.
        port: 0 for any that is free.

    Raises:
        SetupError: It did not start; its plugin's fault was reported.
        KeyError: There is none of this name.
    """
    plugin, simulator = simulators(clinic)[name]

    def task() -> Running:
        made = simulator.start(folder, port)
        url: object = getattr(made, "url", None)
        stop: object = getattr(made, "stop", None)
        if not isinstance(url, str) or not callable(stop):
            raise TypeError(f"answered {describe(made)}, which has no url and no stop")
        told: object = getattr(made, "settings", {})
        if not isinstance(told, Mapping) or not all(
            isinstance(one, str) for pair in told.items() for one in pair
        ):
            raise TypeError(f"has settings {describe(told)}, which are no texts by name")
        settings = {str.__str__(key): str.__str__(text) for key, text in told.items()}
        return Running(name, plugin, str.__str__(url), stop, settings)

    try:
        running: Running = clinic.hooks.run(
            plugin, f"simulator {name}", task, START_DEADLINE_S, LIFE_BUSY_S
        )
    except PluginFailed as error:
        raise SetupError(f"simulator {name} did not start: {error}") from error
    return running
