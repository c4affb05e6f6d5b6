"""
Every way a printer can fail, against the simulated printer: real bytes, and pictures of papers.

No ticket is lost, and nothing is printed a second time without a tap.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from puskesmas_queue.api import Printed
from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import jobs, printers, printing
from puskesmas_queue_escpos_printer.printers import PrinterSetup
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.simulator import PrinterSimulator

NAME = "escpos_printer"
SOON_S = 60.0
BUSY = "printer sedang dipakai"
QUESTIONS = 12
"""Bytes of the four questions about its state, which a printer keeps while it stands still."""


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[PrinterSimulator]:
    """A printer with faults to switch."""
    made = PrinterSimulator(tmp_path / "printer", 0)
    yield made
    made.stop()


@pytest.fixture
def clinic(quiet, simulator) -> ClinicUnderTest:
    """A clinic whose only printer it is."""
    printers.add(quiet.context(NAME), PrinterSetup("Kiosk", "tcp", simulator.address))
    made: ClinicUnderTest = quiet
    return made


def first_print(clinic: ClinicUnderTest, job: str = "first-print-0001") -> Callable[[], Printed]:
    """Take a number; return what its page asks for, as often as it is loaded."""
    ticket = clinic.issue()
    return lambda: clinic.print_slip(ticket, "escpos", job=job)


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def is_listening(simulator: PrinterSimulator) -> bool:
    host, _, port = simulator.address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def state_of(clinic: ClinicUnderTest) -> tuple[str, Reason | None]:
    (job,) = jobs.latest(clinic.context(NAME))
    return job.state, job.reason


def test_all_is_well(clinic, simulator):
    ask = first_print(clinic)
    assert ask() == ask() == Printed("printed")
    (slip,) = simulator.slips
    assert "Poli Umum" in slip.text
    assert slip.is_cut
    assert not slip.complaints


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"paper": "end"}, "kertas habis"),
        ({"is_cover_open": True}, "tutup printer terbuka"),
        ({"is_offline": True}, "printer tidak siap"),
        ({"refuses": True}, "printer mati atau menolak sambungan"),
    ],
)
def test_what_is_known_beforehand_costs_no_paper(clinic, simulator, fault, words):
    """The page prints it, or staff do when the printer is well again: the same number."""
    well = {key: getattr(simulator.faults, key) for key in fault}
    simulator.faults.switch(fault)
    wait_for(lambda: is_listening(simulator) is not simulator.faults.refuses)
    ticket = clinic.issue()
    found = clinic.print_slip(ticket, "escpos", job="first-print-0001")
    assert (found.state, found.detail) == ("failed", words)
    assert simulator.waiting <= QUESTIONS

    simulator.faults.switch(well)
    assert clinic.print_slip(ticket, "escpos", job="first-print-0001").state == "failed"
    assert simulator.slips == []
    assert clinic.print_slip(ticket, "escpos").state == "printed"
    assert len(simulator.slips) == 1


@pytest.mark.parametrize("fault", [{"is_silent": True}, {"answers_garbage": True}])
def test_a_printer_that_says_nothing_of_use_prints_once(clinic, simulator, fault):
    simulator.faults.switch(fault)
    ask = first_print(clinic)
    assert ask().state == "unsure"
    simulator.faults.switch(dict.fromkeys(fault, False))
    assert ask().state == "unsure"
    wait_for(lambda: len(simulator.slips) == 1)
    assert state_of(clinic)[0] == "unsure"


def test_a_roll_that_ends_in_the_job_prints_the_rest_later(clinic, simulator):
    """The printer itself keeps it: a second one from the server would be a second paper."""
    simulator.faults.bytes_per_s = 8_000
    ask = first_print(clinic)

    def run_out() -> None:
        wait_for(lambda: simulator.waiting > QUESTIONS)
        simulator.faults.switch({"paper": "end"})

    begun = threading.Thread(target=run_out)
    begun.start()
    found = ask()
    begun.join()
    assert (found.state, found.detail) == ("unsure", "kertas habis")
    assert simulator.slips == []

    simulator.faults.switch({"paper": "ok", "bytes_per_s": 0})
    wait_for(lambda: len(simulator.slips) == 1)
    assert ask().state == "unsure"
    assert len(simulator.slips) == 1


def test_a_connection_that_is_cut_in_the_job(clinic, simulator):
    simulator.faults.cut_after = 2000
    ask = first_print(clinic)
    found = ask()
    assert (found.state, found.detail) == ("unsure", "sambungan printer terputus")
    simulator.faults.cut_after = 0
    assert ask().state == "unsure"
    assert state_of(clinic) == ("unsure", Reason.LOST)


def test_a_printer_that_reads_nothing(clinic, simulator):
    """Its network takes what it never reads: that is no paper."""
    simulator.faults.is_deaf = True
    ask = first_print(clinic)
    started = time.monotonic()
    assert ask().state == "unsure"
    assert time.monotonic() - started < 9.5
    assert simulator.slips == []


def test_off_and_on_again(clinic, simulator):
    simulator.faults.refuses = True
    assert first_print(clinic)().state == "failed"
    simulator.faults.refuses = False
    assert first_print(clinic, "first-print-0002")().state == "printed"
    assert len(simulator.slips) == 1


def test_jobs_at_once_are_whole_papers(clinic, simulator):
    """Each is one paper with its own number, none inside another; no turn in time, no paper."""
    simulator.faults.bytes_per_s = 200_000
    asks = [first_print(clinic, f"first-print-000{number}") for number in range(1, 6)]
    found: list[Printed] = []
    threads = [
        threading.Thread(target=lambda ask=ask: found.append(ask())) for ask in [*asks, *asks]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    printing.join_all(clinic.context(NAME).clinic_id, 60)
    # On a slow machine the last ones may wait for longer than their pages do.
    assert {one for one in found if one.state != "printed"} <= {Printed("failed", BUSY)}
    codes = {
        one.order.subject for one in jobs.latest(clinic.context(NAME)) if one.state == "printed"
    }
    assert len(codes) == len(simulator.slips) > 1
    assert not [one.complaints for one in simulator.slips if one.complaints]
    assert all(sum(code in one.text for one in simulator.slips) == 1 for code in codes)


def test_a_printer_slower_than_the_page_is_known_later(clinic, simulator):
    """About 36 kB at 3 kB/s: the page is answered, the paper comes whole."""
    simulator.faults.bytes_per_s = 3_000
    ask = first_print(clinic)
    started = time.monotonic()
    found = ask()
    assert (found.state, found.detail.startswith("printer")) == ("unsure", True)
    assert time.monotonic() - started < 9.5
    simulator.faults.bytes_per_s = 0
    wait_for(lambda: len(simulator.slips) == 1)
    printing.join_all(clinic.context(NAME).clinic_id, 20)
    assert ask().state in ("printed", "unsure")
    assert len(simulator.slips) == 1


def test_a_roll_that_is_nearly_at_its_end_is_told(clinic, simulator):
    simulator.faults.paper = "near_end"
    assert first_print(clinic)() == Printed("printed", "kertas hampir habis")
