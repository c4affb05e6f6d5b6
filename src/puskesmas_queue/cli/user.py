"""`user`: staff accounts."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import (
    command_actor,
    config_option,
    json_option,
    print_json,
    the_clinic,
)
from puskesmas_queue.domain.access import Role

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.services.accounts import PasswordLink


@click.group()
@config_option
def user() -> None:
    """Add, list, reset and disable staff accounts."""


@user.command()
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="The person's name; else the username.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; else a one-time link is printed.",
)
@config_option
@json_option
def add(username: str, role: str, name: str, password_stdin: bool, as_json: bool) -> None:
    """Add the account USERNAME."""
    from puskesmas_queue.services.accounts import add_user, invite_user

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    with the_clinic(with_plugins=False) as clinic:
        actor = command_actor()
        if password is None:
            link = invite_user(clinic, username, actor, role=Role(role), name=name)
            _print_link(clinic, link, as_json)
            return
        add_user(clinic, username, actor, role=Role(role), name=name, password=password)
    if as_json:
        print_json({"username": username, "role": role})
    else:
        click.echo(f"{username} can log in")


@user.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List all accounts, disabled ones too."""
    from puskesmas_queue.services.accounts import list_users

    with the_clinic(with_plugins=False) as clinic:
        found = list_users(clinic)
        timezone = clinic.timezone
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        state = "active  " if one.is_active else "disabled"
        last = one.last_login
        seen = f"{last.astimezone(timezone):%Y-%m-%d %H:%M}" if last else "never"
        click.echo(f"{one.username:<20}  {one.role:<13}  {state}  {seen:<16}  {one.name}")


@user.command()
@click.argument("username")
@config_option
@json_option
def reset(username: str, as_json: bool) -> None:
    """Make a one-time link with which USERNAME sets a new password."""
    from puskesmas_queue.services.accounts import reset_password

    with the_clinic(with_plugins=False) as clinic:
        link = reset_password(clinic, username, command_actor())
        _print_link(clinic, link, as_json)


@user.command()
@click.argument("username")
@config_option
def disable(username: str) -> None:
    """Disable USERNAME and end its sessions at once."""
    from puskesmas_queue.services.accounts import disable_user

    with the_clinic(with_plugins=False) as clinic:
        ended = disable_user(clinic, username, command_actor())
    click.echo(f"{username} is disabled, {ended} sessions ended")


def _print_link(clinic: "Clinic", link: "PasswordLink", as_json: bool) -> None:
    url = f"{clinic.config.staff_url}/reset/{link.token}"
    if as_json:
        print_json({"username": link.username, "url": url, "expires_at": link.expires_at})
        return
    until = link.expires_at.astimezone(clinic.timezone)
    click.echo(f"{link.username} sets a password at\n\n  {url}\n")
    click.echo(f"once, until {until:%Y-%m-%d %H:%M} {clinic.zone_label}.")
