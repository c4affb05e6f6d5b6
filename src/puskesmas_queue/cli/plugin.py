"""`plugin`: what is installed, what is used, and a new one."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from puskesmas_queue.cli.context import (
    command_actor,
    config_option,
    json_option,
    print_json,
    read_config,
    the_clinic,
)
from puskesmas_queue.domain.errors import QueueError, SetupError
from puskesmas_queue.settings import overriding_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puskesmas_queue.plugin_host.registry import PluginSet, PluginStatus
    from puskesmas_queue.services.plugin_health import PluginHealth
    from puskesmas_queue.storage.faults import FaultRow

RESTART = "restart the server to make it so"


@click.group()
@config_option
def plugin() -> None:
    """List, enable, disable, examine and make plugins."""


def quietly_loaded(active: "Sequence[str]") -> "PluginSet":
    """Load plugins; what they print while they are imported does not mix with the answer."""
    from puskesmas_queue.plugin_host.registry import load_plugins

    with redirect_stdout(sys.stderr):
        return load_plugins(active, ())


# List


@plugin.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List every installed plugin, and every one that should be."""
    statuses = quietly_loaded(read_config().plugins.active).statuses
    off = _switched_off()
    if as_json:
        print_json([{**asdict(one), "is_switched_off": one.name in off} for one in statuses])
        return
    if not statuses:
        click.echo("no plugin is installed")
    for status in statuses:
        note = "  its decisions are switched off" if status.name in off else ""
        click.echo(_row(status) + note)


def _switched_off() -> set[str]:
    """Name the plugins whose decisions are not asked for; none where no database tells."""
    from puskesmas_queue.storage import faults

    try:
        with the_clinic(with_plugins=False) as clinic:
            return clinic.db.read(faults.switched_off)
    except QueueError:
        return set()


def _row(status: "PluginStatus") -> str:
    source = f"{status.distribution} {status.version}".strip()
    reason = f"  {status.reason}" if status.reason else ""
    return f"{status.name:<20}  {status.state:<9}  {source}{reason}".rstrip()


# Enable, disable


@plugin.command()
@click.argument("name")
@config_option
def enable(name: str) -> None:
    """Use the installed plugin NAME; forget its faults, let it decide again if it did not."""
    from puskesmas_queue.cli.config_file import set_active
    from puskesmas_queue.services.plugins import switch_on

    config = read_config()
    active = config.plugins.active
    is_new = name not in active
    if is_new:
        _refuse_override()
    status = quietly_loaded([name]).status(name)
    if status is None or status.state != "active":
        raise SetupError(f"plugin {name} cannot be used: {status.reason if status else 'unknown'}")
    with the_clinic(with_plugins=False) as clinic:
        had_faults = switch_on(clinic, name, command_actor())
    if is_new:
        set_active(config, (*active, name))
    if is_new or had_faults:
        again = "" if is_new else " again"
        click.echo(f"{name} {status.version} is enabled{again}: {RESTART}")
    else:
        after = "restart the server after a change of its code"
        click.echo(f"{name} {status.version} is enabled already; {after}")


@plugin.command()
@click.argument("name")
@config_option
def disable(name: str) -> None:
    """Use the plugin NAME no more; its data stays."""
    from puskesmas_queue.cli.config_file import set_active
    from puskesmas_queue.plugin_host.loading import discover
    from puskesmas_queue.plugin_host.registry import missing_reason

    config = read_config()
    if name in config.plugins.active:
        _refuse_override()
        set_active(config, tuple(one for one in config.plugins.active if one != name))
        click.echo(f"{name} is disabled: {RESTART}")
        return
    found = discover()
    if all(one.name != name for one in found):
        raise SetupError(f"no plugin {name}: {missing_reason(name, found)}")
    click.echo(f"{name} is disabled already")


def _refuse_override() -> None:
    variable = overriding_variable("plugins.active")
    if variable is not None:
        raise SetupError(f"the environment wins over the file: change {variable}")


# Doctor


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that is known of one plugin."""

    status: "PluginStatus"
    hooks: tuple[str, ...]
    faults: "tuple[FaultRow, ...]"
    deliveries: dict[str, int]
    health: "tuple[PluginHealth, ...]"

    @property
    def is_well(self) -> bool:
        """Whether nobody needs to look after it."""
        is_off = any(row.is_switched_off for row in self.faults)
        is_ill = any(found.health.state == "wrong" for found in self.health)
        return not (self.status.is_broken or is_ill or (is_off and self.status.state == "active"))

    def as_json(self) -> dict[str, Any]:
        """Return what a program may read."""
        return {
            **asdict(self.status),
            "hooks": list(self.hooks),
            "faults": [
                {key: value for key, value in asdict(row).items() if key != "plugin"}
                for row in self.faults
            ],
            "deliveries": self.deliveries,
            "health": [
                {"name": one.name, "state": one.health.state, "text": one.health.line()}
                for one in self.health
            ],
        }


@plugin.command()
@click.argument("name", required=False)
@config_option
@json_option
def doctor(name: str | None, as_json: bool) -> None:
    """Examine plugins, or NAME alone; exit 1 where one is broken or switched off."""
    config = read_config()
    active = config.plugins.active
    # Who asks for a plugin by name wants to know whether it could be used.
    plugins = quietly_loaded(active if name is None else [name])
    statuses = [status for status in plugins.statuses if name in (None, status.name)]
    if name is not None and name not in active:
        if any(status.state == "missing" for status in statuses):
            raise SetupError(f"no plugin {name}: {statuses[0].reason}")
        statuses = [replace(one, state="available") for one in statuses]
    faults, deliveries, health, trouble = _recorded(name)
    found = [
        Examined(
            status,
            plugins.hooks(status.name) if status.reason is None else (),
            tuple(row for row in faults if row.plugin == status.name),
            {state: n for (whose, state), n in deliveries.items() if whose == status.name},
            tuple(one for one in health if one.plugin == status.name),
        )
        for status in statuses
    ]
    if as_json:
        print_json({"plugins": [one.as_json() for one in found], "database": trouble or "ok"})
    else:
        _show(found, trouble, ZoneInfo(config.clinic.zone))
    if trouble or not all(one.is_well and (not name or one.status.reason is None) for one in found):
        raise click.exceptions.Exit(1)


Recorded = tuple["list[FaultRow]", dict[tuple[str, str], int], "list[PluginHealth]", "str | None"]


def _recorded(name: str | None) -> Recorded:
    """
    Read faults and deliveries, and let the active plugins look at what is theirs.

    Returns:
        Those three, and what stood in the way.
    """
    from puskesmas_queue.services.doctoring import plugin_faults
    from puskesmas_queue.services.facts import delivery_counts
    from puskesmas_queue.services.plugin_health import plugin_health

    try:
        with redirect_stdout(sys.stderr), the_clinic() as clinic:
            wanted = [one for one in clinic.plugins.names if name in (None, one)]
            health = [found for one in wanted for found in plugin_health(clinic, one)]
            return plugin_faults(clinic), delivery_counts(clinic), health, None
    except QueueError as error:
        return [], {}, [], str(error)


def _show(found: "Sequence[Examined]", trouble: str | None, zone: ZoneInfo) -> None:
    from puskesmas_queue.services.doctoring import fault_line

    if not found:
        click.echo("no plugin is installed")
    for one in found:
        click.echo(_row(one.status))
        if one.hooks:
            click.echo(f"  hooks       {', '.join(one.hooks)}")
        for row in one.faults:
            click.echo(f"  fault       {fault_line(row, zone)}")
        if one.status.state == "active" and any(row.is_switched_off for row in one.faults):
            click.echo(f"  it decides again after: plugin enable {one.status.name}, and a restart")
        for check in one.health:
            click.echo(f"  {check.health.state:<10}  {check.name}: {check.health.line()}")
        if one.deliveries:
            counted = ", ".join(f"{n} {state}" for state, n in sorted(one.deliveries.items()))
            click.echo(f"  deliveries  {counted}")
    if trouble:
        click.echo(f"faults and deliveries are unknown: {trouble}")


# New


@plugin.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where the plugin's folder is made; else here.",
)
@config_option
def new(name: str, folder: Path) -> None:
    """Make the folder of a new plugin NAME, ready to install and to change."""
    from puskesmas_queue.cli.new_plugin import make_distribution

    made = make_distribution(name, folder.absolute())
    click.echo(f"the plugin {name} is in {made}\n")
    click.echo(f'  pip install -e "{made}[dev]"\n  puskesmas-queue plugin enable {name}\n')
    click.echo("Its README.md says how to go on.")
