"""`settings`: what a clinic changes from day to day, its plugins' settings too."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import (
    command_actor,
    config_option,
    json_option,
    print_json,
    read_config,
    the_clinic,
)

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic


@click.group()
@config_option
def settings() -> None:
    """Show and change the settings of the clinic and of its plugins."""


@settings.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List every setting with its value; a plugin's are named NAME.FIELD."""
    from puskesmas_queue.services.options import list_options

    with clinic_and_plugins() as clinic:
        values = {one.key: one.value for one in list_options(clinic)}
        for name in clinic.plugins.names:
            values |= plugin_values(clinic, name)
    if as_json:
        print_json(values)
        return
    width = max(len(key) for key in values)
    for key, value in values.items():
        click.echo(f"{key:<{width}}  {value}".rstrip())


@settings.command("get")
@click.argument("key")
@config_option
@json_option
def get(key: str, as_json: bool) -> None:
    """Show the value of KEY; of a secret only whether there is one."""
    from puskesmas_queue.services.options import get_option
    from puskesmas_queue.services.plugin_settings import field_state

    plugin, field = plugin_field(key)
    if plugin:
        with clinic_and_plugins() as clinic:
            value = field_state(clinic, plugin, field).told
    else:
        with the_clinic(with_plugins=False) as clinic:
            value = get_option(clinic, key).value
    if as_json:
        print_json({key: value})
    else:
        click.echo(value)


@settings.command("set")
@click.argument("key")
@click.argument("value")
@config_option
def set_(key: str, value: str) -> None:
    """Change KEY to VALUE, or to what is typed where that is -; a server follows at once."""
    from puskesmas_queue.services.options import set_option
    from puskesmas_queue.services.plugin_settings import field_state, set_field

    if value == "-":
        value = typed(key)
    plugin, field = plugin_field(key)
    if plugin:
        with clinic_and_plugins() as clinic:
            set_field(clinic, plugin, field, value, command_actor())
            value = field_state(clinic, plugin, field).told
    else:
        with the_clinic(with_plugins=False) as clinic:
            set_option(clinic, key, value, command_actor())
        for name in nobody_brings(key):
            click.echo(f"nobody brings {name}: is its plugin enabled?", err=True)
    click.echo(f"{key} = {value}".rstrip())


def typed(key: str) -> str:
    """Ask for a value unseen, or take the line that another program sends."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    value: str = click.prompt(key, default="", hide_input=True, show_default=False, err=True)
    return value


def plugin_field(key: str) -> tuple[str, str]:
    """Split NAME.FIELD of an active plugin; two empty texts for a setting of the core."""
    name, _, field = key.partition(".")
    return (name, field) if name in read_config().plugins.active else ("", "")


def nobody_brings(key: str) -> list[str]:
    """Name the printers or voices in a setting's order that are not there."""
    from puskesmas_queue.services.providers import ORDERS, missing

    if key not in ORDERS:
        return []
    with clinic_and_plugins() as clinic:
        return [name for setting, name in missing(clinic) if setting == key]


@contextmanager
def clinic_and_plugins() -> "Iterator[Clinic]":
    """Open the clinic; what its plugins print does not mix with the answer."""
    printed = sys.stdout
    with redirect_stdout(sys.stderr), the_clinic() as clinic, redirect_stdout(printed):
        yield clinic


def plugin_values(clinic: "Clinic", plugin: str) -> dict[str, str]:
    """Return what a plugin's fields hold; nothing where it has none that can be used."""
    from puskesmas_queue.domain.errors import NotFound, PluginSettingsInvalid
    from puskesmas_queue.services.plugin_settings import field_states

    try:
        states = field_states(clinic, plugin)
    except (NotFound, PluginSettingsInvalid):
        return {}
    return {f"{plugin}.{one.field.key}": one.told for one in states}
