"""
Issuing on PostgreSQL by REST and by the kiosk's own POST, on two workers, against pgbench.

pgbench runs the very statement that the server runs, with as many clients on the same rows of the
same kind of database; the two take turns within one run.
"""

import sys
from datetime import UTC, datetime

import harness
import kiosk
import load
import pgbench
import program

from puskesmas_queue.storage.issuing_sql import ONE_STATEMENT

CLIENTS = 32
WORKERS = 2
TARGET = 0.3
# Every transaction its own key and code, as every ticket has.
SCRIPT = "\\set draw random(1, 9000000000000000)\n{statement};\n"


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    requests = wanted.size(3000, 1000)
    report = harness.Report("issue on PostgreSQL", f"PostgreSQL, fsync on, {WORKERS} workers")
    asked, given = 0, []
    ceilings: list[pgbench.Result] = []
    runs: list[load.Run] = []
    rest_runs: list[load.Run] = []
    with harness.scratch() as folder, harness.postgres_server() as server:
        ceiling_url, our_url = server.create(), server.create()
        config = harness.make_bench_clinic(folder, our_url, 1)
        report.database = f"PostgreSQL {harness.postgres_version(our_url)}, fsync on"
        statement = ONE_STATEMENT.text.replace(":key", ":draw").replace(":code", ":draw")
        script = SCRIPT.format(statement=statement.strip())
        with harness.serving(config, WORKERS) as url:
            for number in range(-1, wanted.runs):
                size = requests if number >= 0 else wanted.size(600, 300)
                ceiling = pgbench.run(ceiling_url, folder, script, _values(), CLIENTS, size)
                done = load.run(url, CLIENTS, size, kiosk.Kiosk(url, CLIENTS, config).request)
                by_rest = load.run(url, CLIENTS, size, program.Program(url, config).request)
                asked += 2 * size
                given += kiosk.codes(done) + program.ids(by_rest.answers)
                if number >= 0:
                    ceilings.append(ceiling)
                    runs.append(done)
                    rest_runs.append(by_rest)
        counts = kiosk.faults(config, asked, given)
        for one in (ceiling_url, our_url):
            server.drop(one)
    for what, many in (("issue by REST", rest_runs), ("issue", runs)):
        report.rows.append(_row(what, ceilings, many, counts))
    return report.print(as_json=wanted.as_json)


def _row(
    what: str, ceilings: list[pgbench.Result], runs: list[load.Run], counts: dict[str, int]
) -> harness.Row:
    ceiling = harness.middle([one.rate for one in ceilings])
    ours = harness.middle([one.rate for one in runs])
    return harness.Row(
        f"{what}, {CLIENTS} clients, {WORKERS} workers, against pgbench",
        "tickets/s",
        ceiling=ceiling,
        ours=ours,
        ratio=ours / ceiling,
        target=f">= {TARGET} (moonshot 0.5)",
        is_met=ours / ceiling >= TARGET,
        ceiling_p50_ms=harness.middle([one.p50_ms for one in ceilings]),
        ceiling_p99_ms=harness.middle([one.p99_ms for one in ceilings]),
        p50_ms=harness.middle([run.p50_ms for run in runs]),
        p99_ms=harness.middle([run.p99_ms for run in runs]),
        counts=counts,
    )


def _values() -> dict[str, str | None]:
    now = datetime.now(UTC)
    return {
        "clinic_id": "ceiling",
        "holder": "device:ceiling-ceiling-ceiling",
        "request_hash": "0" * 64,
        "service_date": now.date().isoformat(),
        "prefix": "A",
        "unit": "umum",
        "zone": "main",
        "lane": "general",
        "priority_reason": None,
        "payment_type": "bpjs",
        "source": "kiosk",
        "order_key": str(int(now.timestamp() * 1e6)),
        "now": now.isoformat(),
        "estimated_time": None,
        "created_by": None,
        "device": "ceiling-ceiling-ceiling",
        "event_kind": "ticket_issued",
        "facts": '{"unit": "umum", "lane": "general", "source": "kiosk"}',
        "ip_address": "127.0.0.1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "topic": "line:main",
        "channel": "puskesmas_queue_ceiling",
    }


if __name__ == "__main__":
    sys.exit(main())
