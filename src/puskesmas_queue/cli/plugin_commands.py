"""Commands that plugins bring along."""

import click

from puskesmas_queue.cli.context import read_config, the_clinic
from puskesmas_queue.domain.errors import SetupError

HOOK = "register_commands"


def plugin_command(ctx: click.Context, name: str) -> click.Command | None:
    """
    Return the command of the active plugin of that name, None where no such plugin is active.

    The clinic stays open, and the plugin's context is the command's object, until the command ends.

    Raises:
        SetupError: The plugin is active and has no command.
    """
    try:
        is_active = name in read_config().plugins.active
    except SetupError:
        # Without a clinic there are the core's commands only.
        return None
    if not is_active:
        return None
    clinic = ctx.with_resource(the_clinic())
    status = clinic.plugins.status(name)
    if status is None or status.is_broken:
        raise SetupError(f"plugin {name} cannot be used: {status.reason if status else 'unknown'}")
    command = clinic.contributions.command(name)
    if command is None:
        raise SetupError(f"plugin {name} has no commands: see puskesmas-queue plugin doctor {name}")
    ctx.obj = clinic.plugin_context(name)
    return command
