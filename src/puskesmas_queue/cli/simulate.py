"""
`simulate`: a clinic's morning and load, and stand-ins for what plugins talk to.

Each stand-in is a real server on this machine.
"""

import signal
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import config_option, the_clinic
from puskesmas_queue.domain.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.extensions import RunningSimulator, Simulator


OWN = {
    "day": "puskesmas_queue.cli.simulate_day:day",
    "load": "puskesmas_queue.cli.simulate_load:load",
}
"""The core's own; a plugin's simulator of such a name is not found."""


class SimulatorGroup(click.Group):
    """Finds its commands among the core's own and the simulators of the active plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all; without a clinic there are no plugins."""
        try:
            with the_clinic() as clinic:
                return [*OWN, *sorted(simulators(clinic).keys() - OWN.keys())]
        except SetupError:
            return list(OWN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the core's own command, else the one that runs the simulator of that name."""
        if cmd_name in OWN:
            module, _, name = OWN[cmd_name].partition(":")
            own: click.Command = getattr(import_module(module), name)
            return own
        with the_clinic() as clinic:
            simulator = simulators(clinic).get(cmd_name)
        return None if simulator is None else _command(simulator)


@click.group(cls=SimulatorGroup, subcommand_metavar="NAME [OPTIONS]")
@config_option
def simulate() -> None:
    """Play a clinic's morning or load, or run a plugin's stand-in NAME until Ctrl+C."""


def simulators(clinic: "Clinic") -> "Mapping[str, Simulator]":
    """Return the simulators of all active plugins; of two with one name the first counts."""
    found: dict[str, Simulator] = {}
    for plugin in clinic.plugins.names:
        for simulator in clinic.contributions.simulators(plugin):
            found.setdefault(simulator.name, simulator)
    return found


def start(simulator: "Simulator", folder: Path, port: int = 0) -> "RunningSimulator":
    """
    Start a simulator.

    Raises:
        SetupError: It did not start.
    """
    try:
        return simulator.start(folder, port)
    except Exception as error:
        raise SetupError(f"simulator {simulator.name} did not start: {error}") from error


def _command(simulator: "Simulator") -> click.Command:
    @click.command(simulator.name)
    @click.option("--port", type=click.IntRange(0, 65535), default=0, help="Else any free one.")
    def run(port: int) -> None:
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
        with tempfile.TemporaryDirectory(prefix="puskesmas-simulator-") as folder:
            running = start(simulator, Path(folder), port)
            try:
                click.echo(f"{simulator.name} runs until Ctrl+C at {running.url}")
                stopped.wait()
            except KeyboardInterrupt:
                click.echo()
            finally:
                running.stop()

    run.help = f"Run the simulator {simulator.name}."
    return run
