"""
From the call to the changed picture on the TV, in Chromium.

A counter calls by the page's own POST; on the open TV page a script watches the number of that
counter. The end is the second animation frame after it changed, which begins once the first
picture with the new number was drawn. A screenshot would be the surer eye, but takes longer than
what is measured. Both ends read the clock of this machine.

The ceiling is a bare page with a raw EventSource on a bare asyncio server, by the same clients.
"""

import asyncio
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import desk
import harness
import kiosk
import load
from playwright.sync_api import TimeoutError as NotSeen

from puskesmas_queue.settings import Config
from support import chromium

COUNTER = 1
P50_MS, P99_MS = 150, 500
WATCH = """
(selector) => {
  window.seenAt = {};
  const look = () => {
    const text = document.querySelector(selector)?.textContent.trim();
    if (!text || text in window.seenAt) return;
    window.seenAt[text] = null;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.seenAt[text] = Date.now();
    }));
  };
  new MutationObserver(look).observe(
    document.body, { childList: true, subtree: true, characterData: true, attributes: true });
  look();
}
"""
BARE_PAGE = b"""<!doctype html><title>bare</title><body><p id="n">-</p><script>
new EventSource("/events").onmessage = (event) => {
  document.getElementById("n").textContent = event.data;
};
</script>"""


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    calls = wanted.size(120, 20)
    report = harness.Report("call to pixel", "SQLite, WAL, synchronous=FULL")
    program = chromium.find_chromium()
    if program is None:
        print(f"not run: {chromium.HOW}")
        return 0
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        login = json.loads((folder / "logins.json").read_text())[COUNTER - 1]
        with harness.serving(config) as url, bare_server() as bare_url:
            # Before the browser, whose event loop stays in this thread.
            load.run(url, 1, calls + 5, kiosk.Kiosk(url, 1, config).request)
            with (
                closing(desk.Counter(url, *login)) as counter,
                chromium.launched(program) as browser,
            ):
                ours, ceiling, lost = watch(browser, config, url, bare_url, counter, calls)
    row = harness.Row(
        f"call to changed picture on an open TV, {calls} calls",
        "ms (p50)",
        ceiling=load.percentile(ceiling, 50),
        ours=load.percentile(ours, 50),
        ratio=load.percentile(ours, 50) / load.percentile(ceiling, 50),
        target=f"p50 <= {P50_MS} ms, p99 <= {P99_MS} ms",
        is_met=load.percentile(ours, 50) <= P50_MS and load.percentile(ours, 99) <= P99_MS,
        ceiling_p50_ms=load.percentile(ceiling, 50),
        ceiling_p99_ms=load.percentile(ceiling, 99),
        p50_ms=load.percentile(ours, 50),
        p99_ms=load.percentile(ours, 99),
        counts={"never seen": lost},
    )
    report.rows.append(row)
    return report.print(as_json=wanted.as_json)


def watch(
    browser: "chromium.Browser",
    config: Config,
    url: str,
    bare_url: str,
    counter: desk.Counter,
    calls: int,
) -> tuple[list[float], list[float], int]:
    """Call again and again; return our times and the ceiling's, and how many were never seen."""
    pages = chromium.Pages(browser)
    tv = pages.open(width=1920, height=1080)
    for name, value in harness.tv_cookies(config).items():
        tv.context.add_cookies([{"name": name, "value": value, "url": url}])
    tv.goto(f"{url}/display")
    bare = pages.open(bare_url, width=1920, height=1080)
    tv.evaluate(WATCH, f"#tv-counter-{COUNTER} .tv-number")
    bare.evaluate(WATCH, "#n")
    ours: list[float] = []
    ceiling: list[float] = []
    lost = 0
    turns: tuple[tuple[chromium.Page, Callable[[], str], list[float]], ...] = (
        (bare, lambda: bare_call(bare_url), ceiling),
        (tv, counter.call, ours),
    )
    for _ in range(calls):
        for page, call, series in turns:
            page.bring_to_front()
            page.wait_for_timeout(random.uniform(150, 300))
            took = measure(page, call)
            if took is None:
                lost += 1
            else:
                series.append(took)
        counter.serve()
    pages.close()
    return ours, ceiling, lost


def measure(page: "chromium.Page", call: Callable[[], str]) -> float | None:
    """Call, and return milliseconds until the page shows it; None where it never did."""
    started = time.time() * 1000
    number = call()
    try:
        page.wait_for_function("(number) => window.seenAt[number]", arg=number, timeout=5000)
    except NotSeen:
        return None
    return float(page.evaluate("(number) => window.seenAt[number]", number)) - started


_bare_calls = iter(range(1, 1_000_000))


def bare_call(url: str) -> str:
    """Let the bare server publish the next number."""
    number = f"N-{next(_bare_calls)}"
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("POST", f"/{number}")
        connection.getresponse().read()
    return number


@contextmanager
def bare_server() -> Iterator[str]:
    """Run the bare server in a thread."""
    loop = asyncio.new_event_loop()
    readers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, *_ = (await reader.readuntil(b"\r\n\r\n")).decode().split()
        if path == "/events":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            readers.append(writer)
            return
        if method == "POST":
            for one in readers:
                one.write(f"data: {path[1:]}\n\n".encode())
        body = BARE_PAGE if method == "GET" else b""
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        for one in readers:
            loop.call_soon_threadsafe(one.close)
        loop.call_soon_threadsafe(server.close)
        time.sleep(0.1)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


if __name__ == "__main__":
    sys.exit(main())
