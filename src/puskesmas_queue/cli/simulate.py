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
    from collections.abc import Set as AbstractSet

    from puskesmas_queue.clinic import Clinic

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
                return [*OWN, *sorted(_names(clinic) - OWN.keys())]
        except SetupError:
            return list(OWN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the core's own command, else the one that runs the simulator of that name."""
        if cmd_name in OWN:
            module, _, name = OWN[cmd_name].partition(":")
            own: click.Command = getattr(import_module(module), name)
            return own
        with the_clinic() as clinic:
            is_known = cmd_name in _names(clinic)
        return _command(cmd_name) if is_known else None


@click.group(cls=SimulatorGroup, subcommand_metavar="NAME [OPTIONS]")
@config_option
def simulate() -> None:
    """Play a clinic's morning or load, or run a plugin's stand-in NAME until Ctrl+C."""


def _names(clinic: "Clinic") -> "AbstractSet[str]":
    from puskesmas_queue.services.simulators import simulators

    return simulators(clinic).keys()


def _command(name: str) -> click.Command:
    @click.command(name)
    @click.option("--port", type=click.IntRange(0, 65535), default=0, help="Else any free one.")
    def run(port: int) -> None:
        from puskesmas_queue.services.simulators import start_simulator

        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
        with tempfile.TemporaryDirectory(prefix="puskesmas-simulator-") as folder:
            with the_clinic() as clinic:
                running = start_simulator(clinic, name, Path(folder), port)
            try:
                click.echo(f"{name} runs until Ctrl+C at {running.url}")
                stopped.wait()
            except KeyboardInterrupt:
                click.echo()
            finally:
                running.end()

    run.help = f"Run the simulator {name}."
    return run
