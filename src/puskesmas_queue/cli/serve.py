"""`serve`: the server of one clinic."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from puskesmas_queue.cli.context import config_option, read_config
from puskesmas_queue.cli.database import refuse_wrong_schema
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import LOG_FORMATS, Config

GRACE_S = 5
"""How long open streams may hold up the end of the server."""
BACKLOG = 2048
OPEN_FILES = 65_536
"""Asked of the system at start: every live screen and phone is one open file."""
SWITCH_S = 0.001
"""
A thread that computes gives way after so long, in place of Python's 5 ms.

The steps of one number change threads about twenty times: a plugin that spins costs each of them.
"""


@click.command()
@click.option("--host", help="Address to listen on; else server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; else server.port.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; PostgreSQL only.")
@click.option(
    "--log-format", type=click.Choice(LOG_FORMATS), help="Of the log; else server.log_format."
)
@config_option
def serve(host: str | None, port: int | None, workers: int | None, log_format: str | None) -> None:
    """Run the server until it is stopped (Ctrl+C)."""
    config = read_config()
    server = replace(
        config.server,
        host=config.server.host if host is None else host,
        port=config.server.port if port is None else port,
        workers=config.server.workers if workers is None else workers,
        log_format=log_format or config.server.log_format,
    )
    config = replace(config, server=server)
    refuse_what_cannot_work(config)
    with ExitStack() as stack:
        stack.enter_context(only_server(config))
        listener = stack.enter_context(listening(server.host, server.port))
        phones = None
        if server.public_port:
            phones = stack.enter_context(listening(server.host, server.public_port))
        url = address(listener, is_tls=server.is_tls)
        click.echo(f"puskesmas-queue serves {config.clinic.name} at {url}")
        if phones is not None:
            click.echo(f"the pages of patients' phones are at {address(phones)}")
        run(config, listener, phones)


def refuse_what_cannot_work(config: Config) -> None:
    """
    Look for what would fail later, or be unsafe.

    Raises:
        SetupError: With one line that says what to do.
    """
    server = config.server
    if server.workers > 1 and config.database.is_sqlite:
        raise SetupError("SQLite has one server process: leave workers at 1, or use PostgreSQL")
    if not (_is_loopback(server.host) or server.is_tls or server.allow_insecure):
        raise SetupError(
            f"{server.host} can be reached by other machines, and plain HTTP is not private: make "
            "a certificate (puskesmas-queue tls create), put a TLS proxy in front, or set "
            "server.allow_insecure = true if this network is trusted"
        )
    look_at_certificate(config)
    refuse_wrong_schema(config)


def look_at_certificate(config: Config) -> None:
    """
    Refuse a certificate that no browser would take, and say when one ends soon.

    Raises:
        SetupError: With one line that says what to do.
    """
    if config.tls_paths is None:
        return
    from puskesmas_queue.tls import WARN_DAYS, TlsFiles, days_left

    now = datetime.now(UTC)
    left = days_left(TlsFiles(*config.tls_paths).check(now), now)
    if left < WARN_DAYS:
        click.echo(
            f"the certificate ends in {left} days: renew it (puskesmas-queue tls create)", err=True
        )


@contextmanager
def only_server(config: Config) -> Iterator[None]:
    """
    Hold the place of the one server of a SQLite file; PostgreSQL takes any number.

    Raises:
        SetupError: Another server has it, or the folder cannot be written.
    """
    file = config.database.file
    if file is None:
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file(file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SetupError(f"another server already uses {file}") from None
    except OSError as error:
        raise SetupError(f"cannot write to {file.parent}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def lock_file(database: Path) -> Path:
    """Name the file whose lock the server of this database holds."""
    return database.with_name(database.name + ".lock")


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """
    Take the port, before anything heavy is loaded.

    Args:
        host: Address or name of this machine.
        port: 0 for any that is free.

    Raises:
        SetupError: The port is taken or not ours to take, or the address is not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, name = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise SetupError(f"cannot listen on {host}: {error.strerror}") from None
    with listener:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(name)
            listener.listen(BACKLOG)
        except OSError as error:
            raise SetupError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        yield listener


def address(listener: socket.socket, *, is_tls: bool = False) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(config: Config, listener: socket.socket, phones: socket.socket | None) -> None:
    """
    Serve on sockets until told to stop; one process, or several on PostgreSQL.

    Raises:
        SetupError: The server could not begin; its log says why.
    """
    from puskesmas_queue.cli.serving import serve_on

    with suppress(KeyboardInterrupt):
        serve_on(config, listener, phones)


def uvicorn_options(config: Config) -> dict[str, Any]:
    """Tell uvicorn how to serve: quiet and bounded; proxies are the security middleware's."""
    from puskesmas_queue.web.connections import KEEP_ALIVE_S, Bounds, Connections

    bounds = Bounds.below(raise_open_files())
    # uvicorn's own log is the text one.
    log = {"log_config": None} if config.server.log_format == "json" else {}
    return {
        **log,
        "http": Connections(bounds, config.server.trusted_proxies),
        "ws": "none",
        "timeout_keep_alive": KEEP_ALIVE_S,
        "access_log": False,
        "log_level": "warning",
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": GRACE_S,
    }


def raise_open_files(wanted: int = OPEN_FILES) -> int | None:
    """
    Ask the system for more open files.

    Returns:
        The limit that holds now, None where the system has none to set (Windows).
    """
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):
        return soft
    return limit


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
