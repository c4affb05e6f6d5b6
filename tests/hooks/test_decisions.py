"""Decision hooks: whatever a plugin does, tickets are issued and called by the default."""

import logging
import threading
import time
from datetime import date, timedelta
from typing import Any

import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.announcements import Announcement
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.domain.line import LaneChoice, LineHeads, Ratio, RatioState
from puskesmas_queue.domain.tickets import Lane, Source, TicketRequest
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host import dispatch
from puskesmas_queue.plugin_host.dispatch import MOST_LATE
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.plugin_host.manager import make_manager
from puskesmas_queue.services import counters
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.storage import line as line_rows
from puskesmas_queue.storage import tables
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, at_once, execute, general, open_all, rows_of, take

PATIENT_S = 20.0
"""Deadline where a test is not about time: this machine may be busy."""
HOOKS = {
    "format_ticket_number": lambda answer: hook(
        "format_ticket_number", lambda prefix, sequence, service_date, ctx: answer(prefix, sequence)
    ),
    "choose_lane": lambda answer: hook("choose_lane", lambda heads, ctx: answer(heads)),
    "estimate_wait": lambda answer: hook(
        "estimate_wait",
        lambda people_ahead, service_s, open_counters, ctx: answer(people_ahead),
    ),
    "format_announcement": lambda answer: hook(
        "format_announcement", lambda call, ctx: answer(call)
    ),
}


def hook(name, function):
    """Make a plugin with one implementation."""
    plugin = type("Plugin", (), {})()
    setattr(plugin, name, hookimpl(function))
    return plugin


@pytest.fixture
def open_with(database_url, clock, tmp_path):
    """Open a furnished clinic with one plugin called `guest`; runs on each kind of database."""
    opened = []

    def open_one(plugin, deadline_s=PATIENT_S):
        clinic = make_clinic(
            make_config(database_url, tmp_path), clock, plugins=[("guest", plugin)]
        )
        clinic.hooks._deadline_s = deadline_s
        opened.append(clinic)
        return clinic

    yield open_one
    for clinic in opened:
        clinic.close()


def work(clinic):
    """Let four people come and be called; return numbers and what was said, in order."""
    issued = [ticket.number for ticket in take(clinic, "PAAP")]
    open_all(clinic, 1, 2)
    shown = line_view(clinic, "main")
    called = []
    for turn in range(4):
        ticket = call_next(clinic, 1 + turn % 2, STAFF)
        called.append(serve(clinic, ticket.id, STAFF, 1 + turn % 2).number)
    said = [row.number_text for row in rows_of(clinic, tables.announcements)]
    waits = [one.estimate_min for one in (*shown.priority, *shown.general)]
    return issued, called, said, waits


DEFAULT = (
    ["P-001", "A-001", "A-002", "P-002"],
    ["P-001", "P-002", "A-001", "A-002"],
    [
        "Nomor antrean, P, nol nol satu.",
        "Nomor antrean, P, nol nol dua.",
        "Nomor antrean, A, nol nol satu.",
        "Nomor antrean, A, nol nol dua.",
    ],
    [0, 5, 5, 10],
)


def faults(clinic):
    """Wait for the faults that were counted away from the transactions."""
    clinic.faults.flush(20)
    return plugin_faults(clinic)


def lines_about(caplog, name):
    return [r for r in caplog.records if r.levelno >= logging.ERROR and name in r.getMessage()]


def check_default(clinic, caplog, hook_name, kind):
    """Tickets equal requests, the default was used, doctor and log name plugin and hook."""
    assert work(clinic) == DEFAULT
    (fault,) = faults(clinic)
    assert (fault.plugin, fault.hook, fault.kind) == ("guest", hook_name, kind)
    assert fault.detail
    (line,) = lines_about(caplog, "guest")
    assert hook_name in line.getMessage()
    return fault


# Raising


class Silent(Exception):
    """Cannot even say what it is."""

    def __str__(self):
        raise RuntimeError("no text")


RAISED = [
    ValueError("broken"),
    TimeoutError("socket"),
    SystemExit(3),
    KeyboardInterrupt(),
    Silent(),
    RuntimeError("\x00\ud800 unprintable"),
    RuntimeError("x" * 5000),
]


@pytest.mark.parametrize("name", HOOKS)
def test_plugin_that_raises(open_with, caplog, name):
    """Each time; it is counted each time and logged once, and asked again."""

    def answer(*arguments):
        raise ValueError("broken")

    clinic = open_with(HOOKS[name](answer))

    fault = check_default(clinic, caplog, name, "raised")

    line = answer.__code__.co_firstlineno + 1
    assert fault.detail == f"ValueError: broken (test_decisions.py:{line})"
    (logged,) = lines_about(caplog, "guest")
    assert logged.getMessage().endswith(f'\n  File "{__file__}", line {line}, in answer')
    assert fault.count >= 4
    assert not fault.is_switched_off
    assert clinic.hooks.switched_off == set()


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_is_raised(open_with, caplog, error):
    """Also what ends threads, what is a timeout of the plugin's own, and what has no text."""

    def answer(*arguments):
        raise error

    clinic = open_with(HOOKS["format_announcement"](answer))

    fault = check_default(clinic, caplog, "format_announcement", "raised")

    assert type(error).__name__ in fault.detail
    assert (fault.count, fault.is_switched_off) == (4, False)
    assert len(fault.detail) <= 500


# Nonsense

GOOD_STATE = RatioState(0, 0)
NONSENSE = [
    ("format_ticket_number", 7),
    ("format_ticket_number", ""),
    ("format_ticket_number", "a-001"),
    ("format_ticket_number", "A 001"),
    ("format_ticket_number", "A-001-"),
    ("format_ticket_number", "A" * 13),
    ("format_ticket_number", "A-001\n"),
    ("format_ticket_number", "<B>1</B>"),
    ("format_ticket_number", b"A-001"),
    ("choose_lane", "priority"),
    ("choose_lane", Lane.PRIORITY),
    ("choose_lane", LaneChoice(Lane.EMERGENCY, GOOD_STATE)),
    ("choose_lane", LaneChoice("priority", GOOD_STATE)),
    ("choose_lane", LaneChoice(None, GOOD_STATE)),
    ("choose_lane", LaneChoice([], GOOD_STATE)),
    ("choose_lane", LaneChoice(Lane.GENERAL, None)),
    ("choose_lane", LaneChoice(Lane.GENERAL, (0, 0))),
    ("choose_lane", LaneChoice(Lane.GENERAL, RatioState(-1, 0))),
    ("choose_lane", LaneChoice(Lane.GENERAL, RatioState(0, 10**9))),
    ("choose_lane", LaneChoice(Lane.GENERAL, RatioState(True, 0))),
    ("choose_lane", LaneChoice(Lane.GENERAL, RatioState("1", 0))),
    ("choose_lane", LaneChoice(Lane.GENERAL, RatioState(0.5, 0))),
    ("estimate_wait", 5),
    ("estimate_wait", "5 menit"),
    ("estimate_wait", timedelta(seconds=-1)),
    ("estimate_wait", timedelta(hours=25)),
    ("format_announcement", "Nomor P-001"),
    ("format_announcement", Announcement("", "Loket 1")),
    ("format_announcement", Announcement("P-001", "  ")),
    ("format_announcement", Announcement("P-001", None)),
    ("format_announcement", Announcement("x" * 201, "Loket 1")),
    ("format_announcement", Announcement("P\x00001", "Loket 1")),
    ("format_announcement", Announcement("P-001", "\ud800")),
]


@pytest.mark.parametrize(("name", "nonsense"), NONSENSE, ids=lambda value: repr(value)[:60])
def test_plugin_that_answers_nonsense(sqlite_url, clock, tmp_path, caplog, name, nonsense):
    """The wrong type, the wrong range, what no screen or database takes: the default is used."""
    plugin = HOOKS[name](lambda *arguments: nonsense)
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    clinic.hooks._deadline_s = PATIENT_S
    try:
        check_default(clinic, caplog, name, "nonsense")
    finally:
        clinic.close()


def test_nonsense_on_both_databases(open_with, caplog):
    """What one database would take and the other would not."""
    clinic = open_with(
        HOOKS["format_announcement"](lambda call: Announcement("P\x00001", "Loket 1"))
    )

    check_default(clinic, caplog, "format_announcement", "nonsense")


def test_lane_whose_head_is_not_there(open_with, caplog):
    """A choice that nobody waits in is none."""

    def answer(heads):
        lane = Lane.GENERAL if heads.general is None else Lane.PRIORITY
        return LaneChoice(lane, RatioState()) if None in (heads.general, heads.priority) else None

    clinic = open_with(HOOKS["choose_lane"](answer))

    check_default(clinic, caplog, "choose_lane", "nonsense")


# Time

LATE_S = 0.3


@pytest.fixture
def locked():
    """A lock that somebody holds until the test is over."""
    lock = threading.Lock()
    lock.acquire()
    yield lock
    lock.release()


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("how", ["sleeps", "spins"])
def test_plugin_that_hangs(sqlite_url, clock, tmp_path, caplog, name, how):
    """It is waited for once; then it is switched off, and a Python loop is ended."""
    ended, calls = threading.Event(), []

    def answer(*arguments):
        calls.append(1)
        try:
            if how == "sleeps":
                time.sleep(3)
            while how == "spins":
                pass
        finally:
            ended.set()

    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", HOOKS[name](answer))])
    clinic.hooks._deadline_s = LATE_S
    try:
        fault = check_default(clinic, caplog, name, "overran")

        assert fault.detail.startswith("no answer within")
        assert "(test_decisions.py:" in fault.detail
        assert ended.wait(20)
    finally:
        clinic.close()


def late(monkeypatch, *, is_machine_busy: bool) -> None:
    """Let every decision of a plugin come too late."""

    def call(guard, task, deadline_s):
        raise NoAnswer("late", is_computing=False, is_machine_busy=is_machine_busy)

    monkeypatch.setattr(Guard, "call", call)


def test_a_plugin_that_waits_is_switched_off_the_third_time(open_with, monkeypatch):
    """Once may be chance; each time costs the hall a tenth of a second."""
    clinic = open_with(HOOKS["format_ticket_number"](lambda *arguments: "X-1"))
    late(monkeypatch, is_machine_busy=False)
    for times in range(1, MOST_LATE + 3):
        clinic.hooks.format_ticket_number("A", times, date(2026, 2, 26), clinic.clock.now())
        assert clinic.hooks.switched_off == ({"guest"} if times >= MOST_LATE else set())
    clinic.faults.flush(10)
    (fault,) = plugin_faults(clinic)
    assert (fault.count, fault.is_switched_off) == (MOST_LATE, True)


def test_a_busy_machine_switches_no_plugin_off(open_with, monkeypatch):
    """A simple plugin that had no turn is innocent; the number has the core's form once."""
    clinic = open_with(HOOKS["format_ticket_number"](lambda *arguments: "X-1"))
    with monkeypatch.context() as busy:
        late(busy, is_machine_busy=True)
        for times in range(1, MOST_LATE + 3):
            number = clinic.hooks.format_ticket_number(
                "A", times, date(2026, 2, 26), clinic.clock.now()
            )
            assert number == f"A-{times:03}"
    assert clinic.hooks.switched_off == set()
    clinic.faults.flush(10)
    (fault,) = plugin_faults(clinic)
    assert "while this machine was busy" in fault.detail
    assert clinic.hooks.first_plugin("format_ticket_number") == "guest"


def test_late_answers_are_forgotten_after_a_while(open_with, monkeypatch):
    clinic = open_with(HOOKS["format_ticket_number"](lambda *arguments: "X-1"))
    late(monkeypatch, is_machine_busy=False)
    monkeypatch.setattr(dispatch, "LATE_WINDOW_S", 0)
    for times in range(MOST_LATE + 2):
        clinic.hooks.format_ticket_number("A", times, date(2026, 2, 26), clinic.clock.now())
    assert clinic.hooks.switched_off == set()


@pytest.mark.parametrize("how", ["spins", "blocks"])
def test_plugin_that_hangs_inside_a_transaction(open_with, caplog, locked, how):
    """On both databases; one that blocks where no exception reaches it is left behind."""

    def answer(prefix, sequence):
        if how == "blocks":
            locked.acquire()
            locked.release()
        while how == "spins":
            pass

    clinic = open_with(HOOKS["format_ticket_number"](answer), LATE_S)

    check_default(clinic, caplog, "format_ticket_number", "overran")


def spin():
    while True:
        pass


def issue_until_off(clinic):
    """Issue until a plugin's decisions are switched off, and return how many: at once, mostly."""
    clinic.hooks._deadline_s = LATE_S
    for issued in range(1, 21):
        take(clinic, "A")
        if clinic.hooks.switched_off:
            return issued
    raise AssertionError("it is asked again and again")


def test_switched_off_outlives_a_restart(open_with, sqlite_url, clock, tmp_path):
    """Until an administrator turns it on."""
    calls = []

    def answer(*arguments):
        calls.append(1)
        spin()

    plugin = HOOKS["format_ticket_number"](answer)
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    issued = issue_until_off(clinic)
    clinic.close()
    assert len(calls) == issued

    again = open_clinic(config, clock, [("guest", plugin)])
    try:
        assert take(again, "A")[0].number == f"A-{issued + 1:03}"
    finally:
        again.close()
    assert len(calls) == issued


def test_switching_off_takes_all_decisions_of_that_plugin_only(sqlite_url, clock, tmp_path):
    """Another plugin, and the core, go on."""

    class Slow:
        @hookimpl
        def format_ticket_number(self, prefix, sequence):
            spin()

        @hookimpl
        def estimate_wait(self, people_ahead):
            return timedelta(hours=9)

    good = HOOKS["format_announcement"](lambda call: Announcement("Silakan", "masuk"))
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("slow", Slow()), ("good", good)])
    try:
        issue_until_off(clinic)
        assert clinic.hooks.switched_off == {"slow"}
        clinic.hooks._deadline_s = PATIENT_S
        open_all(clinic, 1)
        assert line_view(clinic, "main").general[0].estimate_min == 0
        call_next(clinic, 1, STAFF)
        (said,) = rows_of(clinic, tables.announcements)
        assert (said.number_text, said.direction_text) == ("Silakan", "masuk")
    finally:
        clinic.close()


def test_many_ask_a_plugin_that_hangs(sqlite_url, clock, tmp_path):
    """Each waits no longer than the deadline; as many tickets as requests."""
    plugin = HOOKS["estimate_wait"](lambda people_ahead: time.sleep(3))
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    clinic.hooks._deadline_s = LATE_S
    open_all(clinic, 1)
    try:
        tickets = at_once([lambda: issue_ticket(clinic, general(), KIOSK)] * 8)
        assert sorted(ticket.number for ticket in tickets) == [f"A-00{n}" for n in range(1, 9)]
        assert 1 <= faults(clinic)[0].count <= 8
    finally:
        clinic.close()


# Numbers given twice


def test_number_given_twice(open_with, caplog):
    """The default is taken in its place; the plugin is named, and asked again."""
    clinic = open_with(HOOKS["format_ticket_number"](lambda prefix, sequence: "X-1"))

    numbers = [ticket.number for ticket in take(clinic, "AAAP")]

    assert numbers == ["X-1", "A-002", "A-003", "P-001"]
    (fault,) = faults(clinic)
    assert (fault.plugin, fault.kind, fault.count) == ("guest", "nonsense", 3)
    assert len(lines_about(caplog, "guest")) == 1


@pytest.mark.parametrize("quota", [None, 50])
def test_numbers_given_out_of_turn(open_with, quota):
    """A number that the default would give later is passed over then; nobody is refused."""
    clinic = open_with(HOOKS["format_ticket_number"](lambda prefix, sequence: "A-003"))
    execute(clinic, tables.units.update().values(quota_per_day=quota))

    numbers = [ticket.number for ticket in take(clinic, "AAAAA")]

    assert numbers == ["A-003", "A-002", "A-004", "A-005", "A-006"]


def test_plugin_that_is_gone_left_its_numbers(open_with, sqlite_url, clock, tmp_path):
    """Without it the core's own series goes on around them."""
    plugin = HOOKS["format_ticket_number"](lambda prefix, sequence: f"A-{sequence + 2:03d}")
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("guest", plugin)])
    clinic.hooks._deadline_s = PATIENT_S
    assert [ticket.number for ticket in take(clinic, "AA")] == ["A-003", "A-004"]
    clinic.close()

    again = open_clinic(config, clock)
    try:
        assert [ticket.number for ticket in take(again, "AAP")] == ["A-005", "A-006", "P-001"]
    finally:
        again.close()


# Good plugins


def test_hook_format_ticket_number(open_with):
    """Its numbers are what patients see and hear."""
    clinic = open_with(
        HOOKS["format_ticket_number"](lambda prefix, sequence: f"{prefix}{sequence:04d}")
    )

    issued, called, said, _ = work(clinic)

    assert issued == ["P0001", "A0001", "A0002", "P0002"]
    assert called == ["P0001", "P0002", "A0001", "A0002"]
    assert said[0] == "Nomor antrean, P nol nol nol satu."
    assert faults(clinic) == []


def test_hook_format_ticket_number_gets_the_day(open_with):
    """Prefix, sequence, local date, and a context with the clinic's clock and settings."""
    seen = []

    def look(prefix, sequence, service_date, ctx):
        seen.append((prefix, sequence, service_date, ctx))

    clinic = open_with(hook("format_ticket_number", look))

    (ticket,) = take(clinic, "A")

    ((prefix, sequence, service_date, ctx),) = seen
    assert (prefix, sequence, service_date) == ("A", 1, date(2026, 2, 26))
    assert isinstance(ctx, Context)
    assert (ctx.clinic_id, ctx.clinic_name) == ("uji", "Puskesmas Uji")
    assert ctx.now == ticket.issued_at
    assert ctx.settings.get("queue.max_calls") == 3
    assert ticket.number == "A-001"


def test_hook_choose_lane(open_with):
    """General first, as it wants; its state is kept and handed to it the next time."""
    states = []

    def choose(heads, ctx):
        assert isinstance(heads, LineHeads)
        assert heads.ratio == Ratio("ratio", 2, 1)
        states.append((heads.state.priority_taken, heads.state.general_taken))
        lane = Lane.PRIORITY if heads.general is None else Lane.GENERAL
        return LaneChoice(lane, RatioState(5, len(states)))

    clinic = open_with(hook("choose_lane", choose))

    assert work(clinic)[1] == ["A-001", "A-002", "P-001", "P-002"]
    assert states == [(0, 0), (5, 1), (5, 2), (5, 3)]
    assert faults(clinic) == []


def test_hook_estimate_wait(open_with):
    """Twenty minutes for each in front."""
    clinic = open_with(
        HOOKS["estimate_wait"](lambda people_ahead: people_ahead * timedelta(minutes=20))
    )

    assert work(clinic)[3] == [0, 20, 40, 60]


def test_hook_format_announcement(open_with):
    """It gets number, counter and language, no name."""

    def word(call, ctx):
        return Announcement(f"Antrean {call.number}", f"ke loket {call.counter} ({call.language})")

    clinic = open_with(hook("format_announcement", word))

    work(clinic)

    said = rows_of(clinic, tables.announcements)
    assert (said[1].number_text, said[1].direction_text) == ("Antrean P-002", "ke loket 2 (id)")


def test_none_leaves_it_to_the_next(sqlite_url, clock, tmp_path):
    """The plugin that was registered last is asked first; the core last."""

    def second(prefix, sequence):
        return f"S-{sequence}" if prefix == "P" else None

    plugins = [
        ("first", HOOKS["format_ticket_number"](lambda prefix, sequence: f"F-{sequence}")),
        ("second", HOOKS["format_ticket_number"](second)),
    ]
    clinic = make_clinic(make_config(sqlite_url, tmp_path), clock, plugins=plugins)
    clinic.hooks._deadline_s = PATIENT_S
    try:
        assert [ticket.number for ticket in take(clinic, "AP")] == ["F-1", "S-1"]
    finally:
        clinic.close()


# Registering


def test_names_of_the_core_are_refused():
    """A plugin that passed for a built-in one would run without a guard."""
    with pytest.raises(SetupError, match="default-ratio"):
        make_manager((), [("default-ratio", HOOKS["choose_lane"](lambda heads: None))])


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_wrappers_are_refused(options):
    """They would run around every other implementation, out of the dispatcher's sight."""

    class Wrapper:
        @hookimpl(**options)
        def choose_lane(self, heads, ctx):
            yield

    with pytest.raises(SetupError, match=r"guest.*choose_lane.*wrapper"):
        make_manager((), [("guest", Wrapper())])


def test_unknown_hooks_and_arguments_are_refused():
    """A misspelt hook would never be called and nobody would know."""

    class Misspelt:
        @hookimpl
        def format_ticket_numbr(self, prefix):
            return None

    for plugin in (Misspelt(), hook("choose_lane", lambda heads, queue: None)):
        with pytest.raises(SetupError, match="guest"):
            make_manager((), [("guest", plugin)])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda head: None, 'hook choose_lane: unknown argument "head"; did you mean "heads"?'),
        (lambda x: None, 'hook choose_lane: unknown argument "x"; it has heads, ctx'),
    ],
)
def test_a_misspelt_argument_is_named(function, said):
    with pytest.raises(SetupError) as refused:
        make_manager((), [("guest", hook("choose_lane", function))])

    assert str(refused.value) == f"plugin guest: {said}"


def test_the_clinics_zone_is_not_the_computers(sqlite_url, clock, tmp_path, monkeypatch):
    """Its day and its clock are those of the wall in the hall."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    seen: list[Any] = []
    try:
        config = make_config(sqlite_url, tmp_path, zone="Asia/Jayapura")
        guest = hook("check_ticket_request", lambda request, ctx: seen.append(ctx))
        clinic = make_clinic(config, clock, plugins=[("guest", guest)])
        try:
            request = TicketRequest("umum", Lane.GENERAL)
            clinic.hooks.objections(request, Source.KIOSK, clinic.clock.now())
        finally:
            clinic.close()
        (ctx,) = seen
        assert ctx.local_now == ctx.now
        assert f"{ctx.local_now:%Y-%m-%d %H:%M %Z}" == "2026-02-26 09:30 WIT"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_one_name_twice_is_refused():
    """Faults are counted by name."""
    plugins = [("guest", HOOKS["choose_lane"](lambda heads: None)) for _ in range(2)]

    with pytest.raises(SetupError, match="guest"):
        make_manager((), plugins)


def test_clinic_does_not_open_with_a_wrong_plugin(sqlite_url, clock, tmp_path):
    """One clear refusal, nothing left open."""
    before = threading.active_count()
    with pytest.raises(SetupError):
        open_clinic(make_config(sqlite_url, tmp_path), clock, [("default-x", object())])
    assert threading.active_count() <= before


# The ratio's own state


def call_letters(clinic, count, counter_numbers=(1,)):
    called = ""
    for turn in range(count):
        counter = counter_numbers[turn % len(counter_numbers)]
        ticket = call_next(clinic, counter, STAFF)
        called += serve(clinic, ticket.id, STAFF, counter).number[0]
    return called


@pytest.fixture
def reopened(database_url, clock, tmp_path):
    """Open the clinic, and again after a restart of the server."""
    opened = []

    def open_again():
        config = make_config(database_url, tmp_path)
        if opened:
            opened[-1].close()
            opened.append(open_clinic(config, clock))
        else:
            opened.append(make_clinic(config, clock))
        return opened[-1]

    yield open_again
    opened[-1].close()


def test_ratio_survives_a_restart(reopened):
    """P P A | restart | P P A A, called by two counters."""
    clinic = reopened()
    take(clinic, "PPPPAAA")
    open_all(clinic, 1, 2)
    assert call_letters(clinic, 3, (1, 2)) == "PPA"

    clinic = reopened()
    assert call_letters(clinic, 4, (2, 1)) == "PPAA"


@pytest.mark.parametrize("split", range(1, 7))
def test_ratio_survives_a_restart_anywhere(sqlite_url, clock, tmp_path, split):
    """After each call of P P A P P A A."""
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock)
    take(clinic, "PPPPAAA")
    open_all(clinic, 1)
    first = call_letters(clinic, split)
    clinic.close()

    clinic = open_clinic(config, clock)
    try:
        assert first + call_letters(clinic, 7 - split) == "PPAPPAA"
    finally:
        clinic.close()


def test_one_to_two_survives_a_restart(reopened):
    """P A | restart | A P A A: general turns are counted too."""
    clinic = reopened()
    set_option(clinic, "queue.priority_ratio", "1:2", STAFF)
    take(clinic, "PPPAAAA")
    open_all(clinic, 1)
    assert call_letters(clinic, 2) == "PA"

    clinic = reopened()
    assert call_letters(clinic, 5) == "APAAP"


@pytest.mark.parametrize(("setting", "called"), [("full", "PPPAAA"), ("first_come", "AAPPAP")])
def test_other_policies_keep_no_state(sqlite_clinic, setting, called):
    """Three real implementations, chosen by setting; changing it holds from the next call."""
    take(sqlite_clinic, "AAPPAP")
    open_all(sqlite_clinic, 1)
    set_option(sqlite_clinic, "queue.priority_ratio", setting, STAFF)

    assert call_letters(sqlite_clinic, 6) == called
    state = sqlite_clinic.db.read(lambda tx: line_rows.ratio_state(tx, "main", date(2026, 2, 26)))
    assert state == RatioState()


def test_ratio_of_restricted_counters(sqlite_clinic):
    """A counter whose units have one lane only takes that; the ratio counts what had to wait."""
    counters.restrict_counter(sqlite_clinic, 1, ("umum",), STAFF)
    counters.restrict_counter(sqlite_clinic, 2, ("gigi",), STAFF)
    open_all(sqlite_clinic, 1, 2)
    take(sqlite_clinic, "PPPPA", "umum")
    take(sqlite_clinic, "AAA", "gigi")

    assert call_letters(sqlite_clinic, 1, (2,)) == "B"
    assert call_letters(sqlite_clinic, 3, (1,)) == "PPA"
    assert call_letters(sqlite_clinic, 2, (2,)) == "BB"
    assert call_letters(sqlite_clinic, 2, (1,)) == "PP"


def test_ratio_begins_anew_each_day(sqlite_clinic):
    """Yesterday's turn is not owed today."""
    open_all(sqlite_clinic, 1)
    take(sqlite_clinic, "PPA")
    call_letters(sqlite_clinic, 2)
    days = sqlite_clinic.db.read(
        lambda tx: [
            line_rows.ratio_state(tx, "main", day) for day in (date(2026, 2, 26), date(2026, 2, 27))
        ]
    )

    assert days == [RatioState(2, 0), RatioState()]
