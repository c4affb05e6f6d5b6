"""`init`: a new clinic, whole or not at all."""

import json
import os
import re
import shutil
import tempfile
import tomllib
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import (
    command_actor,
    config_option,
    given_config,
    json_option,
    print_json,
)
from puskesmas_queue.domain.days import ZONES
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import (
    CONFIG_NAME,
    DEFAULT_DATABASE,
    Config,
    DatabaseConfig,
    build_config,
    find_config,
)

if TYPE_CHECKING:
    from puskesmas_queue.clock import SystemClock

TEMPLATE = """\
# What this server needs to start. What the clinic changes from day to day is in its database:
# puskesmas-queue settings list
# Every value here is overridden by the environment: PUSKESMAS__SERVER__PORT=8080

[clinic]
id = {id}
name = {name}
zone = {zone}

[server]
host = "127.0.0.1"
port = 8000
# The address that patients' phones reach, for the QR code on slip and screen:
# public_url = "https://antrean.example.id"

[database]
url = {url}

[security]
# The key of stored secrets, made by init. Keep it outside data/ and its backups, and a copy of it
# in a safe place: without it passwords of other services must be typed anew.
key_file = "secret.key"
"""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the new clinic shall be."""

    preset: str
    name: str
    zone: str
    admin: str
    database: str


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option(
    "--preset",
    type=click.Choice(["klasik", "ilp"]),
    default="klasik",
    show_default=True,
    help="First units: five poli A-E, or the clusters of ILP (PMK 19/2024).",
)
@click.option("--name", default="Puskesmas", show_default=True, help="The clinic's name.")
@click.option(
    "--counters",
    type=click.IntRange(1, 20),
    default=2,
    show_default=True,
    help="How many counters (loket) there are.",
)
@click.option("--zone", type=click.Choice(list(ZONES)), default="Asia/Jakarta", show_default=True)
@click.option("--admin", default="admin", show_default=True, help="Username of the first account.")
@click.option(
    "--database",
    default=DEFAULT_DATABASE,
    show_default=True,
    help="sqlite:///file (relative to DIR) or postgresql://user@host/name.",
)
@config_option
@json_option
def init(
    folder: Path | None,
    preset: str,
    name: str,
    counters: int,
    zone: str,
    admin: str,
    database: str,
    as_json: bool,
) -> None:
    """Make a clinic in DIR (else here): configuration, database, units, first account."""
    if folder is not None and given_config() is not None:
        raise click.UsageError("give DIR or --config, not both")
    path = find_config(given_config()) if folder is None else (folder / CONFIG_NAME).absolute()
    text = configuration(Wishes(preset, name, zone, admin, database))
    config = build_config(path, tomllib.loads(text), os.environ)
    password = make_clinic(config, text, preset, admin, counters=counters)
    if as_json:
        print_json({"config": str(path), "username": admin, "password": password})
        return
    click.echo(f"{name} is ready: {path}\n")
    click.echo(f"  username  {admin}\n  password  {password}")
    click.echo("\nThe password is shown this once. Start the server with\n")
    click.echo(f"  puskesmas-queue serve --config {path}")
    click.echo("\nKiosk and TV open /kiosk and /display there and ask for a code. Print one with\n")
    click.echo(f"  puskesmas-queue device pair kiosk --config {path}")
    click.echo(f"  puskesmas-queue device pair display --config {path}")
    click.echo("\nor make it on the page Perangkat, once logged in.")
    tell_plugins(path)


def tell_plugins(path: Path) -> None:
    """Say which plugins are installed, and how they are put to use; none is by itself."""
    from puskesmas_queue.cli.demo_plugins import OFFICIAL
    from puskesmas_queue.plugin_host.loading import discover

    names = dict.fromkeys(one.name for one in discover())
    if not names:
        return
    orders = {one.plugin: f'{one.setting} "{one.provider}, browser"' for one in OFFICIAL}
    click.echo("\nInstalled and not used yet:")
    for name in names:
        click.echo(f"\n  puskesmas-queue plugin enable {name} --config {path}")
        if name in orders:
            click.echo(f"  puskesmas-queue settings set {orders[name]} --config {path}")


def make_clinic(
    config: Config,
    text: str,
    preset: str,
    admin: str,
    clock: "SystemClock | None" = None,
    *,
    counters: int = 2,
) -> str:
    """
    Make everything aside first, then put it in place; a failure leaves nothing behind.

    Args:
        config: `text` as it was read.
        text: What `puskesmas.toml` will say.
        preset: Which units to begin with.
        admin: Username of the first account.
        clock: Another clock than the machine's, for the demo.
        counters: How many there are.

    Returns:
        The first account's password.

    Raises:
        SetupError: Something is there already, or a folder cannot be written.
    """
    from puskesmas_queue.storage import crypto

    file = config.database.file
    for existing in (config.path, file):
        if existing is not None and existing.exists():
            raise SetupError(f"{existing} exists already and was left as it is")
    key_path = config.key_path
    is_key_there = key_path.exists()
    if is_key_there:
        # Whoever brought a key along means to use it.
        crypto.Keyring.load(key_path)
    try:
        with ExitStack() as undo:
            aside = Path(tempfile.mkdtemp(prefix=".puskesmas-init-", dir=_nearest(config.folder)))
            undo.callback(shutil.rmtree, aside, ignore_errors=True)
            staged = replace(config, path=aside / CONFIG_NAME)
            if file is not None:
                staged = replace(
                    staged, database=DatabaseConfig(f"sqlite:///{(aside / file.name).as_posix()}")
                )
            password = furnish(staged, preset, admin, clock, counters)
            with ExitStack() as unpublish:
                _make_folder(config.folder, unpublish)
                if file is not None:
                    _make_folder(file.parent, unpublish)
                    # Whoever makes the file has the place: of two at once one gives up here.
                    _claim(file)
                    unpublish.callback(file.unlink)
                    (aside / file.name).chmod(0o600)
                    shutil.move(aside / file.name, file)
                if not is_key_there:
                    _make_key(key_path, unpublish)
                _write_new(config.path, text)
                unpublish.pop_all()
    except OSError as error:
        raise SetupError(f"cannot write {error.filename}: {error.strerror}") from error
    return password


def furnish(
    config: Config, preset: str, admin: str, clock: "SystemClock | None", counters: int
) -> str:
    """Make the schema, the units and the first account; return its password."""
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.services.accounts import add_user, check_username
    from puskesmas_queue.services.presets import apply_preset
    from puskesmas_queue.storage import migrate

    # First of all: on PostgreSQL nothing takes back the units of a clinic without an account.
    check_username(admin)
    migrate.upgrade(config.database.url)
    clinic = open_clinic(config, clock)
    try:
        apply_preset(clinic, preset, counters)
        return add_user(clinic, admin, command_actor())
    finally:
        clinic.close()


def configuration(wishes: Wishes) -> str:
    """Write `puskesmas.toml`; a JSON string is a TOML string too."""
    identity = re.sub(r"[^a-z0-9]+", "-", wishes.name.lower()).strip("-")[:40].strip("-")
    values = {
        "id": identity or "puskesmas",
        "name": wishes.name,
        "zone": wishes.zone,
        "url": wishes.database,
    }
    return TEMPLATE.format(
        **{key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    )


def _nearest(folder: Path) -> Path:
    """Find the folder, or the one above it that exists already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _make_folder(folder: Path, undo: ExitStack) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        # One that somebody else made meanwhile is theirs, to use and to keep.
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            undo.callback(_remove_empty, path)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _write_new(path: Path, text: str) -> None:
    """Write a file that only its owner reads, since the address may hold a password."""
    _claim(path)
    try:
        path.write_text(text, encoding="utf-8")
    except BaseException:
        path.unlink()
        raise


def _make_key(path: Path, undo: ExitStack) -> None:
    from puskesmas_queue.storage.crypto import make_key_file

    _make_folder(path.parent, undo)
    try:
        make_key_file(path)
    except FileExistsError:
        raise SetupError(f"{path} exists already and was left as it is") from None
    undo.callback(path.unlink)


def _claim(path: Path) -> None:
    """
    Make an empty file that only its owner reads.

    Raises:
        SetupError: There is one, say of another `init` that runs at the same time.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise SetupError(f"{path} exists already and was left as it is") from None
