"""`doctor`: what is wrong with this installation, in words."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import click

from puskesmas_queue.cli.context import (
    DEMO_CLOCK_NAME,
    config_option,
    json_option,
    print_json,
    read_config,
)
from puskesmas_queue.cli.database import schema_fault
from puskesmas_queue.cli.serve import lock_file
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.settings import Config, without_password

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic

State = Literal["ok", "note", "wrong"]
MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}

LOW_SPACE_MB = 1024
NO_SPACE_MB = 100
LOW_SPACE = 0.05
"""Part of a disk that should be free."""
FEW_OPEN_FILES = 4096
"""Each live screen and phone is one."""
LARGE_WAL_MB = 256
MOST_CLOCKS_APART_S = 2.0
OFFSETS = {
    "Asia/Jakarta": timedelta(hours=7),
    "Asia/Makassar": timedelta(hours=8),
    "Asia/Jayapura": timedelta(hours=9),
}
"""Of Indonesia's zones to UTC: broken time zone data would tell wrong times everywhere."""
LATE_S = 600
"""A fact that a plugin was not told for so long is late."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `wrong` needs somebody, `note` is worth knowing."""

    name: str
    state: State
    text: str


@click.command()
@config_option
@json_option
def doctor(as_json: bool) -> None:
    """Look over the installation; exit 1 where something is wrong."""
    findings = list(examine())
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.state]}  {finding.name}: {finding.text}")
    if any(finding.state == "wrong" for finding in findings):
        raise click.exceptions.Exit(1)


def examine() -> Iterator[Finding]:
    """Look at everything, from the ground up, until what follows cannot be looked at."""
    yield program()
    try:
        config = read_config()
    except QueueError as error:
        yield Finding("configuration", "wrong", str(error))
        return
    yield Finding("configuration", "ok", str(config.path))
    looks = (
        space(config),
        open_files(),
        network(config),
        certificate(config),
        phones(config),
        server(config),
    )
    yield from (finding for finding in looks if finding)
    yield from installed(config)
    try:
        fault = schema_fault(config)
    except QueueError as error:
        fault = str(error)
    if fault is not None:
        yield Finding("database", "wrong", fault)
        return
    yield Finding("database", "ok", without_password(config.database.url))
    yield from clinic(config)


def program() -> Finding:
    """Say what runs."""
    from puskesmas_queue import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("program", "ok", f"puskesmas-queue {__version__}, Python {python}")


def space(config: Config) -> Finding:
    """See whether the disk has room."""
    folder = config.folder if config.database.file is None else config.database.file.parent
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        return Finding("disk", "wrong", f"{folder}: {error.strerror}")
    free_mb, part = disk.free // 2**20, disk.free / disk.total
    state: State = "wrong" if free_mb < NO_SPACE_MB else "ok"
    if state == "ok" and (free_mb < LOW_SPACE_MB or part < LOW_SPACE):
        state = "note"
    return Finding("disk", state, f"{free_mb} MB free in {folder}, {part:.0%}")


def open_files() -> Finding | None:
    """Say how many screens and phones can be live; nothing to say where there is no limit."""
    from puskesmas_queue.cli.serve import raise_open_files
    from puskesmas_queue.web.connections import Bounds

    limit = raise_open_files()
    if limit is None:
        return None
    text = f"{limit}: up to {Bounds.below(limit).total} connections"
    if limit < FEW_OPEN_FILES:
        return Finding("open files", "note", f"{text}; raise it (LimitNOFILE, ulimit -n)")
    return Finding("open files", "ok", text)


def network(config: Config) -> Finding:
    """Say who can reach the server, and how."""
    if not config.server.public_url:
        return Finding("network", "note", "server.public_url is empty: QR codes hold the code only")
    if config.server.allow_insecure:
        return Finding(
            "network", "note", "server.allow_insecure is on: logins travel as plain text"
        )
    return Finding("network", "ok", config.server.public_url)


def certificate(config: Config) -> Finding | None:
    """Say how long the server's certificate lasts; nothing to say where it speaks plain HTTP."""
    if config.tls_paths is None:
        return None
    from puskesmas_queue.tls import WARN_DAYS, TlsFiles, days_left

    now = datetime.now(UTC)
    try:
        found = TlsFiles(*config.tls_paths).check(now)
    except QueueError as error:
        return Finding("certificate", "wrong", str(error))
    left = days_left(found, now)
    text = f"until {found.not_valid_after_utc:%Y-%m-%d}, {left} days left"
    if left < WARN_DAYS:
        hint = "renew it (puskesmas-queue tls create) and start the server anew"
        return Finding("certificate", "note", f"{text}: {hint}")
    return Finding("certificate", "ok", text)


def phones(config: Config) -> Finding | None:
    """See whether the address of the QR codes is one that patients' phones can open."""
    server = config.server
    if config.tls_paths is None or not server.public_url:
        return None
    from puskesmas_queue.cli.tls import signer
    from puskesmas_queue.tls import TlsFiles

    public = urlsplit(server.public_url)
    if server.public_port:
        if public.scheme == "http" and (public.port or 80) == server.public_port:
            return None
        return Finding(
            "phones", "note", f"server.public_url does not lead to port {server.public_port}"
        )
    try:
        is_own = signer(config, TlsFiles(*config.tls_paths).look()) is not None
    except QueueError:
        return None  # `certificate` says so
    if not is_own:
        return None
    hint = "give them server.public_port, and let server.public_url lead there"
    return Finding("phones", "note", f"no phone trusts the clinic's own authority: {hint}")


def server(config: Config) -> Finding | None:
    """Say whether a server holds the SQLite file; nothing to say on PostgreSQL."""
    if config.database.file is None:
        return None
    from filelock import FileLock, Timeout

    lock = lock_file(config.database.file)
    if not lock.exists():
        # Made here it would belong to whoever asks, and the server could not open it.
        return Finding("server", "note", "never ran")
    try:
        with FileLock(lock, timeout=0):
            return Finding("server", "note", "not running")
    except Timeout:
        return Finding("server", "ok", "running")
    except OSError as error:
        return Finding("server", "wrong", f"{config.database.file.parent}: {error.strerror}")


def installed(config: Config) -> Iterator[Finding]:
    """Say of every plugin that is named as active whether it can be used."""
    from puskesmas_queue.cli.plugin import quietly_loaded

    for status in quietly_loaded(config.plugins.active).statuses:
        name = f"plugin {status.name}"
        if status.state == "active":
            yield Finding(name, "ok", f"{status.distribution} {status.version} is active")
        elif status.is_broken:
            yield Finding(name, "wrong", f"{status.state}: {status.reason}")


def clinic(config: Config) -> Iterator[Finding]:
    """Look into the database."""
    from puskesmas_queue.clinic import open_clinic
    from puskesmas_queue.clock import kept_clock

    # What plugins print while they are imported does not mix with the answer.
    with redirect_stdout(sys.stderr):
        opened = open_clinic(config, kept_clock(config.folder / DEMO_CLOCK_NAME))
    try:
        for look in (
            rows,
            furniture,
            accounts,
            clock,
            machines,
            providers,
            deliveries,
            health,
            plugins,
        ):
            try:
                yield from look(opened)
            except QueueError as error:
                yield Finding(look.__name__, "wrong", str(error))
    finally:
        opened.close()


def rows(opened: "Clinic") -> Iterator[Finding]:
    """Look the database itself over."""
    from puskesmas_queue.services.doctoring import database_state

    state = database_state(opened)
    text = f"{state.size / 2**20:.1f} MB"
    if state.wal is not None:
        text += f", {state.wal / 2**20:.1f} MB of it not moved in yet"
    if state.faults:
        yield Finding("database file", "wrong", f"damaged: {'; '.join(state.faults)}")
    elif state.is_read_only:
        yield Finding("database file", "wrong", f"{text}; it takes no change")
    elif state.wal is not None and state.wal > LARGE_WAL_MB * 2**20:
        hint = "a program keeps an old state of it open"
        yield Finding("database file", "note", f"{text}: {hint}")
    else:
        yield Finding("database file", "ok", text)
    if state.ahead_s is not None and abs(state.ahead_s) > MOST_CLOCKS_APART_S:
        yield Finding(
            "database clock", "note", f"{state.ahead_s:+.1f} s from this machine's: set both by NTP"
        )


def furniture(opened: "Clinic") -> Iterator[Finding]:
    """See whether there is anything to queue for."""
    from puskesmas_queue.storage import counters, units

    taking = [unit for unit in opened.db.read(units.load) if unit.is_active]
    numbers = opened.db.read(counters.load)
    text = f"{len(taking)} active units, {len(numbers)} counters"
    yield Finding("clinic", "ok" if taking and numbers else "wrong", text)


def accounts(opened: "Clinic") -> Iterator[Finding]:
    """See whether anybody can administer."""
    from puskesmas_queue.domain.access import Role
    from puskesmas_queue.services.accounts import list_users

    active = [user for user in list_users(opened) if user.is_active]
    if any(user.role is Role.ADMIN for user in active):
        yield Finding("accounts", "ok", f"{len(active)} active")
    else:
        hint = "add one with puskesmas-queue user add"
        yield Finding("accounts", "wrong", f"no active administrator: {hint}")


def clock(opened: "Clinic") -> Iterator[Finding]:
    """Compare the clock with the newest stored event."""
    shown = opened.clock.now().astimezone(opened.timezone).strftime("%Y-%m-%d %H:%M:%S")
    text = f"{shown} {opened.zone_label}"
    if opened.timezone.utcoffset(datetime(2026, 1, 1)) != OFFSETS[opened.timezone.key]:  # noqa: DTZ001
        yield Finding("time zones", "wrong", f"{opened.timezone.key} is not what it should be")
    fault = opened.guard.fault()
    if fault is None:
        yield Finding("clock", "ok", text)
    else:
        hint = "no ticket is issued until staff confirm the time at a counter"
        yield Finding("clock", "wrong", f"{text} is {fault}: {hint}")


def machines(opened: "Clinic") -> Iterator[Finding]:
    """Name machines that were not heard of while the clinic was open."""
    from puskesmas_queue.services.doctoring import devices_in_use, silent_devices

    paired = devices_in_use(opened)
    silent = silent_devices(opened, paired)
    if paired and not silent:
        yield Finding("devices", "ok", f"{len(paired)} paired")
    for device in silent:
        seen = device.seen_at
        when = "never" if seen is None else f"{seen.astimezone(opened.timezone):%Y-%m-%d %H:%M}"
        yield Finding(f"{device.kind} {device.name}", "note", f"last seen {when}")


def deliveries(opened: "Clinic") -> Iterator[Finding]:
    """Say what plugins were not told, and whether they are behind."""
    from puskesmas_queue.services.doctoring import outbox_state

    for state in outbox_state(opened):
        text = f"{state.open} to be told, {state.dead} dead, {state.expired} expired"
        is_late = state.waits_s is not None and state.waits_s > LATE_S
        if is_late and state.waits_s is not None:
            text += f"; the oldest waits for {state.waits_s / 60:.0f} minutes"
        bad = is_late or state.dead
        yield Finding(f"deliveries {state.plugin}", "note" if bad else "ok", text)


def providers(opened: "Clinic") -> Iterator[Finding]:
    """See whether everything that prints and speaks by the settings is there, and prints."""
    from puskesmas_queue.services.doctoring import printer_line
    from puskesmas_queue.services.printer_alerts import alerts
    from puskesmas_queue.services.providers import missing

    for key, name in missing(opened):
        yield Finding(key, "wrong", f'nobody brings "{name}": the next in the order is used')
    for alert in alerts(opened):
        where = f"printer {alert.at.printer}, {alert.at.place} {alert.at.place_name}".rstrip()
        state: State = "wrong" if alert.state == "failed" else "note"
        why = in_english(opened.plugins.folder(alert.plugin), alert.detail)
        yield Finding(where, state, printer_line(replace(alert, detail=why), opened.timezone))


def in_english(folder: Path | None, text: str) -> str:
    """Look a plugin's text up in its catalogue; as it is where that does not have it."""
    from babel.messages.pofile import PoFileError

    from puskesmas_queue.web.rendering import read_catalogue

    if folder is None or not text:
        return text
    try:
        return str(read_catalogue(folder, "en").gettext(text))
    except (OSError, PoFileError):
        return text


def health(opened: "Clinic") -> Iterator[Finding]:
    """Let every plugin look at what is its own."""
    from puskesmas_queue.services.plugin_health import plugin_health

    for name in opened.plugins.names:
        for found in plugin_health(opened, name):
            yield Finding(f"plugin {name}, {found.name}", found.health.state, found.health.line())


def plugins(opened: "Clinic") -> Iterator[Finding]:
    """Name every plugin and hook that failed."""
    from puskesmas_queue.services.doctoring import fault_line, plugin_faults

    for row in plugin_faults(opened):
        line = fault_line(row, opened.timezone)
        yield Finding(f"plugin {row.plugin}", "wrong" if row.is_switched_off else "note", line)
