"""`device`: kiosks, TVs, speakers and counters that are paired with the server."""

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
from puskesmas_queue.cli.start_page import start_page
from puskesmas_queue.domain.devices import DeviceKind

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.services.devices import WaitingDevice


@click.group()
@config_option
def device() -> None:
    """Pair, list and revoke kiosks, TVs, speakers and counter computers."""


device.add_command(start_page)


@device.command()
@click.argument("kind", type=click.Choice([kind.value for kind in DeviceKind]))
@click.option("--name", default="", help="What staff call it; else its kind.")
@click.option("--zone", default="", help="The hall that it stands in; else the first.")
@click.option("--counter", type=int, help="The counter that it is fixed to, for kind counter.")
@config_option
@json_option
def pair(kind: str, name: str, zone: str, counter: int | None, as_json: bool) -> None:
    """Make a device of KIND and print the code that its machine is paired with."""
    from puskesmas_queue.services.devices import add_device
    from puskesmas_queue.services.line import default_zone

    with the_clinic(with_plugins=False) as clinic:
        made = add_device(
            clinic,
            DeviceKind(kind),
            name or kind,
            command_actor(),
            zone=zone or default_zone(clinic),
            counter=counter,
        )
        _print_code(clinic, made, as_json)


@device.command()
@click.argument("device_id", metavar="ID", type=int)
@config_option
@json_option
def code(device_id: int, as_json: bool) -> None:
    """Print a new code for the device ID: for its machine, or another one in its place."""
    from puskesmas_queue.services.devices import renew_code

    with the_clinic(with_plugins=False) as clinic:
        _print_code(clinic, renew_code(clinic, device_id, command_actor()), as_json)


@device.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """List all devices, revoked ones too."""
    from puskesmas_queue.services.devices import all_devices

    with the_clinic(with_plugins=False) as clinic:
        found = all_devices(clinic)
        now, timezone = clinic.clock.now(), clinic.timezone
    if as_json:
        print_json([{**asdict(one), "state": one.state(now)} for one in found])
        return
    for one in found:
        seen = f"{one.seen_at.astimezone(timezone):%Y-%m-%d %H:%M}" if one.seen_at else "never"
        place = f"{one.zone} {one.counter or ''}".strip()
        click.echo(
            f"{one.id:>4}  {one.kind:<7}  {one.state(now):<7}  {seen:<16}  "
            f"{one.seen_address or '-':<15}  {place:<10}  {one.name}"
        )


@device.command()
@click.argument("device_id", metavar="ID", type=int)
@config_option
def revoke(device_id: int) -> None:
    """Revoke the device ID: its screen goes dark within a second."""
    from puskesmas_queue.services.devices import revoke_device

    with the_clinic(with_plugins=False) as clinic:
        revoke_device(clinic, device_id, command_actor())
    click.echo(f"device {device_id} is revoked")


def _print_code(clinic: "Clinic", made: "WaitingDevice", as_json: bool) -> None:
    one = made.device
    expires_at = one.code_expires_at
    assert expires_at is not None
    url = f"{clinic.config.staff_url}/pair"
    if as_json:
        values = {"id": one.id, "kind": one.kind, "name": one.name, "zone": one.zone}
        print_json(
            {
                **values,
                "counter": one.counter,
                "code": made.code,
                "expires_at": expires_at,
                "url": url,
            }
        )
        return
    until = expires_at.astimezone(clinic.timezone)
    click.echo(f'On the machine that becomes the {one.kind} "{one.name}", open\n\n  {url}\n')
    click.echo(f"and type the code\n\n  {made.code[:4]} {made.code[4:]}\n")
    click.echo(f"once, until {until:%H:%M} {clinic.zone_label}.")
