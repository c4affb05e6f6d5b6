"""Plugins of a demo: voice and receipt printer from the start, and simulators for devices."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import DEMO_CLOCK_NAME, command_actor
from puskesmas_queue.domain.errors import QueueError, SetupError
from puskesmas_queue.settings import Config, PluginsConfig

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.services.simulators import Running


@dataclass(frozen=True, slots=True)
class Official:
    """
    A plugin that comes with the product.

    Args:
        plugin: Its name.
        setting: The order that it has a place in.
        provider: What it brings there.
    """

    plugin: str
    setting: str
    provider: str


OFFICIAL = (
    Official("escpos_printer", "kiosk.printers", "escpos"),
    Official("tts", "display.announcers", "tts"),
)


def equip(config: Config) -> None:
    """
    Let a new demo use the official plugins that are installed, each before the browser.

    One that is broken is named and left out: there is a demo all the same.
    """
    from puskesmas_queue.cli.config_file import set_active
    from puskesmas_queue.cli.plugin import quietly_loaded

    statuses = quietly_loaded([one.plugin for one in OFFICIAL]).statuses
    names = [one.name for one in statuses if one.state == "active"]
    for status in statuses:
        if status.state == "disabled":
            click.echo(f"without plugin {status.name}: {status.reason}", err=True)
    if not names:
        return
    try:
        set_active(config, names)
        _prefer(replace(config, plugins=PluginsConfig(tuple(names))))
    except QueueError as error:
        click.echo(f"without plugins: {error}", err=True)


@contextmanager
def simulating(config: Config) -> Iterator[dict[str, str]]:
    """Run the simulators of the active plugins, those that start; each one's address by name."""
    from puskesmas_queue.services.simulators import simulators, start_simulator

    if not config.plugins.active:
        yield {}
        return
    with ExitStack() as stack:
        urls = {}
        clinic = _opened(config)
        try:
            for name in simulators(clinic):
                folder = config.folder / "simulators" / name
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    running = start_simulator(clinic, name, folder)
                except SetupError as error:
                    click.echo(f"without it: {error}", err=True)
                    continue
                stack.callback(running.end)
                urls[name] = running.url
                _point_at(clinic, running)
        finally:
            clinic.close()
        yield urls


def _prefer(config: Config) -> None:
    """Name what the plugins bring before the browser, where they really bring it."""
    from puskesmas_queue.services.options import set_option

    clinic = _opened(config)
    try:
        brought = {*clinic.contributions.printers(), *clinic.contributions.announcers()}
        for one in OFFICIAL:
            if one.provider in brought:
                set_option(clinic, one.setting, f"{one.provider}, browser", command_actor())
    finally:
        clinic.close()


def _point_at(clinic: "Clinic", running: "Running") -> None:
    """Give a plugin the settings with which it uses its simulator; ports are new at each start."""
    from puskesmas_queue.services.plugin_settings import set_field

    for key, text in running.settings.items():
        try:
            set_field(clinic, running.plugin, key, text, command_actor())
        except QueueError as error:
            click.echo(f"simulator {running.name} is not used: {key}: {error}", err=True)


def _opened(config: Config) -> "Clinic":
    """Open the demo's clinic in its own time: rows from the future would stop its kiosk."""
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.clock import kept_clock

    return open_clinic(config, kept_clock(config.folder / DEMO_CLOCK_NAME))
