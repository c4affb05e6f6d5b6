"""
Faulty plugins: do issuing and calling stay as quick as without any.

Measured at the use cases, below HTTP, on SQLite, in one process. Patients come at random, twenty a
second; each takes a number, and one is called and served. Each plugin has a clinic of its own,
which takes turns with one as old that has none, in another order each time. A plugin that hangs
does so for its whole turn. What an overrun costs before it is switched off is in the worst time.
Then come plugins whose receiver is down, with a day's and more of facts that wait for it, and last
what is asked for beside the hall again and again: pages, a beginning, and tables that fail. What
spins for seconds and then rests is measured while it spins, and over a minute of it as well.
"""

import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness
import load
from sqlalchemy import delete, func, insert, select, text

from puskesmas_queue.cli.serve import SWITCH_S
from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import Actor, Role
from puskesmas_queue.domain.events import lifetime, order_key
from puskesmas_queue.domain.tickets import Lane, PaymentType, TicketRequest
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host.dispatch import LIFE_BUSY_S, STARTUP_BUSY_S
from puskesmas_queue.plugin_host.outcomes import PluginFailed
from puskesmas_queue.services.calling import call_next, complete, serve
from puskesmas_queue.services.counters import open_counter
from puskesmas_queue.services.tickets import cancel_ticket, issue_ticket
from puskesmas_queue.settings import CONFIG_NAME, load_config
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.plugin_data import plugin_database
from puskesmas_queue.storage.transaction import Tx
from puskesmas_queue.web.plugin_screens import PAGE_BUSY_S, PAGE_DEADLINE_S
from puskesmas_queue.workers.outbox import Outbox
from puskesmas_queue.workers.plugins import MIGRATION_DEADLINE_S, STARTUP_DEADLINE_S

HOOKS = {
    "decision": ("format_ticket_number", "choose_lane", "estimate_wait", "format_announcement"),
    "veto": ("check_ticket_request",),
    "fact": ("ticket_issued", "ticket_called", "ticket_serving", "ticket_completed"),
}
GUEST = "guest"
MODEL = "model"
"""The folder of the clinic that all others are copies of."""
MOST = 1.5
KIOSK = Actor("device", name="kiosk", device="k" * 22)
STAFF = Actor("user", id=None, name="bench", role=Role.PETUGAS_LOKET)
REQUEST = TicketRequest("umum", Lane.GENERAL, PaymentType.BPJS)
WARM_UP = 10
BETWEEN_S = 0.05
BACKLOGS = 1_500, 5_000
"""Facts that wait: a day of a clinic with 300 patients, and three of them."""
PER_TICKET = 3
AGAIN_S = 0.02
"""So soon somebody asks again for what goes wrong beside the hall."""
MIGRATION = """
revision, down_revision = "0001", None


def upgrade():
    raise ValueError("broken")
"""
LONG_SIZES = 1_200, 600
"""Patients of a turn that goes on through its rests: of a minute, and of half a minute."""
LONG = ", with its rests"
MINIMUM_S = 60.0
"""A plugin that goes wrong sleeps for so long, if its turn is not over before."""


@dataclass
class Turn:
    """Shared by the plugins: over when the next one's turn comes."""

    over: threading.Event = field(default_factory=threading.Event)
    leaked: list[bytes] = field(default_factory=list)


def ways(turn: Turn) -> dict[str, Callable[[], Any]]:
    """Return what plugins do in their hooks, by its name; `well` is for comparison."""
    lock = threading.Lock()

    def spin() -> None:
        while not turn.over.is_set():
            pass

    def sleep() -> None:
        turn.over.wait(MINIMUM_S)

    def wait_in_lock() -> None:
        # Another one holds it until the turn is over.
        while not turn.over.is_set() and not lock.acquire(timeout=0.5):
            pass

    def fail() -> None:
        raise ValueError("broken")

    lock.acquire()
    return {
        "well": lambda: None,
        "raising": fail,
        "nonsense": object,
        "leaking": lambda: turn.leaked.append(bytes(100_000)),
        "spinning": spin,
        "sleeping": sleep,
        "in a lock": wait_in_lock,
    }


def plugin(act: Callable[[], Any], hooks: tuple[str, ...]) -> object:
    """Make a plugin that does the same in all these hooks."""

    def copied() -> Callable[[], Any]:
        def implementation() -> Any:
            return act()

        return implementation

    return type("Plugin", (), {hook: staticmethod(hookimpl(copied())) for hook in hooks})()


@dataclass
class Times:
    """How long each step took, seconds."""

    issue: list[float] = field(default_factory=list)
    call: list[float] = field(default_factory=list)


@dataclass
class Hall:
    """One clinic."""

    clinic: Clinic
    beside: Callable[[Clinic], object] | None = None
    times: Times = field(default_factory=Times)
    asked: int = 0

    def work(self, patients: int, turn: Turn, dice: random.Random) -> None:
        """Let so many come while the outbox works."""
        turn.over.clear()
        outbox = Outbox(self.clinic)
        for name in self.clinic.plugins.names:
            outbox.start(name)
        asker = threading.Thread(target=self.ask, args=(turn,))
        asker.start()
        for _ in range(patients):
            time.sleep(dice.expovariate(1 / BETWEEN_S))
            started = time.perf_counter()
            issue_ticket(self.clinic, REQUEST, KIOSK)
            self.times.issue.append(time.perf_counter() - started)
            started = time.perf_counter()
            ticket = call_next(self.clinic, 1, STAFF)
            self.times.call.append(time.perf_counter() - started)
            assert ticket is not None
            # No TV is here to speak them: they would pile up as they do in no hall.
            self.clinic.db.write(drop_announcements)
            serve(self.clinic, ticket.id, STAFF, 1)
            complete(self.clinic, ticket.id, STAFF)
        turn.over.set()
        asker.join()
        outbox.stop(10)
        turn.leaked.clear()
        self.asked += patients

    def ask(self, turn: Turn) -> None:
        """Ask for what goes wrong beside the hall until the turn is over."""
        while self.beside is not None and not turn.over.wait(AGAIN_S):
            with suppress(PluginFailed):
                self.beside(self.clinic)


@dataclass
class Case:
    """A clinic with a plugin, and one as old without any."""

    name: str
    ours: Hall
    bare: Hall


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    sys.setswitchinterval(SWITCH_S)
    patients = wanted.size(50, 25)
    rounds = wanted.runs
    report = harness.Report("issue and call next with faulty plugins", "SQLite")
    turn = Turn()
    with harness.scratch() as folder:
        cases, long_ones = open_cases(folder, turn)
        dice = random.Random(7)
        try:
            for case in (*cases, *long_ones):
                case.bare.work(wanted.size(WARM_UP, WARM_UP), turn, dice)
                case.bare.times = Times()
            for _ in range(rounds):
                for case in dice.sample(cases, len(cases)):
                    for hall in dice.sample([case.ours, case.bare], 2):
                        hall.work(patients, turn, dice)
            for case in long_ones:
                for hall in dice.sample([case.ours, case.bare], 2):
                    hall.work(wanted.size(*LONG_SIZES), turn, dice)
            report.rows = rows([*cases, *long_ones])
        finally:
            turn.over.set()
            for case in (*cases, *long_ones):
                case.ours.clinic.close()
                case.bare.clinic.close()
    report.notes.append(
        "A decision that hangs costs 100 ms once, then its plugin is switched off; "
        "a fact that spins is ended after a second and left alone for 5 s, then twice as long."
    )
    return report.print(as_json=wanted.as_json)


def open_cases(folder: Path, turn: Turn) -> tuple[list[Case], list[Case]]:
    """Make a case for each way of going wrong, and further ones for what spins and then rests."""
    acts, cases, long_ones = ways(turn), [], []
    (folder / MODEL).mkdir()
    harness.make_bench_clinic(folder / MODEL, "sqlite:///data/puskesmas.db")
    for sort, hooks in HOOKS.items():
        for name, act in acts.items():
            if (sort, name) != ("fact", "nonsense"):
                # Nobody looks at what is answered to a fact.
                cases.append(open_case(folder, f"{name}, {sort}", plugin(act, hooks)))
    for waiting in BACKLOGS:
        down = plugin(acts["raising"], HOOKS["fact"])
        cases.append(open_case(folder, f"receiver down, {waiting:,} open", down))
        leave_behind(cases[-1].ours, waiting)
    for name, beside in besides(folder, acts).items():
        for found, more in ((cases, ""), (long_ones, LONG)):
            if not more or name.endswith("spinning"):
                found.append(open_case(folder, name + more, plugin(acts["spinning"], ("startup",))))
                found[-1].ours.beside = beside
    spinning = plugin(acts["spinning"], HOOKS["fact"])
    long_ones.append(open_case(folder, f"spinning, fact{LONG}", spinning))
    return cases, long_ones


def open_case(folder: Path, name: str, guest: object) -> Case:
    """Make two clinics, one with a plugin."""
    own = folder / name.replace(", ", "-").replace(" ", "-")
    halls = []
    for half, plugins in (("ours", [(GUEST, guest)]), ("bare", [])):
        shutil.copytree(folder / MODEL, own / half)
        clinic = open_clinic(load_config(own / half / CONFIG_NAME, {}), plugins=plugins)
        open_counter(clinic, 1, "session-1", STAFF)
        halls.append(Hall(clinic))
    return Case(name, *halls)


def besides(
    folder: Path, acts: dict[str, Callable[[], Any]]
) -> dict[str, Callable[[Clinic], object]]:
    """Return what is asked for beside the hall, by its name."""

    def page(act: Callable[[], Any]) -> Callable[[Clinic], object]:
        return lambda clinic: clinic.hooks.run(GUEST, "page", act, PAGE_DEADLINE_S, PAGE_BUSY_S)

    def begin(clinic: Clinic) -> None:
        clinic.hooks.call_life(
            GUEST, "startup", clinic.clock.now(), STARTUP_DEADLINE_S, STARTUP_BUSY_S
        )

    def migrate(clinic: Clinic) -> None:
        data = plugin_database(clinic.config.database.url, GUEST, folder / "guest")
        assert data is not None
        try:
            clinic.hooks.run(GUEST, "migrations", data.prepare, MIGRATION_DEADLINE_S, LIFE_BUSY_S)
        finally:
            data.close()

    versions = folder / "guest" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_first.py").write_text(MIGRATION)
    pages = {f"page {name}": page(acts[name]) for name in ("raising", "spinning", "sleeping")}
    return {**pages, "beginning spinning": begin, "tables failing": migrate}


def leave_behind(hall: Hall, waiting: int) -> None:
    """Let so many facts wait, three of each ticket; all tell of one that was real."""
    clinic = hall.clinic
    ticket = issue_ticket(clinic, REQUEST, KIOSK)
    cancel_ticket(clinic, ticket.id, "bench", STAFF)
    hall.asked += 1
    kind, now = "ticket_issued", clinic.clock.now()
    event = {"kind": kind, "occurred_at": now, "zone": "main", "ticket_id": ticket.id, "data": {}}
    delivery = {"plugin": GUEST, "state": "open", "created_at": now, "next_at": now}
    delivery["expires_at"] = now + lifetime(kind)

    def run(tx: Tx) -> None:
        first = 1 + tx.conn.execute(select(func.max(tables.events.c.id))).scalar_one()
        ids = [{"clinic_id": clinic.id, "id": first + place} for place in range(waiting)]
        tx.conn.execute(insert(tables.events), [{**one, **event} for one in ids])
        keys = [order_key(kind, 1_000_000 + place // PER_TICKET) for place in range(waiting)]
        told = [
            {**one, **delivery, "event_id": one["id"], "order_key": key}
            for one, key in zip(ids, keys, strict=True)
        ]
        tx.conn.execute(insert(tables.deliveries), told)

    clinic.db.write(run)


def drop_announcements(tx: Tx) -> None:
    """Forget what waits to be spoken."""
    tx.conn.execute(delete(tables.announcements))


def rows(cases: list[Case]) -> list[harness.Row]:
    """Compare each with the clinic that has no plugin."""
    found = []
    for case in cases:
        for what in ("issue", "call"):
            ceiling, ours = getattr(case.bare.times, what), getattr(case.ours.times, what)
            p50, p99 = (
                [load.percentile(one, part) * 1000 for one in (ceiling, ours)] for part in (50, 99)
            )
            ratio = p50[1] / p50[0]
            tail = p99[1] / p99[0]
            found.append(
                harness.Row(
                    f"{what}, plugin {case.name}; worst {max(ours) * 1000:.0f} ms",
                    "ms (p50)",
                    ceiling=p50[0],
                    ours=p50[1],
                    ratio=ratio,
                    target=f"<= {MOST} (p99: {tail:.2f})",
                    is_met=ratio <= MOST,
                    ceiling_p50_ms=p50[0],
                    ceiling_p99_ms=p99[0],
                    p50_ms=p50[1],
                    p99_ms=p99[1],
                    counts={"tickets amiss": abs(case.ours.asked - issued(case.ours.clinic))},
                )
            )
    return found


def issued(clinic: Clinic) -> int:
    """Count different numbers that were given."""
    count = "SELECT count(DISTINCT number) FROM tickets"
    return int(clinic.db.read(lambda tx: tx.conn.execute(text(count)).scalar_one()))


if __name__ == "__main__":
    sys.exit(main())
