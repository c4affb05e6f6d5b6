"""
Live streams: from a call until every open stream has the changed display, in one server process.

Ours: a counter calls by its page's own POST on `puskesmas-queue serve`; rules, audit, commit and
rendering are in the time. From the call's answer on ("published") only the sending is.
The ceiling: bare asyncio sockets that send as many bytes to as many readers. Both have the same
readers, in a process of their own, and take turns.
"""

import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import desk
import harness
import kiosk
import load

TOPIC = "display-main"
ALL_RATIO, MOST_KB = 2.5, 30
COUNTER = 1


@dataclass(slots=True)
class Series:
    """
    Rounds of one server, milliseconds.

    Args:
        last: From the call until the last reader had it, by round.
        sent: The same from the moment the call was answered.
        each: From the call until each reader had it, all rounds.
        lost: Readers that never had it.
        kb: Memory of the server by reader, kB.
    """

    last: list[float]
    sent: list[float]
    each: list[float]
    lost: int
    kb: float


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    report = harness.Report("live streams", "SQLite, WAL, synchronous=FULL")
    for count in (wanted.size(1_000, 300), wanted.size(5_000, 1_000)):
        report.rows += rows_of(count, wanted.size(60, 15))
    return report.print(as_json=wanted.as_json)


def rows_of(count: int, rounds: int) -> list[harness.Row]:
    """Measure with so many readers."""
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        login = json.loads((folder / "logins.json").read_text())[COUNTER - 1]
        raw_program = [str(harness.BENCH / "raw_live.py")]
        with harness.serving(config) as url, harness.running(raw_program, folder) as raw_url:
            load.run(url, 1, rounds + 5, kiosk.Kiosk(url, 1, config).request)
            cookie = "; ".join(f"{k}={v}" for k, v in harness.tv_cookies(config).items())
            size = event_size(url, cookie)
            with closing(desk.Counter(url, *login, COUNTER)) as counter:
                ours, raw = take_turns(
                    count,
                    rounds,
                    (url, f"/live/{TOPIC}", cookie, counter),
                    (raw_url, f"event: {TOPIC}\ndata: {'x' * (size - 30)}\n\n".encode()),
                )
    row = harness.Row(
        f"live: call until all of {count:,} readers have it, {size / 1000:.1f} kB an event",
        "ms (all have it, median)",
        ceiling=harness.middle(raw.last),
        ours=harness.middle(ours.last),
        ratio=harness.middle(ours.last) / harness.middle(raw.last),
        target=f"<= {ALL_RATIO}",
        is_met=harness.middle(ours.last) / harness.middle(raw.last) <= ALL_RATIO,
        ceiling_p50_ms=load.percentile(raw.each, 50),
        ceiling_p99_ms=load.percentile(raw.each, 99),
        p50_ms=load.percentile(ours.each, 50),
        p99_ms=load.percentile(ours.each, 99),
        counts={"without it": ours.lost},
    )
    sent = harness.Row(
        f"live: answer of the call until all of {count:,} readers have it",
        "ms (all have it, median)",
        ceiling=harness.middle(raw.last),
        ours=harness.middle(ours.sent),
        ratio=harness.middle(ours.sent) / harness.middle(raw.last),
        target=f"<= {ALL_RATIO}",
        is_met=harness.middle(ours.sent) / harness.middle(raw.last) <= ALL_RATIO,
    )
    memory = harness.Row(
        f"live: memory of the server by reader, {count:,} readers",
        "kB",
        ceiling=raw.kb,
        ours=ours.kb,
        ratio=ours.kb / raw.kb,
        target=f"ours <= {MOST_KB} kB",
        is_met=ours.kb <= MOST_KB,
    )
    return [row, sent, memory]


def take_turns(
    count: int,
    rounds: int,
    ours: tuple[str, str, str, desk.Counter],
    raw: tuple[str, bytes],
) -> tuple[Series, Series]:
    """Open both crowds; call on one server, then on the other, again and again."""
    url, path, cookie, counter = ours
    raw_url, event = raw
    found = Series([], [], [], 0, 0), Series([], [], [], 0, 0)
    with Crowd(url, path, count, cookie) as crowd, Crowd(raw_url, "/", count) as raw_crowd:
        found[0].kb, found[1].kb = crowd.kb, raw_crowd.kb
        for _ in range(rounds):
            for one, series, call in (
                (raw_crowd, found[1], lambda: publish(raw_url, event)),
                (crowd, found[0], counter.call),
            ):
                time.sleep(random.uniform(0.2, 0.4))
                one.measure(call, series)
            counter.serve()
            # What the serving shows is no round.
            time.sleep(0.2 + count / 20_000)
    return found


class Crowd:
    """So many readers of one server, in a process of their own."""

    def __init__(self, url: str, path: str, count: int, cookie: str = "") -> None:
        self._count = count
        host, _, port = urlsplit(url).netloc.partition(":")
        self._process_id = listening_process(int(port))
        before = memory_kb(self._process_id)
        program = str(harness.BENCH / "live_clients.py")
        self._process = subprocess.Popen(
            [sys.executable, program, host, port, path, TOPIC, str(count), cookie],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")
        time.sleep(1 + count / 2_000)
        self.kb = (memory_kb(self._process_id) - before) / count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait(15)
        self._process.stdout.close()

    def measure(self, call: Callable[[], object], series: Series) -> None:
        """Call once and wait until all readers have it."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._expect("go")
        started = time.monotonic()
        call()
        answered = time.monotonic()
        times = json.loads(self._line())
        series.lost += self._count - len(times)
        series.each += [(at - started) * 1000 for at in times]
        series.last.append((max(times) - started) * 1000)
        series.sent.append((max(times) - answered) * 1000)

    def _expect(self, word: str) -> None:
        line = self._line()
        if line.strip() != word:
            raise RuntimeError(f"the readers said {line!r}, not {word}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def event_size(url: str, cookie: str) -> int:
    """Return how long one event of the topic is, bytes."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("GET", f"/live/{TOPIC}", headers={"cookie": cookie})
        answer = connection.getresponse()
        size = 0
        for line in answer:
            size += len(line)
            if line.startswith(b"event:"):
                name, size = line.split()[1].decode(), len(line)
            if line == b"\n" and name == TOPIC:
                return size
    raise RuntimeError("the stream ended")


def publish(url: str, event: bytes) -> None:
    """Let the bare server send an event to all."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("POST", "/", event)
        connection.getresponse().read()


def listening_process(port: int) -> int:
    """Return who listens on a port of this machine."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if parts[3] == "0A" and int(parts[1].rpartition(":")[2], 16) == port:
            return owner(f"socket:[{parts[9]}]")
    raise RuntimeError(f"nobody listens on {port}")


def owner(link: str) -> int:
    """Return the youngest process that has a file open."""
    holders = [int(path.parts[2]) for path in open_files() if target(path) == link]
    return max(holders)


def open_files() -> Iterator[Path]:
    """List the open files of all processes that may be looked at."""
    yield from Path("/proc").glob("[0-9]*/fd/[0-9]*")


def target(path: Path) -> str:
    """Return what an open file is, nothing where it was closed meanwhile."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def memory_kb(process_id: int) -> float:
    """Return the memory of a process that is its own, kB."""
    text = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    private = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return float(sum(int(parts[1]) for parts in private))


if __name__ == "__main__":
    sys.exit(main())
