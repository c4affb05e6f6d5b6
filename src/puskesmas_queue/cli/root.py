"""
The root of all commands.

A command's module is imported when it is asked for; each of them imports what is heavy (web,
database) inside its functions, so that `--help` answers at once. A test holds this. What is no
command of the core may be that of an active plugin, by the plugin's name.
"""

from importlib import import_module
from typing import Any

import click

from puskesmas_queue import __version__
from puskesmas_queue.cli.context import config_option
from puskesmas_queue.domain.errors import QueueError

COMMANDS = {
    "demo": "puskesmas_queue.cli.demo:demo",
    "init": "puskesmas_queue.cli.init:init",
    "serve": "puskesmas_queue.cli.serve:serve",
    "db": "puskesmas_queue.cli.db:db",
    "settings": "puskesmas_queue.cli.settings:settings",
    "user": "puskesmas_queue.cli.user:user",
    "device": "puskesmas_queue.cli.device:device",
    "plugin": "puskesmas_queue.cli.plugin:plugin",
    "keys": "puskesmas_queue.cli.keys:keys",
    "tls": "puskesmas_queue.cli.tls:tls",
    "simulate": "puskesmas_queue.cli.simulate:simulate",
    "doctor": "puskesmas_queue.cli.doctor:doctor",
}


class LazyGroup(click.Group):
    """Finds its commands by name and turns refusals into one line and exit 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        if cmd_name not in COMMANDS:
            from puskesmas_queue.cli.plugin_commands import plugin_command

            return plugin_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; where nobody knows the clinic, say that a plugin's needs it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if _knows_the_clinic():
                raise
            hint = f"Is it a plugin's? puskesmas-queue --config FILE {args[0]}"
            raise click.UsageError(f"{error.message} {hint}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever the product refuses is one clear line."""
        try:
            return super().invoke(ctx)
        except QueueError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


def _knows_the_clinic() -> bool:
    from puskesmas_queue.cli.context import read_config

    try:
        read_config()
    except QueueError:
        return False
    return True


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="puskesmas-queue", message="%(prog)s %(version)s")
@config_option
def main() -> None:
    """Queue and registration server for a clinic (puskesmas)."""
