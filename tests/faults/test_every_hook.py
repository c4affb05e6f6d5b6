"""
Every hook, every way to go wrong: tickets issued equal requests, and the line is called to its end.

What exactly is nonsense, and what the default says in its place, is in `tests/hooks`.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from faults.misbehaving import DECISIONS, FACTS, LATE_S, VETOES, WAYS, Way, faulty, life
from puskesmas_queue.clinic import Clinic
from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.domain.tickets import Ticket
from puskesmas_queue.services import calling, day, tickets
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.services.line import line_view
from puskesmas_queue.storage import tables
from puskesmas_queue.workers.outbox import Outbox
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, open_all, rows_of, take
from support.waiting import until

# What is raised while a faulty thread collects garbage, Python can only print.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HOOKS = (*DECISIONS, *VETOES, *FACTS)
REQUESTS = "PAAPA"
WAIT_S = 120


@contextmanager
def opened(
    url: str, clock: ShiftedClock, folder: Path, deadline_s: float, **plugins: object
) -> Iterator[tuple[Clinic, Outbox]]:
    """Open a furnished clinic with plugins, and tell them its facts."""
    clinic = make_clinic(make_config(url, folder), clock, plugins=plugins.items())
    clinic.hooks._deadline_s = clinic.hooks._fact_deadline_s = deadline_s
    outbox = Outbox(clinic)
    try:
        for name in clinic.plugins.names:
            outbox.start(name)
        yield clinic, outbox
    finally:
        outbox.stop(WAIT_S)
        clinic.close()


def work(clinic: Clinic) -> None:
    """
    Live through a day in which every fact happens; as many tickets come out as were asked for.

    Everybody is called once, and calling goes on until nobody waits.
    """
    issued = take(clinic, REQUESTS)
    issued.append(tickets.issue_emergency(clinic, KIOSK))
    tickets.cancel_ticket(clinic, issued[-2].id, "uji", STAFF)
    open_all(clinic, 1, 2)
    line_view(clinic, "main")
    called = [_skip(clinic), _be_away(clinic)]
    while (ticket := calling.call_next(clinic, 1, STAFF)) is not None:
        calling.serve(clinic, ticket.id, STAFF, 1)
        calling.complete(clinic, ticket.id, STAFF)
        called.append(ticket.number)

    rows = rows_of(clinic, tables.tickets)
    assert len(rows) == len(issued) == len(REQUESTS) + 1
    assert len({row.number for row in rows}) == len(rows)
    assert {row.number for row in rows} == {ticket.number for ticket in issued}
    assert sorted(called) == sorted(ticket.number for ticket in _to_call(issued))


def _to_call(issued: list[Ticket]) -> list[Ticket]:
    # The last but one was cancelled, the last is an emergency.
    return issued[:-2]


def _skip(clinic: Clinic) -> str:
    ticket = calling.call_next(clinic, 2, STAFF)
    for _ in range(2):
        clinic.clock.advance(timedelta(seconds=21))
        calling.recall(clinic, ticket.id, STAFF)
    calling.skip(clinic, ticket.id, STAFF)
    return ticket.number


def _be_away(clinic: Clinic) -> str:
    ticket = calling.call_next(clinic, 2, STAFF)
    calling.serve(clinic, ticket.id, STAFF, 2)
    calling.hold(clinic, ticket.id, STAFF)
    return ticket.number


def end_day(clinic: Clinic, outbox: Outbox) -> None:
    """Let it be tomorrow."""
    clinic.clock.advance(timedelta(days=1))
    day.confirm_clock(clinic, STAFF)
    day.expire_old_days(clinic)
    assert day.close_days(clinic) == 1
    # No screen shows this fact, so nothing else tells the outbox to look before its next second.
    outbox.wake()


def lines(caplog: pytest.LogCaptureFixture, plugin: str) -> list[str]:
    """Return what was logged as an error about a plugin."""
    found = [record for record in caplog.records if record.levelno >= logging.ERROR]
    return [text for record in found if f"plugin {plugin}," in (text := record.getMessage())]


def check(
    url: str,
    clock: ShiftedClock,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    way: Way,
    *hooks: str,
) -> None:
    """
    Live through a day with a plugin for each hook, which goes wrong there.

    Doctor and log name each of them with its hook: the doctor by a row, the log by a line.
    """
    with ExitStack() as stack:
        lives = {f"in_{hook}": stack.enter_context(life()) for hook in hooks}
        plugins = {f"in_{hook}": faulty(way, lives[f"in_{hook}"], hook) for hook in hooks}
        clinic, outbox = stack.enter_context(opened(url, clock, folder, way.deadline_s, **plugins))
        work(clinic)
        # Before time passes, in which facts grow old.
        until(lambda: all(one.called for name, one in lives.items() if name != "in_day_closed"))
        end_day(clinic, outbox)
        until(lambda: all(one.called for one in lives.values()))
        expected = sorted(
            (f"in_{hook}", hook, kind) for hook in hooks if (kind := way.kind_in(hook)) is not None
        )
        until(lambda: len(plugin_faults(clinic)) >= len(expected))
        rows = plugin_faults(clinic)
        assert sorted((row.plugin, row.hook, row.kind) for row in rows) == expected
        assert all(row.detail for row in rows)
    for plugin, hook, kind in expected:
        (line,) = lines(caplog, plugin)
        assert f"hook {hook} {kind}" in line
    assert len(expected) == sum(len(lines(caplog, plugin)) for plugin in plugins)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("hook", [*DECISIONS, *VETOES])
def test_a_decision_or_veto_goes_wrong(sqlite_url, clock, tmp_path, caplog, hook, name):
    check(sqlite_url, clock, tmp_path, caplog, WAYS[name], hook)


@pytest.mark.parametrize("name", WAYS)
def test_every_fact_goes_wrong(sqlite_url, clock, tmp_path, caplog, name):
    """A plugin for each fact, told by a worker of its own."""
    check(sqlite_url, clock, tmp_path, caplog, WAYS[name], *FACTS)


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["raises", "answers nonsense", "spins", "waits in a lock"])
@pytest.mark.parametrize("hook", [DECISIONS[0], VETOES[0], FACTS[0]])
def test_a_hook_goes_wrong_on_postgresql(postgres_url, clock, tmp_path, caplog, hook, name):
    """One hook of each sort."""
    check(postgres_url, clock, tmp_path, caplog, WAYS[name], hook)


def test_all_plugins_go_wrong_in_all_hooks(database_url, clock, tmp_path, caplog):
    """One plugin for each way; a fault is logged once per plugin, hook and kind."""
    with ExitStack() as stack:
        shared = stack.enter_context(life())
        plugins = {
            f"guest_{number}": faulty(way, shared, *HOOKS)
            for number, way in enumerate(WAYS.values())
        }
        clinic, outbox = stack.enter_context(
            opened(database_url, clock, tmp_path, LATE_S, **plugins)
        )
        work(clinic)
        end_day(clinic, outbox)
        until(lambda: {row.plugin for row in plugin_faults(clinic)} >= _seen_to_fail())
    for plugin in plugins:
        logged = [line.partition(":")[0] for line in lines(caplog, plugin)]
        assert len(logged) == len(set(logged))


def _seen_to_fail() -> set[str]:
    return {f"guest_{n}" for n, way in enumerate(WAYS.values()) if way.kind is not None}


def test_every_hook_is_among_them():
    """The groups of specifications were found, and nothing in two of them."""
    assert min(len(DECISIONS), len(VETOES), len(FACTS)) > 0
    assert len(set(HOOKS)) == len(HOOKS)
