"""What every benchmark needs: a clinic, servers in processes of their own, a report."""

import argparse
import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from puskesmas_queue.cli.context import command_actor
from puskesmas_queue.cli.init import Wishes, configuration, make_clinic
from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services.accounts import add_user
from puskesmas_queue.services.options import set_option
from puskesmas_queue.settings import CONFIG_NAME, Config, build_config, load_config
from puskesmas_queue.storage.tables import counters as counter_rows
from support import postgres  # the tests' way to a private server
from support.machines import hall_cookies

BENCH = Path(__file__).parent
START_S = 60
RUNS, QUICK_RUNS = 5, 2
KIOSKS = 32
"""Paired kiosks of a clinic: as many as any benchmark has clients."""
ZONE = "main"
MACHINES_NAME = "machines.json"


@dataclass(slots=True)
class Row:
    """
    One line of a report.

    Args:
        what: What was measured, with its size.
        unit: Of ceiling and ours.
        target: What the ratio must reach, in words.
        is_met: Whether it does.
    """

    what: str
    unit: str
    ceiling: float
    ours: float
    ratio: float
    target: str
    is_met: bool
    ceiling_p50_ms: float | None = None
    ceiling_p99_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What a benchmark prints."""

    name: str
    database: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def print(self, *, as_json: bool) -> int:
        """Print it; return the exit code: 1 where a count is wrong or a target missed."""
        if as_json:
            document = {**asdict(self), "machine": machine(), "versions": versions()}
            document["date"] = datetime.now(UTC).isoformat(timespec="seconds")
            print(json.dumps(document, indent=2))
        else:
            self._print_text()
        return 0 if all(row.is_met and not any(row.counts.values()) for row in self.rows) else 1

    def _print_text(self) -> None:
        print(f"{self.name}  {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        print("machine   " + ", ".join(f"{key} {value}" for key, value in machine().items()))
        print("versions  " + ", ".join(f"{key} {value}" for key, value in versions().items()))
        print(f"database  {self.database}\n")
        for row in self.rows:
            print(row.what)
            for name, value, p50, p99 in (
                ("ceiling", row.ceiling, row.ceiling_p50_ms, row.ceiling_p99_ms),
                ("ours", row.ours, row.p50_ms, row.p99_ms),
            ):
                times = "" if p50 is None else f"   p50 {p50:.1f} ms   p99 {p99 or 0:.1f} ms"
                print(f"  {name:<8}{value:>12,.1f} {row.unit}{times}")
            verdict = "met" if row.is_met else "MISSED"
            print(f"  ratio   {row.ratio:>12.3f}   target {row.target}: {verdict}")
            if row.counts:
                print("  counts  " + ", ".join(f"{k} {v}" for k, v in row.counts.items()))
            print()
        for note in self.notes:
            print(note)


@dataclass(slots=True)
class Wanted:
    """What the command line asks for."""

    is_quick: bool
    as_json: bool
    scale: float

    @property
    def runs(self) -> int:
        """How many runs the median is of."""
        return QUICK_RUNS if self.is_quick else RUNS

    def size(self, full: int, quick: int) -> int:
        """Return a size, scaled down by `--scale` for the smoke test."""
        return max(1, round((quick if self.is_quick else full) * self.scale))


def read_command_line(description: str | None) -> Wanted:
    """Read `--quick`, `--json` and `--scale`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="two short runs instead of five")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--scale", type=float, default=1.0, help="times all sizes; for tests")
    given = parser.parse_args()
    return Wanted(given.quick, given.json, given.scale)


def machine() -> dict[str, Any]:
    """Say what this was measured on."""
    has_posix = hasattr(os, "sysconf")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if has_posix else 0
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Say with what."""
    names = ("sqlalchemy", "psycopg", "starlette", "uvicorn", "uvloop", "httptools")
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in names},
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="puskesmas-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres_version(url: str) -> str:
    """Ask a server for its version."""
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def postgres_server() -> Iterator[postgres.Postgres]:
    """Start a private PostgreSQL, or use the one of PUSKESMAS_TEST_POSTGRES."""
    server = postgres.start()
    try:
        yield server
    finally:
        server.stop()


def make_bench_clinic(folder: Path, database: str, counters: int = 0) -> Config:
    """
    Make a clinic that is open around the clock.

    Args:
        folder: Where its configuration goes.
        database: Address of its database, relative ones from `folder`.
        counters: How many counters, each with an account `loket<number>`; logins are in
            `logins.json`. Without any the clinic has the preset's two.

    Its kiosks and a TV are paired already: `kiosk_cookies` and `tv_cookies`.
    """
    wishes = Wishes("klasik", "Puskesmas Uji", "Asia/Jakarta", "admin", database)
    text = configuration(wishes)
    config = build_config(folder / CONFIG_NAME, tomllib.loads(text), {})
    make_clinic(config, text, wishes.preset, wishes.admin)
    config = load_config(folder / CONFIG_NAME, {})
    clinic = open_clinic(config)
    try:
        for key, value in (
            ("queue.reset_time", "00:00"),
            ("queue.operating_start", "00:00"),
            ("queue.operating_end", "23:59"),
        ):
            set_option(clinic, key, value, command_actor())
        logins = [_hire(clinic, number) for number in range(1, counters + 1)]
        kiosks = [hall_cookies(clinic, [DeviceKind.KIOSK]) for _ in range(KIOSKS)]
        tv = hall_cookies(clinic, [DeviceKind.DISPLAY])
    finally:
        clinic.close()
    (folder / "logins.json").write_text(json.dumps(logins))
    (folder / MACHINES_NAME).write_text(json.dumps({"kiosks": kiosks, "tv": tv}))
    return config


def kiosk_cookies(config: Config) -> list[dict[str, str]]:
    """Return the cookies of each paired kiosk of a clinic."""
    found: list[dict[str, str]] = _machines(config)["kiosks"]
    return found


def tv_cookies(config: Config) -> dict[str, str]:
    """Return the cookies of the paired TV of a clinic."""
    found: dict[str, str] = _machines(config)["tv"]
    return found


def _machines(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((config.folder / MACHINES_NAME).read_text())
    return found


def _hire(clinic: Clinic, number: int) -> tuple[str, str]:
    name = f"loket{number}"
    password = add_user(clinic, name, command_actor(), role=Role.PETUGAS_LOKET, name=name)
    if number > 2:
        row = {"clinic_id": clinic.id, "number": number, "zone": ZONE}
        clinic.db.write(lambda tx: tx.conn.execute(counter_rows.insert().values(row)))
    return name, password


@contextmanager
def running(arguments: list[str], folder: Path) -> Iterator[str]:
    """
    Run a server that prints its address on its first line; yield the address.

    It gets a session of its own, so that its workers end with it.
    """
    environment = {key: v for key, v in os.environ.items() if not key.startswith("PUSKESMAS_")}
    log = folder / "server.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: {log.read_text()}")
        yield line.split()[-1]
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


@contextmanager
def serving(
    config: Config, workers: int = 1, program: Sequence[str] = ("-m", "puskesmas_queue")
) -> Iterator[str]:
    """Run the real `puskesmas-queue serve` and wait until it answers; yield its address."""
    arguments = [*program, "serve", "--config", str(config.path), "--port", "0"]
    with running([*arguments, "--workers", str(workers)], config.folder) as url:
        wait_for(url)
        yield url


def wait_for(url: str, path: str = "/readyz") -> None:
    """Wait until a server answers 200."""
    import httpx2 as httpx

    deadline = time.monotonic() + START_S
    while True:
        try:
            if httpx.get(url + path, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not answer")
        time.sleep(0.05)


def listening_process(port: int) -> int:
    """Return who listens on a port of this machine."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if parts[3] == "0A" and int(parts[1].rpartition(":")[2], 16) == port:
            return _owner(f"socket:[{parts[9]}]")
    raise RuntimeError(f"nobody listens on {port}")


def _owner(link: str) -> int:
    """Return the youngest process that has a file open."""
    holders = [int(path.parts[2]) for path in _open_files() if _target(path) == link]
    return max(holders)


def _open_files() -> Iterator[Path]:
    """List the open files of all processes that may be looked at."""
    yield from Path("/proc").glob("[0-9]*/fd/[0-9]*")


def _target(path: Path) -> str:
    """Return what an open file is, nothing where it was closed meanwhile."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def process_worked_s(process_id: int) -> float:
    """Return how long processors worked for a process so far, seconds."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def middle(values: list[float]) -> float:
    """Return the median."""
    return median(values)
