"""
Two server processes on PostgreSQL: from a call at one to what a screen of the other shows.

Two `puskesmas-queue serve` on one database, each with its own memory. A counter of the first calls
by its page's own request; a phone's stream is open at the second. What joins the two is NOTIFY.
The ceiling is that same request alone, until it is answered.
"""

import http.client
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import desk
import harness
import kiosk
import load

TOPIC = "phone-main"
COUNTER = 1
MOST = 1.5
LOST_S = 5.0


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    calls = wanted.size(200, 60)
    with harness.scratch() as folder, harness.postgres_server() as server:
        url = server.create()
        config = harness.make_bench_clinic(folder, url, counters=2)
        kiosk.fill_line(config, calls + 20)
        login = json.loads((folder / "logins.json").read_text())[COUNTER - 1]
        report = harness.Report("two processes", f"PostgreSQL {harness.postgres_version(url)}")
        with (
            harness.serving(config) as first,
            harness.serving(config) as second,
            closing(desk.Counter(first, *login, COUNTER)) as counter,
            heard(second) as news,
        ):
            posts, seen, lost = measure(counter, news, calls)
        server.drop(url)
    ratio = load.percentile(seen, 50) / load.percentile(posts, 50)
    report.rows.append(
        harness.Row(
            "call at one process until a stream of the other has it, against its answer",
            "ms (p50)",
            ceiling=load.percentile(posts, 50),
            ours=load.percentile(seen, 50),
            ratio=ratio,
            target=f"<= {MOST}",
            is_met=ratio <= MOST,
            ceiling_p50_ms=load.percentile(posts, 50),
            ceiling_p99_ms=load.percentile(posts, 99),
            p50_ms=load.percentile(seen, 50),
            p99_ms=load.percentile(seen, 99),
            counts={"not heard of": lost},
        )
    )
    return report.print(as_json=wanted.as_json)


def measure(
    counter: desk.Counter, news: "queue.Queue[tuple[float, str]]", calls: int
) -> tuple[list[float], list[float], int]:
    """Call so often; return how long answer and news took, ms, and how many never came."""
    posts, seen, lost = [], [], 0
    for turn in range(calls + 5):
        time.sleep(0.15)
        while not news.empty():
            news.get()
        started = time.monotonic()
        number = counter.call()
        answered = time.monotonic()
        at = when_called(news, number)
        counter.serve()
        if turn < 5:
            # The first ones fill memories and prepare statements.
            continue
        posts.append((answered - started) * 1000)
        if at is None:
            lost += 1
        else:
            seen.append((at - started) * 1000)
    return posts, seen, lost


def when_called(news: "queue.Queue[tuple[float, str]]", number: str) -> float | None:
    """Return when the stream said that this number is called."""
    deadline = time.monotonic() + LOST_S
    while True:
        try:
            at, data = news.get(timeout=max(0.01, deadline - time.monotonic()))
        except queue.Empty:
            return None
        called = json.loads(data)["called"]
        if any(one["number"] == number and one["state"] == "called" for one in called):
            return at


@contextmanager
def heard(url: str) -> Iterator["queue.Queue[tuple[float, str]]"]:
    """Read the stream of a server in a thread; give what it said and when."""
    news: queue.Queue[tuple[float, str]] = queue.Queue()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", f"/live/{TOPIC}")
    answer = connection.getresponse()

    def read() -> None:
        event = ""
        try:
            for line in answer:
                at = time.monotonic()
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                elif line.startswith(b"data: ") and event == TOPIC:
                    news.put((at, line[6:].decode()))
        except http.client.IncompleteRead:
            return  # the stream was ended in the middle

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield news
    finally:
        connection.sock.shutdown(socket.SHUT_RDWR)
        reading.join()
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
