"""A job is printed once, by the first printer that takes it, whatever goes wrong."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from fake_printer import TcpPrinter
from sqlalchemy import update

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer
from puskesmas_queue.services.providers import PRINT_DEADLINE_S
from puskesmas_queue_escpos_printer import (
    documents,
    jobs,
    plugin,
    printers,
    printing,
    turns,
    watch,
)
from puskesmas_queue_escpos_printer.jobs import Order
from puskesmas_queue_escpos_printer.printers import PrinterSetup
from puskesmas_queue_escpos_printer.printing import TIMES, Times, print_job
from puskesmas_queue_escpos_printer.protocol import Status
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.tables import JOBS
from puskesmas_queue_escpos_printer.transports.base import Limits, TransportFailed

NAME = "escpos_printer"
LIMITS = Limits(connect_s=0.5, status_s=0.3, stall_s=0.5, look_s=0.2, silent_s=0.4, whole_s=4.0)
QUICK = Times(turn_s=1.5, again_s=0.1, start_s=2.5, answer_s=3.5, limits=LIMITS)
PATIENT = Times(turn_s=60, again_s=0.1, again_until_s=60, start_s=60, answer_s=90, limits=LIMITS)
"""Where what is waited for comes: this machine may be busy."""


@pytest.fixture
def ctx(quiet) -> Context:
    """What the plugin is given, in a clinic without any printer and with nobody who looks."""
    made: Context = quiet.context(NAME)
    return made


@pytest.fixture
def there(ctx) -> Callable[..., str]:
    """Set a printer up."""

    def add(name: str, tcp: TcpPrinter, **more) -> str:
        return printers.add(ctx, PrinterSetup(name, "tcp", tcp.address, **more))

    return add


def order(number: int = 1, job: str = "first-print-0001") -> Order:
    return Order(f"code-{number}", job, "ticket", f"A-{number:03d}", "kiosk", "Depan", "{}")


def paper(number: int = 1) -> bytes:
    return f"\x1b@Nomor A-{number:03d}\n".encode() * 20


def go(ctx: Context, number: int = 1, job: str = "first-print-0001", times: Times = QUICK):
    choice = printers.order_for(ctx, "kiosk", "Depan")
    return print_job(ctx, order(number, job), choice, lambda _: paper(number), times)


def together(*calls: Callable[[], object]) -> list[object]:
    """Make calls at the same moment; return what each returned."""
    start, found = threading.Barrier(len(calls)), dict[int, object]()

    def run(place: int) -> None:
        start.wait()
        found[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return [found[place] for place in range(len(calls))]


def test_a_job_is_printed_and_known(ctx, there, tcp):
    there("Kiosk", tcp)
    assert go(ctx) == printing.Outcome("printed", None, "Kiosk")
    assert tcp.printed == [paper()]
    (job,) = jobs.latest(ctx)
    assert (job.state, job.printer_name, job.needs_somebody) == ("printed", "Kiosk", False)
    (printer,) = printers.all_printers(ctx)
    assert printer.status == Status("ready")
    assert printer.seen_ms > 0


def test_asked_again_it_is_not_printed_again(ctx, there, tcp):
    there("Kiosk", tcp)
    assert go(ctx).state == go(ctx).state == "printed"
    assert tcp.printed == [paper()]

    assert go(ctx, job="again-0000000001").state == "printed"
    assert tcp.printed == [paper()] * 2


@pytest.mark.parametrize("fault", ["is_silent", "no_paper"])
def test_asked_again_it_says_how_it_fared(ctx, there, tcp, fault):
    """Also when the printer is well again: only a tap prints once more."""
    there("Kiosk", tcp)
    setattr(tcp, fault, True)
    first = go(ctx)
    setattr(tcp, fault, False)
    taken = tcp.bytes_taken

    assert go(ctx).state == first.state == ("unsure" if fault == "is_silent" else "failed")
    assert tcp.bytes_taken == taken
    assert go(ctx, job="again-0000000001").state == "printed"


def test_one_job_asked_for_twice_at_once_is_printed_once(ctx, there, tcp):
    there("Kiosk", tcp)
    tcp.print_s = 0.5
    outcomes = together(*[lambda: go(ctx, times=PATIENT)] * 5)
    assert [one.state for one in outcomes] == ["printed"] * 5
    assert tcp.printed == [paper()]


def test_jobs_at_once_come_one_after_the_other(ctx, there, tcp):
    there("Kiosk", tcp)
    tcp.print_s = 0.1
    calls = [lambda number=number: go(ctx, number, times=PATIENT) for number in range(1, 7)]
    outcomes = together(*calls)
    assert {one.state for one in outcomes} == {"printed"}
    assert sorted(tcp.printed) == [paper(number) for number in range(1, 7)]


def test_a_turn_of_another_process_is_waited_for(ctx, there, tcp):
    """It has a row only, and nothing in this process."""
    there("Kiosk", tcp)
    device = f"tcp:{tcp.address}"
    holder = turns._claim(ctx, device, time.monotonic())
    outcome = go(ctx)
    assert (outcome.state, outcome.reason) == ("failed", Reason.BUSY)
    assert tcp.bytes_taken == b""

    later = threading.Timer(0.5, turns._give_back, (ctx, device, holder))
    later.start()
    assert go(ctx, 2, times=PATIENT).state == "printed"
    later.join()


def test_a_turn_of_a_process_that_died_ends(ctx, there, tcp, monkeypatch):
    there("Kiosk", tcp)
    monkeypatch.setattr(turns, "LEASE_S", 0.3)
    turns._claim(ctx, f"tcp:{tcp.address}", time.monotonic())
    assert go(ctx, times=PATIENT).state == "printed"


def test_a_turn_that_is_ended_while_it_waits_is_nobodys(ctx, there, tcp):
    """A slow machine: the core gives the whole up before the job gives up waiting."""
    there("Kiosk", tcp)
    device, guard = f"tcp:{tcp.address}", Guard()

    def wait() -> None:
        with turns.turn(ctx, device, time.monotonic() + 60):
            pass

    with turns.turn(ctx, device, time.monotonic()):
        with pytest.raises(NoAnswer):
            guard.call(wait, 0.1)
        guard.end()
    guard._thread.join(60)
    assert not guard.is_running

    assert go(ctx, times=PATIENT).state == "printed"


def test_two_names_of_one_printer_take_turns(ctx, there, tcp):
    one, other = (printers.find(ctx, there(name, tcp)) for name in ("A", "B"))
    assert one.device == other.device


# The next printer


@pytest.mark.parametrize("fault", ["no_paper", "cover_open", "error"])
def test_a_printer_that_cannot_leaves_it_to_the_next(ctx, there, switched_on, fault):
    first, second = switched_on(TcpPrinter()), switched_on(TcpPrinter())
    there("1 Kiosk", first)
    there("2 Loket", second)
    setattr(first, fault, True)

    outcome = go(ctx)
    assert (outcome.state, outcome.printer_name) == ("printed", "2 Loket")
    assert outcome.words == "dicetak di printer cadangan"
    assert outcome.detail.startswith("1 Kiosk: ")
    assert (first.printed, second.printed) == ([], [paper()])
    assert [one.is_in_trouble for one in printers.all_printers(ctx)] == [True, False]


def test_a_printer_that_is_off_leaves_it_to_the_next(ctx, there, tcp):
    off = TcpPrinter()
    off.stop()
    there("1 Kiosk", off)
    there("2 Loket", tcp)
    assert go(ctx).printer_name == "2 Loket"


@pytest.mark.parametrize("fault", ["is_silent", "hangs_up"])
def test_what_was_begun_is_not_printed_elsewhere(ctx, there, switched_on, fault):
    """A second printer would be a second paper."""
    first, second = switched_on(TcpPrinter()), switched_on(TcpPrinter())
    there("1 Kiosk", first)
    there("2 Loket", second)
    if fault == "hangs_up":
        first.hangs_up_at = paper()[:40]
    else:
        first.is_silent = True

    outcome = go(ctx)
    assert (outcome.state, outcome.printer_name) == ("unsure", "1 Kiosk")
    assert second.connections == 0
    (job,) = jobs.latest(ctx)
    assert job.needs_somebody


def test_all_that_fail_leave_it_to_the_page_in_time(ctx, there, switched_on):
    """Each says why; the first choice is what staff look after."""
    printer = switched_on(TcpPrinter())
    off = TcpPrinter()
    off.stop()
    there("1 Kiosk", printer)
    there("2 Loket", off)
    printer.no_paper = True
    started = time.monotonic()
    outcome = go(ctx)

    assert (outcome.state, outcome.reason, outcome.printer_name) == (
        "failed", Reason.NO_PAPER, "1 Kiosk"
    )  # fmt: skip
    assert (outcome.words, outcome.detail) == (
        "kertas habis", "1 Kiosk: no paper; 2 Loket: refused"
    )  # fmt: skip
    assert time.monotonic() - started < QUICK.answer_s
    (job,) = jobs.latest(ctx)
    assert (job.state, job.reason) == ("failed", Reason.NO_PAPER)


def test_a_printer_that_is_just_starting_is_tried_again(ctx, there, switched_on):
    """It refuses for a moment; nothing was sent, so trying is free."""
    off = TcpPrinter()
    off.stop()
    there("Kiosk", off)
    later = threading.Timer(0.7, lambda: switched_on(TcpPrinter(off.port)))
    later.start()
    assert go(ctx, times=PATIENT).state == "printed"
    later.join()


def test_without_a_printer_it_fails(ctx):
    assert go(ctx).reason is Reason.NO_PRINTER


def test_a_layout_that_raises_costs_nothing(ctx, there, tcp, caplog):
    there("Kiosk", tcp)

    def broken(_: printers.Printer) -> bytes:
        raise KeyError("no such block")

    outcome = print_job(ctx, order(), printers.all_printers(ctx), broken, QUICK)
    assert (outcome.state, outcome.reason) == ("failed", Reason.ENCODING)
    assert "no such block" in caplog.text
    assert tcp.bytes_taken == b""


def test_without_tables_nothing_is_sent(ctx, there, tcp, monkeypatch):
    """Nobody would know afterwards that it was printed."""
    there("Kiosk", tcp)
    choice = printers.all_printers(ctx)

    def broken(*_: object) -> bool:
        raise PluginDataUnavailable(NAME, "disk full")

    monkeypatch.setattr(jobs, "begin", broken)
    outcome = print_job(ctx, order(), choice, lambda _: paper(), QUICK)
    assert (outcome.state, outcome.reason) == ("failed", Reason.NO_TABLES)
    monkeypatch.setattr(jobs, "claim", broken)
    with pytest.raises(PluginDataUnavailable):
        print_job(ctx, order(2), choice, lambda _: paper(), QUICK)
    time.sleep(0.1)
    assert paper() not in tcp.bytes_taken


# Time


def test_a_printer_slower_than_whoever_waits_ends_its_job(ctx, there, tcp):
    """The answer is that nobody knows yet; the paper comes whole, and that is known later."""
    there("Kiosk", tcp)
    tcp.print_s = 3.5
    times = Times(turn_s=1.5, start_s=1.8, answer_s=2.0, limits=LIMITS)
    outcome = go(ctx, times=times)
    assert (outcome.state, outcome.reason) == ("unsure", Reason.STILL_PRINTING)

    printing.join_all(ctx.clinic_id, 60)
    assert tcp.printed == [paper()]
    assert jobs.find(ctx, "code-1", "first-print-0001").state == "printed"
    assert go(ctx).state == "printed"


def test_no_job_begins_after_its_time(ctx, there, tcp, monkeypatch):
    """Whoever waits was told that it failed, and may have printed otherwise."""
    there("Kiosk", tcp)
    known = jobs.begin

    def slow(*given) -> bool:
        time.sleep(0.7)
        return known(*given)

    monkeypatch.setattr(jobs, "begin", slow)
    outcome = go(ctx, times=Times(start_s=0.5, answer_s=0.6, limits=LIMITS))
    assert outcome.state == "failed"
    printing.join_all(ctx.clinic_id, 60)
    assert paper() not in tcp.bytes_taken
    assert jobs.find(ctx, "code-1", "first-print-0001").state == "failed"


def test_slow_tables_take_of_the_time_to_begin(ctx, there, tcp, monkeypatch):
    """Whoever waits is told that it failed while the job is stored: nothing comes out then."""
    there("Kiosk", tcp)
    known = jobs.claim

    def slow(*given) -> str | None:
        time.sleep(0.5)
        return known(*given)

    monkeypatch.setattr(jobs, "claim", slow)
    outcome = go(ctx, times=Times(start_s=0.4, answer_s=0.6, limits=LIMITS))
    printing.join_all(ctx.clinic_id, 5)
    assert outcome.state == "failed"
    assert tcp.printed == []
    assert paper() not in tcp.bytes_taken


def test_a_slow_look_for_the_printer_takes_of_it_too(quiet, tcp, monkeypatch):
    """The server stops waiting and lets the page print, whatever the time was spent with."""
    ctx = quiet.context(NAME)
    printers.add(ctx, PrinterSetup("Kiosk", "tcp", tcp.address))
    known = printers.order_for

    def slow(*given) -> list[printers.Printer]:
        time.sleep(0.5)
        return known(*given)

    monkeypatch.setattr(printers, "order_for", slow)
    times = Times(start_s=0.4, answer_s=0.6, limits=LIMITS)
    monkeypatch.setattr(documents, "print_job", partial(print_job, times=times))
    printed = quiet.print_slip(quiet.issue(), "escpos")
    printing.join_all(ctx.clinic_id, 5)
    assert printed.state == "failed"
    assert tcp.printed == []


@pytest.mark.parametrize("fault", ["no_answer", "not_reading", "nobody"])
def test_the_worst_printer_is_answered_for_in_time(ctx, there, tcp, fault):
    """With the times as they are."""
    there("Kiosk", tcp)
    choice = printers.all_printers(ctx)
    tcp.is_silent = True
    tcp.is_reading = fault == "no_answer"
    job = b"x" * 16_000_000 if fault == "not_reading" else paper()
    if fault == "nobody":
        tcp.stop()
    started = time.monotonic()
    outcome = print_job(ctx, order(), choice, lambda _: job)
    assert outcome.state == ("failed" if fault == "nobody" else "unsure")
    assert TIMES.answer_s < PRINT_DEADLINE_S - 1
    assert time.monotonic() - started < TIMES.limits.whole_s / 2
    printing.join_all(ctx.clinic_id, 60)


# After a crash


def lost(ctx: Context, state: str, seconds: float) -> None:
    """Leave a job as a process that died leaves it; its lease ended so long ago."""
    jobs.claim(ctx, order())
    lease = jobs.now_ms() - int(seconds * 1000)
    values = {"state": state, "lease_ms": lease, "printer_name": "Kiosk", "claim": "another"}
    ctx.data.write(lambda connection: connection.execute(update(JOBS).values(**values)))


@pytest.mark.parametrize(("state", "becomes"), [("sending", "unsure"), ("waiting", "failed")])
def test_a_job_of_a_process_that_died_is_not_printed_again(ctx, there, tcp, state, becomes):
    there("Kiosk", tcp)
    lost(ctx, state, 1)
    outcome = go(ctx)
    assert (outcome.state, outcome.reason) == (becomes, Reason.INTERRUPTED)
    assert tcp.bytes_taken == b""


def test_a_job_that_another_process_prints_is_waited_for(ctx, there, tcp):
    there("Kiosk", tcp)
    lost(ctx, "sending", -60)
    done = {"state": "printed"}
    later = threading.Timer(
        0.5,
        lambda: ctx.data.write(lambda connection: connection.execute(update(JOBS).values(**done))),
    )
    later.start()
    assert go(ctx, times=PATIENT).state == "printed"
    later.join()
    assert tcp.bytes_taken == b""


def test_a_start_ends_what_the_last_one_left(ctx, there, tcp):
    """On SQLite there is one server: nothing can be in the hands of another."""
    there("Kiosk", tcp)
    lost(ctx, "sending", -60)
    turns._claim(ctx, f"tcp:{tcp.address}", time.monotonic())
    plugin.shutdown(ctx)
    plugin.startup(ctx)

    (job,) = jobs.latest(ctx)
    assert (job.state, job.reason, job.needs_somebody) == ("unsure", Reason.INTERRUPTED, True)
    assert go(ctx, 2).state == "printed"


def test_a_start_takes_no_job_from_its_own_process(ctx, there, tcp):
    """One that was asked for before it was done, say in the first second: it is printed as ever."""
    there("Kiosk", tcp)
    tcp.print_s = 0.5
    plugin.shutdown(ctx)
    found = together(lambda: go(ctx), lambda: time.sleep(0.2) or plugin.startup(ctx))
    assert found[0] == printing.Outcome("printed", None, "Kiosk")
    (job,) = jobs.latest(ctx)
    assert (job.state, job.needs_somebody) == ("printed", False)


def test_the_end_of_the_server_waits_for_a_job(ctx, there, tcp):
    there("Kiosk", tcp)
    tcp.print_s = 2.5
    go(ctx, times=Times(start_s=1.3, answer_s=1.5, limits=LIMITS))
    plugin.shutdown(ctx)
    assert jobs.latest(ctx)[0].state == "printed"


# What is kept


def test_old_jobs_are_cleared(puskesmas_clinics, tcp):
    clinic = puskesmas_clinics(escpos_printer=plugin)
    clinic.configure(NAME, keep_days="2")
    printers.add(clinic.context(NAME), PrinterSetup("Kiosk", "tcp", tcp.address))
    for number in (1, 2, 3):
        clinic.issue()
        go(clinic.context(NAME), number)
        clinic.end_day()
        clinic.deliver()
    assert [one.order.number for one in jobs.latest(clinic.context(NAME))] == ["A-003", "A-002"]


def test_trouble_is_settled_by_hand(ctx, there, tcp):
    there("Kiosk", tcp)
    tcp.is_silent = True
    for number in (1, 2):
        go(ctx, number)
    since = ctx.now - timedelta(hours=1)
    assert len(jobs.in_trouble(ctx, since)) == 2

    assert jobs.settle(ctx, order(1), is_printed=True)
    assert jobs.settle(ctx, order(2), is_printed=False)
    assert jobs.in_trouble(ctx, since) == []
    assert go(ctx, 1).state == "printed"
    assert jobs.find(ctx, "code-1", "first-print-0001").reason is Reason.BY_HAND
    assert go(ctx, 2).state == "unsure"
    assert not jobs.settle(ctx, order(3), is_printed=True)


def test_a_printer_that_never_can_tell_alarms_nobody(ctx, there, tcp):
    there("Kiosk", tcp, is_answering=False)
    outcome = go(ctx)
    assert (outcome.state, outcome.words) == ("printed", "")
    assert jobs.in_trouble(ctx, ctx.now - timedelta(hours=1)) == []
    assert jobs.latest(ctx)[0].reason is Reason.CANNOT_TELL
    assert not jobs.latest(ctx)[0].needs_somebody
    assert not printers.all_printers(ctx)[0].is_in_trouble


# Which printer


def test_a_place_has_its_printers_in_their_order(ctx, tcp, there):
    a, b, c = (there(name, tcp) for name in "abc")

    def ids(place: str, name: str) -> list[str]:
        return [one.printer_id for one in printers.order_for(ctx, place, name)]

    assert ids("kiosk", "Depan") == [a, b, c]
    printers.set_place(ctx, "kiosk", printers.EVERY, [b])
    printers.set_place(ctx, "kiosk", "Depan", [c, a, c])
    assert ids("kiosk", "Depan") == [c, a]
    assert ids("kiosk", "Belakang") == [b]
    assert ids("counter", "1") == [a, b, c]

    setup = printers.find(ctx, c).setup
    printers.change(ctx, c, PrinterSetup(setup.name, setup.kind, setup.address, is_active=False))
    assert ids("kiosk", "Depan") == [a]
    printers.remove(ctx, a)
    assert ids("kiosk", "Depan") == []
    printers.set_place(ctx, "kiosk", "Depan", [])
    assert ids("kiosk", "Depan") == [b]


def test_the_address_of_the_settings_is_used_until_a_printer_is_set_up(puskesmas_clinics, tcp):
    """As in the demo, whose simulated printer has another port each time."""
    clinic = puskesmas_clinics(escpos_printer=plugin)
    for address in ("127.0.0.1:9", tcp.address):
        clinic.configure(NAME, default_address=address)
        (printer,) = printers.order_for(clinic.context(NAME), "kiosk", "Depan")
        assert printer.setup.address == address
    assert clinic.print_slip(clinic.issue(), "escpos").state == "printed"

    clinic.configure(NAME, default_address="")
    assert printers.all_printers(clinic.context(NAME)) == []
    printers.add(clinic.context(NAME), PrinterSetup("Kiosk", "tcp", tcp.address))
    clinic.configure(NAME, default_address="127.0.0.1:9")
    assert [one.name for one in printers.all_printers(clinic.context(NAME))] == ["Kiosk"]


def test_names_are_one_printer_each(ctx, tcp, there):
    a = there("Kiosk", tcp)
    there("Loket", tcp)
    with pytest.raises(printers.NameTaken):
        there("Kiosk", tcp)
    with pytest.raises(printers.NameTaken):
        printers.change(ctx, a, PrinterSetup("Loket", "tcp", tcp.address))
    with pytest.raises(printers.TooMany):
        for number in range(printers.MOST_PRINTERS):
            there(f"Printer {number}", tcp)


# Looking after them


def test_printers_are_looked_at_without_printing(ctx, there, tcp, caplog):
    there("Kiosk", tcp)
    tcp.no_paper = True
    watch.look_at_all(ctx, printers.all_printers(ctx))
    (printer,) = printers.all_printers(ctx)
    assert (printer.status.state, printer.is_in_trouble) == ("no_paper", True)
    assert tcp.bytes_taken.replace(b"\x10\x04", b"").strip(b"\x01\x02\x03\x04") == b""

    tcp.no_paper = False
    watch.look_at_all(ctx, printers.all_printers(ctx))
    assert printers.all_printers(ctx)[0].status == Status("ready")
    assert [one.getMessage() for one in caplog.records if "printer Kiosk" in one.getMessage()] == [
        "printer Kiosk: no paper 1:1a 2:32 3:12 4:7e",
        "printer Kiosk is well again",
    ]


def test_a_printer_that_prints_is_left_alone(ctx, there, tcp):
    there("Kiosk", tcp)
    (printer,) = printers.all_printers(ctx)
    with turns.turn(ctx, printer.device, time.monotonic() + 1):
        watch.look(ctx, printer)
        with pytest.raises(TransportFailed), turns.turn(ctx, printer.device, time.monotonic()):
            pass
    assert tcp.connections == 0


def test_the_watch_sees_by_itself(ctx, there, tcp, monkeypatch):
    plugin.shutdown(ctx)
    there("Kiosk", tcp)
    tcp.cover_open = True
    monkeypatch.setattr(watch, "TROUBLED_S", 0.1)
    plugin.startup(ctx)
    until = time.monotonic() + 60
    while printers.all_printers(ctx)[0].status.state != "cover_open":
        assert time.monotonic() < until
        time.sleep(0.05)
    tcp.cover_open = False
    while printers.all_printers(ctx)[0].status.state != "ready":
        assert time.monotonic() < until
        time.sleep(0.05)
