"""A PostgreSQL server of our own: made for the run, gone after it."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from puskesmas_queue.storage import migrate
from support.sockets import free_port

if sys.platform != "win32":
    import pwd

OLDEST = 15
START_S = 60
TEMPLATE = "puskesmas_template"
GIVEN = "PUSKESMAS_TEST_POSTGRES"
"""URL of a running server, whose user may create databases; then none is started."""

HOW = (
    f"install PostgreSQL {OLDEST} or later (Debian: apt install postgresql), "
    f"or set {GIVEN} to the URL of a server"
)


class NoPostgres(Exception):
    """This machine has no server programs that are new enough."""


@dataclass(slots=True)
class Postgres:
    """A running server; databases are copies of one migrated template."""

    url: str
    """Of its maintenance database."""
    process: "subprocess.Popen[bytes] | None" = None
    folder: Path | None = None
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))

    def database(self, name: str) -> str:
        """Return the URL of one of its databases."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def execute(self, statement: str) -> None:
        """Run a statement outside any transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    @property
    def template(self) -> str:
        """Name of the migrated template."""
        return f"{TEMPLATE}_{self.tag}"

    def make_template(self) -> None:
        """Migrate an empty database once; tests get copies."""
        self.execute(f"CREATE DATABASE {self.template}")
        migrate.upgrade(self.database(self.template))

    def create(self, *, is_empty: bool = False) -> str:
        """Make a database and return its URL."""
        name = f"puskesmas_test_{self.tag}_{next(self.numbers)}"
        source = "template0" if is_empty else self.template
        self.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
        return self.database(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path.lstrip('/')} WITH (FORCE)")

    def stop(self) -> None:
        """Stop the server by its own process id and remove its folder."""
        if self.process is None:
            with contextlib.suppress(psycopg.Error):
                self.drop(self.database(self.template))
            return
        self.process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def start() -> Postgres:
    """
    Start a server, or use the one that the environment names.

    Raises:
        NoPostgres: There are no server programs, or they are too old.
    """
    given = os.environ.get(GIVEN)
    server = Postgres(given) if given else _start_private(_programs())
    try:
        server.make_template()
    except BaseException:
        server.stop()
        raise
    return server


def _programs() -> Path:
    """Find the folder of the newest server programs."""
    suffix = ".exe" if sys.platform == "win32" else ""
    folders = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("C:/Program Files/PostgreSQL").glob("*/bin"),
    ]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    versions = {
        _version(folder / f"postgres{suffix}"): folder
        for folder in folders
        if (folder / f"postgres{suffix}").exists() and (folder / f"initdb{suffix}").exists()
    }
    if not versions or max(versions) < OLDEST:
        raise NoPostgres
    return versions[max(versions)]


def _version(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\) (\d+)", answer.stdout)
    return int(found[1]) if found else 0


def _owner() -> dict[str, object]:
    """PostgreSQL refuses to run as root: name the account for it, and its group."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return {}


def _start_private(programs: Path) -> Postgres:
    folder = Path(tempfile.mkdtemp(prefix="puskesmas-pg-"))
    owner = _owner()
    password = secrets.token_urlsafe(16)
    secret = folder / "password"
    secret.write_text(password)
    if owner:
        for path in (folder, secret):
            os.chown(path, owner["user"], owner["group"])
    data = folder / "data"
    made = subprocess.run(
        [
            programs / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C",
            "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync",
        ],
        capture_output=True, text=True, check=False, cwd=folder, **owner,
    )  # fmt: skip
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "" if sys.platform == "win32" else folder,
        "max_connections": 200,
        "fsync": "on",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, **owner,
        )  # fmt: skip
    server = Postgres(
        f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", process, folder
    )
    try:
        _wait(server, process, log)
    except BaseException:
        server.stop()
        raise
    return server


def _wait(server: Postgres, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.1)
        else:
            return
