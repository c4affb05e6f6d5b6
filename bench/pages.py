"""
Pages: how long the server takes for the kiosk's, the counter's and the TV's.

`puskesmas-queue serve` with 40 people waiting and a ticket at a counter; each page is asked for as
its machine does, with its cookies, one after the other on a connection that is kept. The ceiling is
`/healthz` of the same server: routing, headers and a thread, and no page.
"""

import json
import random
import secrets
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import desk
import harness
import kiosk
import load

WAITING = 40
P50_MS, P99_MS = 8, 40
EMPTY = "/healthz"
UNIT_PAGE = "/kiosk/unit?lane=general&payment=bpjs"


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    report = harness.Report("pages", "SQLite, WAL, synchronous=FULL")
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        kiosk.fill_line(config, WAITING)
        login = json.loads((folder / "logins.json").read_text())[0]
        with (
            harness.serving(config) as url,
            closing(desk.Counter(url, *login, 1)) as counter,
            closing(HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection,
        ):
            counter.call()
            visit = secrets.token_urlsafe(15)
            kiosk_cookie = cookie_of(harness.kiosk_cookies(config)[0])
            pages = {
                "kiosk": ("/kiosk", kiosk_cookie),
                "kiosk, choice of unit": (f"{UNIT_PAGE}&f={visit}", kiosk_cookie),
                "counter": ("/loket", counter.cookie),
                "TV": ("/display", cookie_of(harness.tv_cookies(config))),
            }
            rounds = wanted.size(400, 80)
            process_id = harness.listening_process(int(url.rpartition(":")[2]))
            before = harness.process_worked_s(process_id)
            times = take_turns(connection, pages, rounds)
            worked = (harness.process_worked_s(process_id) - before) / rounds / len(pages)
    empty = times.pop(EMPTY)
    for name, series in times.items():
        p50, p99 = load.percentile(series, 50), load.percentile(series, 99)
        report.rows.append(
            harness.Row(
                f"page of the {name}, {WAITING} waiting",
                "ms (p50)",
                ceiling=load.percentile(empty, 50),
                ours=p50,
                ratio=p50 / load.percentile(empty, 50),
                target=f"p50 <= {P50_MS} ms, p99 <= {P99_MS} ms",
                is_met=p50 <= P50_MS and p99 <= P99_MS,
                ceiling_p50_ms=load.percentile(empty, 50),
                ceiling_p99_ms=load.percentile(empty, 99),
                p50_ms=p50,
                p99_ms=p99,
            )
        )
    report.notes.append(
        "processor time of the server, which a busy machine changes less: "
        f"{worked * 1000:.1f} ms a page"
    )
    return report.print(as_json=wanted.as_json)


def take_turns(
    connection: HTTPConnection, pages: dict[str, tuple[str, str]], rounds: int
) -> dict[str, list[float]]:
    """Ask for all of them in turn, so often; return how long each took, milliseconds."""
    asked = {EMPTY: (EMPTY, ""), **pages}
    times: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(rounds + 5):
        for name, (path, cookie) in asked.items():
            started = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": cookie})
            answer = connection.getresponse()
            text = answer.read()
            took = (time.perf_counter() - started) * 1000
            assert answer.status == 200, (name, answer.status, text[:300])
            if turn >= 5:
                times[name].append(took)
        # Machines ask now and then, not in step with the server's own second.
        time.sleep(random.uniform(0.005, 0.03))
    return times


def cookie_of(cookies: dict[str, str]) -> str:
    """Write cookies as a browser sends them."""
    return "; ".join(f"{key}={value}" for key, value in cookies.items())


if __name__ == "__main__":
    sys.exit(main())
