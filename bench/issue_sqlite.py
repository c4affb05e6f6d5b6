"""
Issuing on SQLite by REST and by the kiosk's own POST, against a bare group-commit server.

Ceiling and ours take turns within one run, with the same clients and requests.
"""

import sys

import harness
import kiosk
import load
import program

CLIENTS = (8, 32)
WARM_UP = 300
NORMAL = harness.BENCH / "serve_normal.py"


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    requests = wanted.size(4000, 1500)
    report = harness.Report("issue on SQLite", "SQLite, WAL, synchronous=FULL")
    asked, given = 0, []
    with harness.scratch() as folder:
        for name in ("ours", "normal"):
            (folder / name).mkdir()
        config, volatile = (
            harness.make_bench_clinic(folder / name, "sqlite:///data/puskesmas.db", 1)
            for name in ("ours", "normal")
        )
        raw = [str(harness.BENCH / "raw_server.py"), "--database", str(folder / "raw.db")]
        bare = [raw[0], "--database", str(folder / "bare.db")]
        with (
            harness.running([*raw, "--threads"], folder) as raw_url,
            harness.running(bare, folder) as bare_url,
            harness.serving(config) as our_url,
            harness.serving(volatile, program=[str(NORMAL)]) as normal_url,
        ):
            urls = {
                "raw": raw_url,
                "bare": bare_url,
                "ours": our_url,
                "rest": our_url,
                "normal": normal_url,
            }
            clinics = {"ours": config, "normal": volatile}
            for clients in CLIENTS:
                runs: dict[str, list[load.Run]] = {name: [] for name in urls}
                for number in range(-1, wanted.runs):
                    for name, url in urls.items():
                        size = requests if number >= 0 else wanted.size(WARM_UP, WARM_UP)
                        asking: kiosk.Kiosk | program.Program = (
                            program.Program(url, config)
                            if name == "rest"
                            else kiosk.Kiosk(url, clients, clinics.get(name))
                        )
                        done = load.run(url, clients, size, asking.request)
                        if number >= 0:
                            runs[name].append(done)
                        if name in ("ours", "rest"):
                            asked += size
                            given += kiosk.codes(done) + program.ids(done.answers)
                report.rows.append(_row(f"by REST, {clients} clients", runs["raw"], runs["rest"]))
                report.rows.append(_row(f"{clients} clients", runs["raw"], runs["ours"]))
                report.rows.append(_bare(clients, runs["bare"], runs["ours"]))
                if clients == CLIENTS[-1]:
                    report.rows.append(_durable(clients, runs["normal"], runs["ours"]))
        counts = kiosk.faults(config, asked, given)
        for row in report.rows:
            row.counts = counts
    return report.print(as_json=wanted.as_json)


def _row(what: str, ceiling: list[load.Run], ours: list[load.Run]) -> harness.Row:
    row = compare(f"issue, {what}", ceiling, ours)
    slower = (row.p99_ms or 0) / (row.ceiling_p99_ms or 1)
    row.target = f">= 0.2 (moonshot 0.4), p99 <= 3 x (here {slower:.1f} x)"
    row.is_met = row.ratio >= 0.2 and slower <= 3
    return row


def _bare(clients: int, bare: list[load.Run], ours: list[load.Run]) -> harness.Row:
    row = compare(f"issue, {clients} clients, against a loop without threads", bare, ours)
    row.target = "for information"
    row.is_met = True
    return row


def _durable(clients: int, normal: list[load.Run], ours: list[load.Run]) -> harness.Row:
    row = compare(f"issue, FULL against synchronous=NORMAL, {clients} clients", normal, ours)
    row.target = ">= 0.9"
    row.is_met = row.ratio >= 0.9
    return row


def compare(what: str, ceiling: list[load.Run], ours: list[load.Run]) -> harness.Row:
    """Put the medians of two series side by side."""
    rates = [harness.middle([run.rate for run in runs]) for runs in (ceiling, ours)]
    return harness.Row(
        what,
        "tickets/s",
        ceiling=rates[0],
        ours=rates[1],
        ratio=rates[1] / rates[0],
        target="",
        is_met=False,
        ceiling_p50_ms=harness.middle([run.p50_ms for run in ceiling]),
        ceiling_p99_ms=harness.middle([run.p99_ms for run in ceiling]),
        p50_ms=harness.middle([run.p50_ms for run in ours]),
        p99_ms=harness.middle([run.p99_ms for run in ours]),
    )


if __name__ == "__main__":
    sys.exit(main())
