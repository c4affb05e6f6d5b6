"""
A flood from one address: do others notice?

Ours: the time of a kiosk's own `POST /kiosk/tickets`, one after the other at a hall's pace, while
a client of another address sends `GET /` as fast as it is answered, on kept connections and
on ever new ones. The ceiling: the same kiosk on the same server without the flood. Both take turns.
"""

import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import harness
import kiosk
import load

from puskesmas_queue.settings import Config

MOST_RATIO = 1.5
CONNECTIONS = 50
FLOODER = str(harness.BENCH / "flooder.py")
PROGRAM = (str(harness.BENCH / "serve_neighbours.py"),)
NEIGHBOURS = (f"127.0.{high}.{low}" for high, low in itertools.product(range(9), range(2, 250)))
"""Each flood comes from an address that owes nothing yet."""
SETTLE_S = 4.0
"""The flood's first requests go through at once, as those of a hall of phones would."""


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    report = harness.Report("flood from one address", "SQLite, WAL, synchronous=FULL")
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db")
        text = config.path.read_text().replace("[server]", "[server]\nallow_insecure = true", 1)
        config.path.write_text(text)
        with harness.serving(config, program=PROGRAM) as url:
            measure(url, config, 50)
            settled_s = SETTLE_S * min(1, wanted.scale)
            for how, settle_s in (("keep", settled_s), ("new", settled_s), ("keep", 0.0)):
                report.rows.append(
                    row_of(
                        url, config, how, settle_s, wanted.runs, wanted.size(200, 60), report.notes
                    )
                )
    return report.print(as_json=wanted.as_json)


def row_of(
    url: str,
    config: Config,
    how: str,
    settle_s: float,
    runs: int,
    count: int,
    notes: list[str],
) -> harness.Row:
    """Let the kiosk work without and with a flood, again and again."""
    calm, flooded, refused = [], [], 0
    for _ in range(runs):
        calm += measure(url, config, count)
        with flood(url, how, notes):
            time.sleep(settle_s)
            times = measure(url, config, count)
        refused += count - len(times)
        flooded += times
    ours, ceiling = load.percentile(flooded, 50), load.percentile(calm, 50)
    kind = "kept" if how == "keep" else "ever new"
    when = "from its first moment on" if settle_s == 0 else "after its first seconds"
    return harness.Row(
        f"number of a kiosk during a flood on {CONNECTIONS} {kind} connections, {when}",
        "ms (median)",
        ceiling=ceiling,
        ours=ours,
        ratio=ours / ceiling,
        target=f"<= {MOST_RATIO}",
        is_met=ours / ceiling <= MOST_RATIO,
        ceiling_p50_ms=ceiling,
        ceiling_p99_ms=load.percentile(calm, 99),
        p50_ms=ours,
        p99_ms=load.percentile(flooded, 99),
        counts={"refused": refused},
    )


def measure(url: str, config: Config, count: int) -> list[float]:
    """Take numbers at a hall's pace; return the time of each, milliseconds."""
    times: list[float] = []
    one = kiosk.Kiosk(url, 1, config)
    for _ in range(count):
        time.sleep(random.uniform(0.005, 0.035))
        run = load.run(url, 1, 1, one.request)
        times += [a.seconds * 1000 for a in run.answers if a.status == 303]
    return times


@contextmanager
def flood(url: str, how: str, notes: list[str]) -> Iterator[None]:
    """Flood the server from another address, in a process of its own."""
    port = urlsplit(url).port
    with subprocess.Popen(
        [sys.executable, FLOODER, str(port), next(NEIGHBOURS), str(CONNECTIONS), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "go"
        began = time.monotonic()
        try:
            yield
        finally:
            with suppress(OSError):
                told, _ = process.communicate(timeout=15)
                seconds = time.monotonic() - began
                notes.append(f"flood ({how}, {seconds:.1f} s): {told.strip()}")


if __name__ == "__main__":
    sys.exit(main())
