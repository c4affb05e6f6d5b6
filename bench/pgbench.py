"""The ceiling on PostgreSQL: pgbench, the server's own load tool, with a statement of ours."""

import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from load import percentile

from support.postgres import _programs

JOBS = 2
LIMIT_S = 120
PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")


@dataclass(slots=True)
class Result:
    """What pgbench measured: transactions per second, and the time of each in seconds."""

    rate: float
    seconds: list[float]

    @property
    def p50_ms(self) -> float:
        """Median, milliseconds."""
        return percentile(self.seconds, 50) * 1000

    @property
    def p99_ms(self) -> float:
        """99th percentile, milliseconds."""
        return percentile(self.seconds, 99) * 1000


def run(
    url: str,
    folder: Path,
    script: str,
    values: Mapping[str, str | None],
    clients: int,
    transactions: int,
) -> Result:
    """
    Run a script, its statements prepared.

    Args:
        url: The database.
        folder: For its files.
        script: SQL with `:name` for values, and pgbench's own commands.
        values: By name; None is written into the script as NULL.
        clients: How many connections.
        transactions: How many in all.
    """
    for name, value in values.items():
        if value is None:
            script = re.sub(rf"(?<!:):{name}\b", "NULL", script)
    file, prefix = folder / "ceiling.sql", folder / f"ceiling-{time.monotonic_ns()}"
    file.write_text(script)
    given = [f"-D{name}={value}" for name, value in values.items() if value is not None]
    done = subprocess.run(
        [
            _programs() / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={file}",
            f"--client={clients}", f"--jobs={JOBS}", "--log", f"--log-prefix={prefix}",
            f"--transactions={max(1, transactions // clients)}", *given, url,
        ],
        capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or rate is None:
        raise RuntimeError(f"pgbench failed: {done.stdout}{done.stderr}")
    times = [
        float(line.split()[2]) / 1e6
        for log in folder.glob(f"{prefix.name}*")
        for line in log.read_text().splitlines()
        if line.split()[2].isdecimal()
    ]
    return Result(float(rate[1]), times)
