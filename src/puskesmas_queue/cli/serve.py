"""`serve`: the server of one clinic."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from puskesmas_queue.cli.context import config_option, read_config
from puskesmas_queue.cli.database import refuse_wrong_schema
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import CONFIG_VARIABLE, Config

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
@config_option
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Run the server until it is stopped (Ctrl+C)."""
    config = read_config()
    server = replace(
        config.server,
        host=config.server.host if host is None else host,
        port=config.server.port if port is None else port,
        workers=config.server.workers if workers is None else workers,
    )
    config = replace(config, server=server)
    refuse_what_cannot_work(config)
    takes_calls = server.workers == 1
    with only_server(config), listening(server.host, server.port, takes_calls) as listener:
        click.echo(f"puskesmas-queue serves {config.clinic.name} at {address(listener)}")
        run(config, listener)


def refuse_what_cannot_work(config: Config) -> None:
    """
    Look for what would fail later, or be unsafe.

    Raises:
        SetupError: With one line that says what to do.
    """
    server = config.server
    if server.workers > 1 and config.database.is_sqlite:
        raise SetupError("SQLite has one server process: leave workers at 1, or use PostgreSQL")
    if not _is_loopback(server.host) and not server.allow_insecure:
        raise SetupError(
            f"{server.host} can be reached by other machines, and plain HTTP is not private: set "
            "server.allow_insecure = true if this network is trusted, or put a TLS proxy in front"
        )
    refuse_wrong_schema(config)


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
def listening(host: str, port: int, takes_calls: bool = True) -> Iterator[socket.socket]:
    """
    Take the port, before anything heavy is loaded.

    Args:
        host: Address or name of this machine.
        port: 0 for any that is free.
        takes_calls: Whether callers may already wait here; else they are turned away until
            other sockets stand in its place.

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
            if takes_calls:
                listener.listen(BACKLOG)
        except OSError as error:
            raise SetupError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        yield listener


def address(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(config: Config, listener: socket.socket) -> None:
    """
    Serve on a socket until told to stop; one process, or several on PostgreSQL.

    Raises:
        SetupError: The server could not begin; its log says why.
    """
    import uvicorn

    raise_open_files()
    sys.setswitchinterval(SWITCH_S)
    options = uvicorn_options()
    with suppress(KeyboardInterrupt):
        if config.server.workers > 1:
            host, port = listener.getsockname()[:2]
            listener.close()
            os.environ[CONFIG_VARIABLE] = str(config.path)
            name = "puskesmas_queue.cli.serve:worker_app"
            uvicorn.run(
                name, factory=True, workers=config.server.workers, host=host, port=port, **options
            )
            return
        from puskesmas_queue.app import build_app

        server = uvicorn.Server(uvicorn.Config(build_app(config.path), **options))
        server.run(sockets=[listener])
        if not server.started:
            raise SetupError("the server could not start")


def worker_app() -> object:
    """Build the app inside a worker process, which inherits PUSKESMAS_CONFIG."""
    from puskesmas_queue.app import build_app

    sys.setswitchinterval(SWITCH_S)
    return build_app(Path(os.environ[CONFIG_VARIABLE]))


def uvicorn_options() -> dict[str, Any]:
    """Tell uvicorn how to serve: quiet and bounded; proxies are the security middleware's."""
    return {
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
