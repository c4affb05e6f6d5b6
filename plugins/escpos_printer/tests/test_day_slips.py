"""The slip of a day: from its page, and when the day is closed; and tickets by the simulator."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from puskesmas_queue.api import DayFact, DayShare, Lane, Role
from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import days, kinds, plugin, printers, template_store
from puskesmas_queue_escpos_printer.printers import PrinterSetup
from puskesmas_queue_escpos_printer.settings import Settings
from puskesmas_queue_escpos_printer.simulator import PrinterSimulator

NAME = "escpos_printer"
PACKAGE = Path(plugin.__file__).parent
PAGE = f"/x/{NAME}/days"


@pytest.fixture
def clinic(puskesmas_clinics: Callable[..., ClinicUnderTest]) -> ClinicUnderTest:
    return puskesmas_clinics(escpos_printer=plugin)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[PrinterSimulator]:
    made = PrinterSimulator(tmp_path / "simulator")
    yield made
    made.stop()


def set_up(clinic: ClinicUnderTest, simulator: PrinterSimulator, name: str = "Lobi") -> None:
    printers.add(clinic.context(NAME), PrinterSetup(name, "tcp", simulator.address))


def end_a_day(clinic: ClinicUnderTest) -> None:
    clinic.issue("gigi")
    clinic.complete(clinic.serve(clinic.call_next()))
    clinic.issue("umum", Lane.PRIORITY)
    clinic.end_day()
    clinic.deliver()


def form_of(page: str) -> dict[str, str]:
    (job,) = re.findall(r'name="job" value="([^"]+)"', page)
    (printer,) = re.findall(r'<option value="([^"]+)"', page)
    return {"job": job, "printer": printer, "day": "2026-02-26"}


def test_a_day_is_printed_from_its_page(
    clinic: ClinicUnderTest, simulator: PrinterSimulator
) -> None:
    """A second click prints nothing more; another tap does."""
    set_up(clinic, simulator)
    end_a_day(clinic)
    page = clinic.get(PAGE, Role.KEPALA).text
    assert "Kamis, 26 Februari 2026" in page

    for _ in range(2):
        answer = clinic.post(PAGE, form_of(page), Role.KEPALA)
        assert "Slip Kamis, 26 Februari 2026 tercetak." in answer.text

    (slip,) = simulator.slips
    assert slip.complaints == ()
    said = re.sub(" +", " ", slip.text).split("\n")
    for line in (
        "Kamis, 26 Februari 2026",
        "Nomor diberikan 2",
        "Selesai 1",
        "Hangus 1",
        "ANTREAN UMUM 1 / 1",
        "PRIORITAS 1 / 0",
        "Poli Umum 1 / 0",
        "Poli Gigi 1 / 1",
    ):
        assert line in said, said
    clinic.post(PAGE, form_of(answer.text), Role.KEPALA)
    assert len(simulator.slips) == 2


def test_what_is_not_printed_is_told(clinic: ClinicUnderTest, simulator: PrinterSimulator) -> None:
    """With the printer's name and why; a day or a printer that is gone too."""
    end_a_day(clinic)
    assert "Belum ada printer." in clinic.get(PAGE, Role.KEPALA).text
    set_up(clinic, simulator)
    form = form_of(clinic.get(PAGE, Role.KEPALA).text)
    simulator.faults.paper = "end"

    answer = clinic.post(PAGE, form, Role.KEPALA)
    assert "Tidak dicetak" in answer.text
    assert "Lobi:" in answer.text

    for wrong in ({"day": "2020-01-01"}, {"day": "x"}, {"printer": "x"}):
        assert clinic.post(PAGE, {**form, **wrong}, Role.KEPALA).status_code == 422
    assert clinic.get(PAGE, Role.AUDITOR).status_code == 403
    assert simulator.slips == []


def test_a_day_is_printed_when_it_is_closed_where_the_clinic_wants_that(
    clinic: ClinicUnderTest, simulator: PrinterSimulator
) -> None:
    set_up(clinic, simulator)
    end_a_day(clinic)
    assert simulator.slips == []
    clinic.configure(NAME, prints_day="true")
    end_a_day(clinic)
    assert len(simulator.slips) == 1
    assert len(days.latest(clinic.context(NAME))) == 2


def test_a_month_of_days_is_kept(clinic: ClinicUnderTest) -> None:
    """One that is told twice is there once, and what is older goes."""
    ctx = clinic.context(NAME)
    first = DayFact(date(2026, 1, 1), 3, 2, 1, 0, (DayShare("general", "", 3, 2),), ())
    assert days.keep(ctx, first)
    assert not days.keep(ctx, first)
    assert days.find(ctx, first.service_date) == first

    days.keep(ctx, DayFact(date(2026, 2, 2), 0, 0, 0, 0))

    assert [one.service_date for one in days.latest(ctx)] == [date(2026, 2, 2)]
    assert days.find(ctx, first.service_date) is None


def test_a_ticket_comes_out_as_the_clinic_worded_it(
    clinic: ClinicUnderTest, simulator: PrinterSimulator
) -> None:
    """From the kiosk to the paper; its code is the address of its page."""
    set_up(clinic, simulator)
    ctx = clinic.context(NAME)
    blocks = kinds.KINDS["ticket"].blocks
    stored = template_store.write_blocks(blocks).replace('["", ""]', '["Lekas sembuh", ""]')
    template_store.save(ctx, "ticket", template_store.read_blocks(stored, blocks), "admin")
    ticket = clinic.issue("kia", Lane.PRIORITY)

    assert clinic.print_slip(ticket, "escpos").state == "printed"

    (slip,) = simulator.slips
    assert "Lekas sembuh" in slip.text
    assert "Ruang 3" in slip.text
    with Image.open(slip.picture) as picture:
        (code,) = zxingcpp.read_barcodes(picture.convert("L"))
    assert code.text.endswith(ticket.code)


def test_every_text_is_there_in_english() -> None:
    """What templates, kinds and links say is in the catalogue, each once and translated."""
    said = set()
    for template in (PACKAGE / "templates").glob("*.html"):
        found = re.findall(r"_\((?:\"([^\"]+)\"|'([^']+)')", template.read_text("utf-8"))
        said |= {one or other for one, other in found}
    for kind in kinds.KINDS.values():
        said |= {kind.title, *(one.title for one in kind.blocks), *kind.names.values()}
    field = Settings.model_fields["prints_day"]
    said |= {str(field.title), str(field.description)}
    catalogue = (PACKAGE / "locale/en/LC_MESSAGES/messages.po").read_text("utf-8")
    known = re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE)
    assert said <= set(known)
    assert len(known) == len(set(known))
    assert re.findall(r'^msgstr ""$', catalogue, re.MULTILINE) == ['msgstr ""']
