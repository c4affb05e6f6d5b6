"""
Starting: `puskesmas-queue --help`, a server until it is ready, and its memory when nothing happens.

The ceilings: Python that does nothing, and uvicorn with an empty app, in memory and until it
answers. The server has every plugin that is installed here and switched on in the clinic.
"""

import resource
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import harness

from puskesmas_queue.cli.config_file import set_active

HELP_MS, READY_MS, MEMORY_MB = 350, 2_000, 160
IDLE_S = 3
EMPTY_APP = """
import asyncio, socket
import uvicorn
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
listener = socket.create_server(("127.0.0.1", 0))
print(f"at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, lifespan="off", log_level="warning")
uvicorn.Server(config).run(sockets=[listener])
"""


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    report = harness.Report("starting", "SQLite, WAL, synchronous=FULL")
    nothing, helps, worked = [], [], []
    for _ in range(wanted.size(9, 4)):
        nothing.append(run_ms("-c", "pass"))
        before = worked_s()
        helps.append(run_ms("-m", "puskesmas_queue", "--help"))
        worked.append(worked_s() - before)
    report.rows.append(row("puskesmas-queue --help", "ms", nothing, helps, HELP_MS))
    empty, ready, empty_mb, memory_mb, ready_worked = [], [], [], [], []
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        names = sorted(one.name for one in entry_points(group="puskesmas_queue.plugins"))
        set_active(config, names)
        program = folder / "empty.py"
        program.write_text(EMPTY_APP)
        serve = ["-m", "puskesmas_queue", "serve", "--config", str(config.path), "--port", "0"]
        for turn in range(wanted.runs):
            for arguments, path, times, sizes in (
                ([str(program)], "/", empty, empty_mb),
                (serve, "/readyz", ready, memory_mb),
            ):
                started = time.monotonic()
                with harness.running(arguments, folder) as url:
                    harness.wait_for(url, path)
                    times.append((time.monotonic() - started) * 1000)
                    process_id = harness.listening_process(int(url.rpartition(":")[2]))
                    if times is ready:
                        ready_worked.append(harness.process_worked_s(process_id))
                    if turn == 0 or not wanted.is_quick:
                        time.sleep(IDLE_S)
                        sizes.append(resident_mb(process_id))
    report.rows.append(row("serve until it is ready", "ms", empty, ready, READY_MS))
    what = f"memory of an idle server, plugins: {', '.join(names) or 'none are installed'}"
    report.rows.append(row(what, "MB", empty_mb, memory_mb, MEMORY_MB))
    report.notes.append(
        "processor time, which a busy machine changes less: "
        f"--help {harness.middle(worked):.2f} s, "
        f"serve until it is ready {harness.middle(ready_worked):.2f} s"
    )
    return report.print(as_json=wanted.as_json)


def row(what: str, unit: str, ceiling: list[float], ours: list[float], most: float) -> harness.Row:
    """Judge the median by its limit; the ratio says what is ours of it."""
    middle = harness.middle(ours)
    return harness.Row(
        what,
        unit,
        ceiling=harness.middle(ceiling),
        ours=middle,
        ratio=middle / harness.middle(ceiling),
        target=f"ours <= {most} {unit}",
        is_met=middle <= most,
    )


def run_ms(*arguments: str) -> float:
    """Run Python to its end; return how long it took, milliseconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return (time.monotonic() - started) * 1000


def worked_s() -> float:
    """Return how long processors worked for programs that this one ran to their end, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_mb(process_id: int) -> float:
    """Return how much of a process is in memory, shared pages too, MB."""
    status = Path(f"/proc/{process_id}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
