"""
Live streams: from publishing a change until every open stream has it, in one server process.

Ours: `serve` with a route that commits the smallest change (`live_server.py`), so commit, rendering
and sending are in the time, and a phone's topic, the one that hundreds read. The ceiling: bare
asyncio sockets that send as many bytes to as many readers. Both have the same readers, in a process
of their own, and take turns.
"""

import http.client
import json
import random
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import harness
import kiosk
import load

TOPIC = "phone-main"
ALL_RATIO, MOST_KB = 2.5, 30
WAITING = 100
"""Numbers in the line, so that an event has about 1 kB."""


@dataclass(slots=True)
class Series:
    """
    Rounds of one server.

    Args:
        last: From publishing until the last reader had it, by round, milliseconds.
        each: The same until each reader had it, all rounds.
        lost: How often a reader did not get it.
        kb: Memory of the server by reader, kB.
    """

    last: list[float]
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
    head = f"event: {TOPIC}\ndata: ".encode()
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db")
        kiosk.fill_line(config, WAITING)
        program = [str(harness.BENCH / "live_server.py"), str(config.path)]
        raw_program = [str(harness.BENCH / "raw_live.py")]
        with harness.running(program, folder) as url, harness.running(raw_program, folder) as raw:
            size = event_size(url)
            ours, bare = take_turns(
                count,
                rounds,
                Published(url, f"/live/{TOPIC}", "/bench/publish", b""),
                # The server's own event of the topic, as long to the byte.
                Published(raw, "/", "/", head.ljust(size - 2, b"x") + b"\n\n"),
            )
    ratio = harness.middle(ours.last) / harness.middle(bare.last)
    row = harness.Row(
        f"live: published until all of {count:,} readers have it, {size / 1000:.1f} kB an event",
        "ms (all have it, median)",
        ceiling=harness.middle(bare.last),
        ours=harness.middle(ours.last),
        ratio=ratio,
        target=f"<= {ALL_RATIO}",
        is_met=ratio <= ALL_RATIO,
        ceiling_p50_ms=load.percentile(bare.each, 50),
        ceiling_p99_ms=load.percentile(bare.each, 99),
        p50_ms=load.percentile(ours.each, 50),
        p99_ms=load.percentile(ours.each, 99),
        counts={"without it": ours.lost},
    )
    memory = harness.Row(
        f"live: memory of the server by reader, {count:,} readers",
        "kB",
        ceiling=bare.kb,
        ours=ours.kb,
        ratio=ours.kb / bare.kb,
        target=f"ours <= {MOST_KB} kB",
        is_met=ours.kb <= MOST_KB,
    )
    return [row, memory]


@dataclass(frozen=True, slots=True)
class Published:
    """A server: where its stream is, and what publishes one more event on it."""

    url: str
    stream: str
    path: str
    data: bytes

    def publish(self) -> None:
        """Let all readers have one more event."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)) as client:
            client.request("POST", self.path, self.data, headers)
            answer = client.getresponse()
            assert answer.status == 204, answer.read()


def take_turns(count: int, rounds: int, ours: Published, bare: Published) -> tuple[Series, Series]:
    """Open both crowds; publish on one server, then on the other, again and again."""
    found = Series([], [], 0, 0), Series([], [], 0, 0)
    with Crowd(ours, count) as crowd, Crowd(bare, count) as bare_crowd:
        found[0].kb, found[1].kb = crowd.kb, bare_crowd.kb
        for _ in range(rounds):
            for one, series in ((bare_crowd, found[1]), (crowd, found[0])):
                time.sleep(random.uniform(0.2, 0.4))
                one.measure(series)
    return found


class Crowd:
    """So many readers of one server, in a process of their own."""

    def __init__(self, server: Published, count: int) -> None:
        self._server = server
        self._count = count
        host, _, port = urlsplit(server.url).netloc.partition(":")
        process_id = harness.listening_process(int(port))
        before = memory_kb(process_id)
        program = str(harness.BENCH / "live_clients.py")
        self._process = subprocess.Popen(
            [sys.executable, program, host, port, server.stream, TOPIC, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")
        time.sleep(1 + count / 2_000)
        # A page of memory is the least that is seen; of a few readers nothing is.
        self.kb = max(0.1, (memory_kb(process_id) - before) / count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait(15)
        self._process.stdout.close()

    def measure(self, series: Series) -> None:
        """Publish once and wait until all readers have it."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._expect("go")
        started = time.monotonic()
        self._server.publish()
        times = json.loads(self._line())
        series.lost += self._count - len(times)
        series.each += [(at - started) * 1000 for at in times]
        series.last.append((max(times) - started) * 1000)

    def _expect(self, word: str) -> None:
        line = self._line()
        if line.strip() != word:
            raise RuntimeError(f"the readers said {line!r}, not {word}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def event_size(url: str) -> int:
    """Return how long one event of the topic is, bytes."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("GET", f"/live/{TOPIC}")
        answer = connection.getresponse()
        size = 0
        for line in answer:
            size += len(line)
            if line.startswith(b"event:"):
                name, size = line.split()[1].decode(), len(line)
            if line == b"\n" and name == TOPIC:
                return size
    raise RuntimeError("the stream ended")


def memory_kb(process_id: int) -> float:
    """Return the memory of a process that is its own, kB."""
    text = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    private = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return float(sum(int(parts[1]) for parts in private))


if __name__ == "__main__":
    sys.exit(main())
