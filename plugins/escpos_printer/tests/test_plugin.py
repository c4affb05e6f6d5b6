"""The plugin as the server meets it."""

from typing import Any

import pytest
from fake_printer import TcpPrinter
from PIL import ImageChops

from puskesmas_queue.api import PluginDataUnavailable
from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue_escpos_printer import documents, jobs, printers, slips
from puskesmas_queue_escpos_printer import plugin as the_plugin
from puskesmas_queue_escpos_printer.interpreter.pages import interpret
from puskesmas_queue_escpos_printer.paper import WIDTHS, PaperProfile
from puskesmas_queue_escpos_printer.printers import PrinterSetup

NAME = "escpos_printer"


class TestContract(PluginContract):
    """It keeps to what every plugin keeps to."""

    name = NAME
    plugin = the_plugin


@pytest.fixture
def clinic(puskesmas_clinics) -> ClinicUnderTest:
    """A clinic with the plugin."""
    made: ClinicUnderTest = puskesmas_clinics(escpos_printer=the_plugin)
    return made


def set_up(clinic: ClinicUnderTest, tcp: TcpPrinter, **more: Any) -> None:
    printers.add(clinic.context(NAME), PrinterSetup("Kiosk", "tcp", tcp.address, **more))


def test_a_kiosk_prints_by_it(clinic, tcp):
    """The printer says that the paper is out, and so does the plugin."""
    set_up(clinic, tcp)
    ticket = clinic.issue()
    printed = clinic.print_slip(ticket, "escpos", "browser", job="first-print-0001")

    assert printed.state == "printed"
    (paper,) = tcp.printed
    assert paper.startswith(b"\x1b@")
    assert clinic.print_slip(ticket, "escpos", job="first-print-0001").state == "printed"
    assert len(tcp.printed) == 1
    assert clinic.print_slip(ticket, "escpos").state == "printed"
    assert tcp.printed == [paper, paper]


@pytest.mark.parametrize("width_mm", WIDTHS)
def test_a_ticket_is_laid_out_for_the_printers_own_paper(clinic, tcp, width_mm):
    """From edge to edge and no further."""
    set_up(clinic, tcp, width_mm=width_mm)
    clinic.print_slip(clinic.issue(), "escpos")

    dots = PaperProfile(width_mm).dots
    made = interpret(tcp.printed[0], dots)

    assert made.complaints == ()
    left, _, right, _ = ImageChops.invert(made.pages[0].convert("L")).getbbox()
    assert (left, right) == (0, dots)


def test_a_ticket_is_sent_as_its_printer_takes_it(clinic, tcp):
    """Letters, pictures and cut are those that were set for it."""
    set_up(clinic, tcp, code_page="cp858", images="column", cut="full")
    clinic.print_slip(clinic.issue(), "escpos")

    (paper,) = tcp.printed
    assert b"\x1bt\x13" in paper
    assert (b"\x1b*" in paper, b"\x1dv0" in paper) == (True, False)
    assert paper.endswith(b"\x1dVA\x00")


def test_a_printer_that_cannot_leaves_it_to_the_browser(clinic, tcp):
    """So the number is on paper or on the page, and its slip is known."""
    ticket = clinic.issue()
    assert clinic.print_slip(ticket, "escpos", "browser").state == "by_page"
    assert clinic.print_slip(ticket, "escpos").state == "failed"
    set_up(clinic, tcp)
    tcp.no_paper = True
    assert clinic.print_slip(ticket, "escpos", "browser").state == "by_page"
    assert clinic.print_slip(ticket, "escpos").detail == "kertas habis"


def test_a_silent_printer_is_no_reason_to_print_twice(clinic, tcp):
    """The page does not print what may be out already."""
    set_up(clinic, tcp)
    tcp.is_silent = True
    printed = clinic.print_slip(clinic.issue(), "escpos", "browser")
    told = "printer tidak memberi kabar setelah mencetak"
    assert (printed.state, printed.detail) == ("unsure", told)
    assert len(tcp.printed) == 1


def test_a_ticket_is_printed_once_more_from_what_was_kept(clinic, tcp):
    """The same paper, without anybody's way of paying in the plugin's table."""
    set_up(clinic, tcp)
    clinic.print_slip(clinic.issue(), "escpos")
    ctx = clinic.context(NAME)
    (job,) = jobs.latest(ctx)
    assert "bpjs" not in job.order.slip.lower()

    assert documents.print_again(ctx, job, "again-0000000001").state == "printed"
    assert documents.print_again(ctx, job, "again-0000000001").state == "printed"
    assert tcp.printed == [tcp.printed[0]] * 2
    assert {one.order.number for one in jobs.latest(ctx)} == {"A-001"}
    with pytest.raises(ValueError, match="no slip"):
        slips.read_slip('{"ticket": {}}', "again-0000000001", ctx.zone)


def test_without_its_tables_it_leaves_it_to_the_browser(clinic, tcp, monkeypatch):
    """Nobody would know afterwards what was printed."""
    set_up(clinic, tcp)

    def broken(*_: object) -> None:
        raise PluginDataUnavailable(NAME, "disk full")

    monkeypatch.setattr(jobs, "claim", broken)
    printed = clinic.print_slip(clinic.issue(), "escpos")
    assert (printed.state, printed.detail) == ("failed", "data printer tidak bisa dibaca")
    assert tcp.printed == []


def test_a_test_page_is_printed(clinic, tcp):
    """By one printer, once for each click."""
    set_up(clinic, tcp)
    ctx = clinic.context(NAME)
    (printer,) = printers.all_printers(ctx)
    for _ in range(2):
        assert documents.print_test(ctx, printer, "test-00000000001", "id").state == "printed"
    (paper,) = tcp.printed
    assert b"Kiosk" in paper


def test_the_simulated_printer_says_how_it_is_used(tmp_path):
    """A demo stores these settings."""
    simulator = the_plugin.start_simulator(tmp_path, 0)
    try:
        assert simulator.settings == {"default_address": simulator.address}
        assert set(simulator.settings) <= set(the_plugin.register_settings().model_fields)
    finally:
        simulator.stop()
