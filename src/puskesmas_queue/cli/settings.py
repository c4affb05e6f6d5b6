"""`settings`: what a clinic changes from day to day."""

import click

from puskesmas_queue.cli.context import (
    command_actor,
    config_option,
    json_option,
    print_json,
    the_clinic,
)


@click.group()
@config_option
def settings() -> None:
    """Show and change the clinic's settings."""


@settings.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List every setting with its value."""
    from puskesmas_queue.services.options import list_options

    with the_clinic(with_plugins=False) as clinic:
        values = {one.key: one.value for one in list_options(clinic)}
    if as_json:
        print_json(values)
        return
    width = max(len(key) for key in values)
    for key, value in values.items():
        click.echo(f"{key:<{width}}  {value}")


@settings.command("get")
@click.argument("key")
@config_option
@json_option
def get(key: str, as_json: bool) -> None:
    """Show the value of KEY."""
    from puskesmas_queue.services.options import get_option

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
    """Change KEY to VALUE; a running server follows at once."""
    from puskesmas_queue.services.options import set_option

    with the_clinic(with_plugins=False) as clinic:
        set_option(clinic, key, value, command_actor())
    click.echo(f"{key} = {value}")
