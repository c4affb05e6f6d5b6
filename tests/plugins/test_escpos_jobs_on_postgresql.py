"""
The receipt printer's jobs where several processes of the server share one PostgreSQL.

Each process is a clinic of its own on the same database; what one of them holds in memory, the
other does not see. On SQLite the plugin's own tests hold the rest.
"""

import threading
import time

import pytest
from fake_printer import TcpPrinter

from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import jobs, plugin, printers, printing, turns
from puskesmas_queue_escpos_printer.jobs import Order
from puskesmas_queue_escpos_printer.printers import PrinterSetup

pytestmark = pytest.mark.postgres
NAME = "escpos_printer"
PAPER = b"\x1b@Nomor A-001\n" * 20


@pytest.fixture
def contexts(tmp_path, postgres_url):
    """Two processes, as far as the tables know."""
    plugins = [(NAME, plugin)]
    with (
        ClinicUnderTest(tmp_path, plugins, url=postgres_url) as one,
        ClinicUnderTest(tmp_path, plugins, url=postgres_url) as other,
    ):
        yield one.context(NAME), other.context(NAME)


@pytest.fixture
def tcp():
    printer = TcpPrinter()
    yield printer
    printer.stop()


def together(calls):
    found, start = [], threading.Barrier(len(calls))

    def run(call):
        start.wait()
        found.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return found


def test_one_job_in_two_processes_is_printed_once(contexts, tcp):
    printers.add(contexts[0], PrinterSetup("Kiosk", "tcp", tcp.address))
    tcp.print_s = 0.3
    order = Order("code-1", "first-print-0001", "ticket", "A-001")

    def go(ctx):
        choice = printers.all_printers(ctx)
        return printing.print_job(ctx, order, choice, lambda _: PAPER).state

    calls = [lambda ctx=ctx: go(ctx) for ctx in contexts * 3]
    assert together(calls) == ["printed"] * 6
    assert tcp.printed == [PAPER]


def test_jobs_of_two_processes_take_turns(contexts, tcp, monkeypatch):
    """Without the note that both share here since they are one process after all."""
    monkeypatch.setattr(turns, "_take", lambda *_: True)
    printers.add(contexts[0], PrinterSetup("Kiosk", "tcp", tcp.address))
    held, most = [], []

    def go(ctx):
        with turns.turn(ctx, f"tcp:{tcp.address}", time.monotonic() + 60):
            held.append(ctx)
            most.append(len(held))
            time.sleep(0.05)
            held.pop()

    together([lambda ctx=ctx: go(ctx) for ctx in contexts * 3])
    assert most == [1] * 6


def test_a_start_leaves_jobs_of_other_processes_alone(contexts):
    """Their time is not over; when it is, nobody knows how they fared."""
    mine = jobs.claim(contexts[0], Order("code-1", "first-print-0001", "ticket"))
    jobs.begin(contexts[0], Order("code-1", "first-print-0001", "ticket"), mine, "p", "Kiosk")
    assert jobs.release_lost(contexts[1], is_starting=True) == 0
    with turns.turn(contexts[0], "tcp:x", time.monotonic()):
        turns.release_all(contexts[1])
        assert not turns._try(contexts[1], "tcp:x", "other")


def test_two_that_name_a_printer_alike(contexts, tcp):
    printers.add(contexts[0], PrinterSetup("Kiosk", "tcp", tcp.address))
    with pytest.raises(printers.NameTaken):
        printers.add(contexts[1], PrinterSetup("Kiosk", "tcp", tcp.address))
