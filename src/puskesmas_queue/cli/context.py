"""What the commands share: the `--config` option, the open clinic, and printing JSON."""

import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from puskesmas_queue.domain.access import Actor, cli_actor
from puskesmas_queue.settings import Config, PluginsConfig, load_config

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

F = TypeVar("F", bound=Callable[..., Any])
CONFIG_KEY = "puskesmas_queue.config"
DEMO_CLOCK_NAME = "demo-clock"
"""File in a demo's folder that says how far its clock was moved."""


def config_option(command: F) -> F:
    """Add `--config FILE`; it may stand before or after the command's name."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="Configuration file; else PUSKESMAS_CONFIG, else ./puskesmas.toml.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`, for programs that read the answer."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def given_config() -> Path | None:
    """Return the file named by `--config`, None where there was none."""
    path: Path | None = click.get_current_context().meta.get(CONFIG_KEY)
    return path


def read_config() -> Config:
    """Read the configuration that this command is about."""
    return load_config(given_config())


@contextmanager
def the_clinic(with_plugins: bool = True) -> Iterator["Clinic"]:
    """Open the configured clinic beside a running server, or without one."""
    from puskesmas_queue.cli.database import refuse_wrong_schema
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.clock import kept_clock

    config = read_config()
    refuse_wrong_schema(config)
    chosen = config if with_plugins else replace(config, plugins=PluginsConfig())
    clinic = open_clinic(chosen, kept_clock(config.folder / DEMO_CLOCK_NAME))
    try:
        yield clinic
    finally:
        clinic.close()


def command_actor() -> Actor:
    """Say who runs this command, for the audit."""
    try:
        login = getpass.getuser()
    except (OSError, KeyError, ImportError):
        login = "unknown"
    return cli_actor(login)


def print_json(value: object) -> None:
    """Write one JSON document, with dates as ISO texts."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def _remember(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.meta[CONFIG_KEY] = value
