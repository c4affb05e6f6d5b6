"""`demo`: a seeded clinic in a scratch folder, running."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, time
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from puskesmas_queue.cli.context import DEMO_CLOCK_NAME, command_actor, json_option
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import CONFIG_NAME, Config, load_config

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

DEMO_NAME = "Puskesmas Gladak Pakem"
OPENING = time(7, 30)
LOGINS_NAME = "demo-logins.json"
STAFF = (
    ("admin", "admin", "Admin Demo"),
    ("siti", "petugas_loket", "Siti"),
    ("budi", "petugas_loket", "Budi"),
    ("rina", "petugas_rm", "Rina"),
    ("kepala", "kepala", "Kepala Puskesmas"),
    ("auditor", "auditor", "Auditor"),
)
FURTHER_CLERKS = ("Ani", "Dewi", "Joko")
"""Work at the counters after the second; after them `loket6` and so on."""
PAGES = {
    "kiosk": "/kiosk",
    "display": "/display",
    "loket": "/loket",
    "dashboard": "/dashboard",
    "demo": "/demo",
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the clinic lives; else a new scratch folder. One that is there goes on.",
)
@json_option
@click.option(
    "--counters",
    type=click.IntRange(1, 20),
    default=2,
    show_default=True,
    help="How many counters (loket) a new demo has.",
)
@click.option(
    "--no-plugins",
    "is_plain",
    is_flag=True,
    help="Do without the voice and receipt printer that a new demo uses where they are installed.",
)
@click.option("--day", "plays_day", is_flag=True, help="Play a clinic's day: people come and go.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="With --day: clinic seconds per second.",
)
def demo(
    port: int,
    folder: Path | None,
    as_json: bool,
    counters: int,
    is_plain: bool,
    plays_day: bool,
    speed: float,
) -> None:
    """Run a clinic to try everything out: five units, counters, logins, voice and printer."""
    from puskesmas_queue.cli.demo_plugins import simulating
    from puskesmas_queue.cli.serve import address, listening, only_server

    folder = (folder or Path(tempfile.mkdtemp(prefix="puskesmas-demo-"))).absolute()
    logins = prepare(folder, counters, is_plain=is_plain)
    config = load_config(folder / CONFIG_NAME, {})
    with only_server(config), listening(config.server.host, port) as listener:
        url = address(listener)
        # The demo's clock jumps and runs: only closing the browser ends a session there.
        config = replace(
            config,
            server=replace(config.server, public_url=url),
            security=replace(config.security, session_idle_minutes=1440, session_max_hours=168),
        )
        with simulating(config) as simulators:
            announce(url, logins, config, simulators, as_json)
            run(config, listener, logins, simulators, plays_day, speed)


def prepare(folder: Path, counters: int, *, is_plain: bool) -> list[dict[str, str]]:
    """
    Make the demo's clinic, or find the one that is there.

    Returns:
        Its logins.

    Raises:
        SetupError: The folder cannot be written, or holds something else.
    """
    from puskesmas_queue.cli.demo_plugins import equip
    from puskesmas_queue.cli.init import Wishes, configuration, make_clinic
    from puskesmas_queue.clock import KeptClock
    from puskesmas_queue.settings import DEFAULT_DATABASE, build_config

    path, logins_path = folder / CONFIG_NAME, folder / LOGINS_NAME
    if path.exists():
        try:
            logins: list[dict[str, str]] = json.loads(logins_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise SetupError(f"{folder} holds a clinic that is no demo") from None
        return logins
    import tomllib

    wishes = Wishes("klasik", DEMO_NAME, "Asia/Jakarta", STAFF[0][0], DEFAULT_DATABASE)
    text = configuration(wishes)
    config = build_config(path, tomllib.loads(text), {})
    password = make_clinic(config, text, wishes.preset, wishes.admin, counters=counters)
    logins = [{"username": STAFF[0][0], "password": password, "role": STAFF[0][1]}]
    logins += hire(config, counters)
    # Before anybody can run a command beside it: see KeptClock.
    KeptClock(folder / DEMO_CLOCK_NAME).move_to(opening(config))
    with os.fdopen(os.open(logins_path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(logins, file)
    if not is_plain:
        equip(config)
    return logins


def hire(config: Config, counters: int) -> list[dict[str, str]]:
    """Make the demo's further accounts, one for each counter, with generated passwords."""
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.domain.access import Role
    from puskesmas_queue.services.accounts import add_user

    clinic = open_clinic(config)
    try:
        return [
            {
                "username": username,
                "password": add_user(clinic, username, command_actor(), role=Role(role), name=name),
                "role": role,
            }
            for username, role, name in (*STAFF[1:], *further_clerks(counters))
        ]
    finally:
        clinic.close()


def further_clerks(counters: int) -> Iterator[tuple[str, str, str]]:
    """Name who works at the counters after the first two."""
    named = ((name.lower(), "petugas_loket", name) for name in FURTHER_CLERKS)
    numbered = ((f"loket{n}", "petugas_loket", f"Petugas {n}") for n in count(6))
    return islice(chain(named, numbered), max(0, counters - 2))


def announce(
    url: str,
    logins: list[dict[str, str]],
    config: Config,
    simulators: Mapping[str, str],
    as_json: bool,
) -> None:
    """Print where everything is: one JSON line for programs, else a page of text."""
    pages = {name: url + path for name, path in PAGES.items()}
    if as_json:
        document = {
            "url": url,
            "pages": pages,
            "logins": logins,
            "simulators": dict(simulators),
            "config": str(config.path),
            "dir": str(config.folder),
        }
        click.echo(json.dumps(document))
        return
    click.echo(f"{DEMO_NAME} is open. It is 07:30 there.\n")
    for name, page in pages.items():
        click.echo(f"  {name:<10} {page}")
    for name, page in simulators.items():
        click.echo(f"  simulator {name}: {page}")
    click.echo("\nLogins:")
    for login in logins:
        click.echo(f"  {login['username']:<10} {login['password']:<26} {login['role']}")
    click.echo(f"\nIts data is in {config.folder}. Stop with Ctrl+C.")


def run(
    config: Config,
    listener: socket.socket,
    logins: list[dict[str, str]],
    simulators: Mapping[str, str],
    plays_day: bool,
    speed: float,
) -> None:
    """
    Serve the demo until told to stop.

    Raises:
        SetupError: The server could not begin; its log says why.
    """
    import uvicorn

    from puskesmas_queue.app import make_app
    from puskesmas_queue.cli.serve import uvicorn_options
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.clock import KeptClock
    from puskesmas_queue.logs import set_up
    from puskesmas_queue.services.day import confirm_clock
    from puskesmas_queue.services.sessions import end_sessions_of_program
    from puskesmas_queue.simulators.driver import DAILY_AGENT, DailyRound
    from puskesmas_queue.web.routes.demo import DemoState

    set_up(config.server.log_format)
    clock = KeptClock(config.folder / DEMO_CLOCK_NAME)
    clinic = open_clinic(config, clock)
    clock.move_to(start_of_day(clinic))
    confirm_clock(clinic, command_actor())
    end_sessions_of_program(clinic, DAILY_AGENT, command_actor())
    days = DailyRound(config.server.public_url, speed) if plays_day else None
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(clinic, DemoState(clock, logins, PAGES, simulators)), **uvicorn_options(config)
        )
    )
    try:
        if days is not None:
            days.start()
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    finally:
        if days is not None:
            days.stop()
    if not server.started:
        raise SetupError("the server could not start")


def start_of_day(clinic: "Clinic") -> datetime:
    """Return 07:30 of today, or where the demo's last run left off if that was later."""
    from puskesmas_queue.services.topics import line_topic

    start = opening(clinic.config)
    newest = clinic.newest_time(line_topic(""))
    if (
        newest is not None
        and newest > start
        and newest.astimezone(clinic.timezone).date() == start.date()
    ):
        return newest
    return start


def opening(config: Config) -> datetime:
    """Return 07:30 of the clinic's present day."""
    zone = ZoneInfo(config.clinic.zone)
    return datetime.combine(datetime.now(zone).date(), OPENING, zone)
