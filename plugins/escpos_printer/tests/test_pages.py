"""What staff and administrators see and do."""

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from fake_printer import TcpPrinter
from sqlalchemy import Connection, select

from puskesmas_queue.api import Role
from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import health, jobs, plugin, printers
from puskesmas_queue_escpos_printer.jobs import Order
from puskesmas_queue_escpos_printer.printers import PrinterSetup
from puskesmas_queue_escpos_printer.protocol import State
from puskesmas_queue_escpos_printer.reasons import WORDS, Reason
from puskesmas_queue_escpos_printer.settings import Settings
from puskesmas_queue_escpos_printer.tables import JOBS

NAME = "escpos_printer"
PACKAGE = Path(plugin.__file__).parent
HOME, SETUP = f"/x/{NAME}/", f"/x/{NAME}/printers"
FILLED = {
    "name": "Kiosk depan", "kind": "tcp", "width_mm": "58", "code_page": "ascii",
    "images": "column", "cut": "none", "is_answering": "on", "is_active": "on",
}  # fmt: skip


@pytest.fixture
def clinic(quiet) -> ClinicUnderTest:
    """A clinic without a printer, with nobody who looks by himself."""
    made: ClinicUnderTest = quiet
    return made


@pytest.fixture
def kiosk(clinic, tcp) -> str:
    """The id of a printer that is set up."""
    return printers.add(clinic.context(NAME), PrinterSetup("Kiosk", "tcp", tcp.address))


def hidden(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the first form that is sent to an address."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert form is not None, action
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.group(1)))


# The queue


def test_an_empty_page_says_what_to_do(clinic):
    assert "Tambah printer" in clinic.get(HOME, Role.ADMIN).text
    assert "Minta administrator" in clinic.get(HOME, Role.PETUGAS_LOKET).text
    assert "Belum ada yang dicetak." in clinic.get(HOME, Role.KEPALA).text


def test_a_ticket_in_doubt_is_printed_again_by_a_tap(clinic, kiosk, tcp):
    """The same number as a new job, once however often the form is sent."""
    tcp.is_silent = True
    clinic.print_slip(clinic.issue(), "escpos")
    tcp.is_silent = False
    page = clinic.get(HOME, Role.PETUGAS_LOKET).text
    assert "Perlu dilihat" in page
    assert "printer tidak memberi kabar setelah mencetak" in page
    form = hidden(page, f"{HOME}jobs/again")

    for _ in range(2):
        answer = clinic.post(f"{HOME}jobs/again", form, Role.PETUGAS_LOKET)
        assert answer.headers["location"] == f"{HOME}?told=printed"
    assert tcp.printed == [tcp.printed[0]] * 2
    page = clinic.get(f"{HOME}?told=printed", Role.PETUGAS_LOKET).text
    assert "Perlu dilihat" not in page
    assert "Kertas sudah keluar." in page
    assert [one.state for one in jobs.latest(clinic.context(NAME))] == ["printed", "unsure"]


def test_a_paper_that_was_seen_is_taken_as_printed(clinic, kiosk, tcp):
    tcp.is_silent = True
    clinic.print_slip(clinic.issue(), "escpos")
    form = hidden(clinic.get(HOME, Role.ADMIN).text, f"{HOME}jobs/settled")
    for told in ("settled", "gone"):
        answer = clinic.post(f"{HOME}jobs/settled", form, Role.ADMIN)
        assert answer.headers["location"] == f"{HOME}?told={told}"
    assert "kertasnya dilihat petugas" in clinic.get(HOME, Role.ADMIN).text
    assert len(tcp.printed) == 1


def test_who_may_not_call_prints_nothing(clinic, kiosk, tcp):
    """They see the list without its buttons."""
    tcp.is_silent = True
    ticket = clinic.issue()
    clinic.print_slip(ticket, "escpos")
    page = clinic.get(HOME, Role.KEPALA).text
    assert ticket.number in page
    assert "jobs/again" not in page
    assert "jobs/settled" not in page
    for path in ("jobs/again", "jobs/settled"):
        assert clinic.post(f"{HOME}{path}", {}, Role.KEPALA).status_code == 403
    assert clinic.get(SETUP, Role.PETUGAS_LOKET).status_code == 403


@pytest.mark.parametrize("form", [{}, {"subject": "x", "job": "y", "new_job": "z"}])
def test_a_job_that_is_not_there_is_told(clinic, form):
    for path in ("jobs/again", "jobs/settled"):
        answer = clinic.post(f"{HOME}{path}", form, Role.ADMIN)
        assert answer.headers["location"] == f"{HOME}?told=gone"


def test_looking_now_shows_how_each_printer_is(clinic, kiosk, tcp):
    assert "Belum dilihat" in clinic.get(HOME, Role.KEPALA).text
    tcp.no_paper = True
    clinic.post(f"{HOME}look", {}, Role.KEPALA)
    assert "Kertas habis" in clinic.get(HOME, Role.KEPALA).text
    panel = clinic.get(f"{HOME}panels/printers", Role.KEPALA).text
    assert "Kertas habis" in panel
    tcp.no_paper = False
    clinic.post(f"{HOME}look", {}, Role.KEPALA)
    assert "Semua printer siap." in clinic.get(f"{HOME}panels/printers", Role.KEPALA).text


# Setting up


def test_a_printer_is_added_changed_tried_and_removed(clinic, tcp):
    form = {**FILLED, "address": tcp.address}
    assert clinic.post(f"{SETUP}/new", form, Role.ADMIN).status_code == 303
    ctx = clinic.context(NAME)
    (printer,) = printers.all_printers(ctx)
    setup = PrinterSetup(
        "Kiosk depan", "tcp", tcp.address, width_mm=58, code_page="ascii", images="column",
        cut="none",
    )  # fmt: skip
    assert printer.setup == setup
    assert printer.status.state == "ready"

    page = clinic.get(SETUP, Role.ADMIN).text
    path = f"{SETUP}/{printer.printer_id}"
    test = hidden(page, f"{path}/test")
    for _ in range(2):
        answer = clinic.post(f"{path}/test", test, Role.ADMIN)
        assert answer.headers["location"].startswith(f"{SETUP}?told=printed")
    assert len(tcp.printed) == 1

    shown = clinic.get(path, Role.ADMIN).text
    assert f'value="{tcp.address}"' in shown
    del form["is_active"]
    clinic.post(path, {**form, "name": "Loket 1", "width_mm": "80"}, Role.ADMIN)
    (printer,) = printers.all_printers(ctx)
    assert (printer.name, printer.setup.width_mm, printer.is_active) == ("Loket 1", 80, False)

    assert "Hapus Loket 1?" in clinic.get(f"{path}/remove", Role.ADMIN).text
    clinic.post(f"{path}/remove", {}, Role.ADMIN)
    assert printers.all_printers(ctx) == []
    for gone in (path, f"{path}/remove"):
        assert clinic.get(gone, Role.ADMIN).headers["location"] == SETUP
        assert clinic.post(gone, form, Role.ADMIN).headers["location"] == SETUP


def test_cups_never_answers(clinic):
    """Whatever the form says: the queue page says that it cannot tell."""
    form = {**FILLED, "kind": "cups", "address": "thermal"}
    clinic.post(f"{SETUP}/new", {**form, "is_active": ""}, Role.ADMIN)
    (printer,) = printers.all_printers(clinic.context(NAME))
    assert not printer.setup.is_answering


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "Beri nama printernya."),
        ({"name": "x" * 41}, "Namanya terlalu panjang."),
        ({"name": "Kiosk"}, "Sudah ada printer dengan nama itu."),
        ({"kind": "fax"}, "Pilih sambungannya."),
        ({"address": "http://printer/"}, "Tulis alamatnya seperti 192.168.1.50"),
        ({"kind": "file", "address": "/etc/passwd"}, "Tulis berkasnya seperti /dev/usb/lp0."),
        ({"kind": "serial", "address": "x"}, "Tulis seperti /dev/ttyUSB0,38400"),
        ({"kind": "cups", "address": "-o x"}, "Tulis nama antrean CUPS"),
        ({"width_mm": "110"}, "Pilih salah satu."),
        ({"cut": "laser"}, "Pilih salah satu."),
    ],
)
def test_what_is_wrong_is_told_at_its_field(clinic, kiosk, change, words):
    """On top and at the field, and what was typed is kept."""
    form = {**FILLED, "address": "192.168.1.50", **change}
    answer = clinic.post(f"{SETUP}/new", form, Role.ADMIN)
    assert answer.status_code == 422
    assert answer.text.count(words) >= 2
    assert "Kesalahan:" in answer.text
    assert len(printers.all_printers(clinic.context(NAME))) == 1


def test_places_are_given_their_printers(clinic, kiosk, tcp):
    ctx = clinic.context(NAME)
    spare = printers.add(ctx, PrinterSetup("Loket", "tcp", tcp.address))
    new = {"kind": "kiosk", "place_name": " Depan ", "rank1": spare, "rank2": kiosk, "rank3": "x"}
    clinic.post(f"{HOME}places", new, Role.ADMIN)
    assert printers.places(ctx) == {("kiosk", "Depan"): (spare, kiosk)}
    page = clinic.get(SETUP, Role.ADMIN).text
    form = hidden(page, f"{HOME}places")
    assert form == {"place": "kiosk:Depan"}
    clinic.post(f"{HOME}places", {**form, "rank1": kiosk}, Role.ADMIN)
    assert printers.places(ctx) == {("kiosk", "Depan"): (kiosk,)}
    clinic.post(f"{HOME}places", form, Role.ADMIN)
    assert printers.places(ctx) == {}


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("counter", "satu", "Tulis nomor loket, misalnya 1."),
        ("hall", "1", "Pilih kiosk atau loket."),
        ("kiosk", "x" * 81, "Pilih kiosk atau loket."),
    ],
)
def test_a_place_that_is_none_is_told(clinic, kiosk, kind, name, words):
    answer = clinic.post(f"{HOME}places", {"kind": kind, "place_name": name}, Role.ADMIN)
    assert answer.status_code == 422
    assert answer.text.count(words) == 2


# Doctor


def test_doctor_hears_of_each_printer(clinic, switched_on):
    """It names those that are the worst off."""

    def told() -> tuple[str, str]:
        found = health.look_at_printers(clinic.context(NAME))
        return found.state, found.line()

    assert told() == ("note", "no printer is in use")
    one, other = switched_on(TcpPrinter()), switched_on(TcpPrinter())
    for name, printer in (("A", one), ("B", other)):
        printers.add(clinic.context(NAME), PrinterSetup(name, "tcp", printer.address))
    assert told() == ("ok", "no trouble: A, B")
    one.near_end = True
    assert told() == ("note", "paper is nearly out: A")
    other.stop()
    assert told() == ("wrong", "cannot be reached: B")
    one.stop()
    assert told() == ("wrong", "cannot be reached: A, B")


def test_doctor_names_printers_of_several_troubles(clinic, switched_on):
    one, other = switched_on(TcpPrinter()), switched_on(TcpPrinter())
    for name, printer in (("50 %(names)s", one), ("B", other)):
        printers.add(clinic.context(NAME), PrinterSetup(name, "tcp", printer.address))
    other.stop()
    one.no_paper = True
    found = health.look_at_printers(clinic.context(NAME))
    assert (found.state, found.text) == ("wrong", health.MIXED)
    assert found.line().endswith(": 50 %(names)s, B")


def test_doctor_hears_of_jobs_that_nobody_saw_to(clinic, kiosk, tcp):
    assert health.look_at_jobs(clinic.context(NAME)).state == "ok"
    tcp.is_silent = True
    clinic.print_slip(clinic.issue(), "escpos")
    found = health.look_at_jobs(clinic.context(NAME))
    assert found.line() == "jobs of the last 24 h that nobody saw to: 1"


def test_doctor_counts_all_jobs_that_nobody_saw_to(clinic):
    """However many there are: none of them is read for it, and those of another day not counted."""
    ctx = clinic.context(NAME)
    jobs.claim(ctx, Order("code", "first-print-0000", "ticket", "A-001", "kiosk", "Depan", "{}"))

    def copy(connection: Connection) -> None:
        row = dict(connection.execute(select(JOBS)).one()._mapping)
        old = ctx.now - timedelta(hours=health.JOB_HOURS, seconds=1)
        made = [{"created_at": ctx.now}] * 1200 + [{"created_at": old}, {"is_settled": True}]
        made += [{"slip": ""}, {"state": "printed"}]
        for n, more in enumerate(made, 1):
            connection.execute(JOBS.insert(), {**row, "state": "failed", "job": f"{n}", **more})

    ctx.data.write(copy)

    found = health.look_at_jobs(ctx)

    assert found.line() == "jobs of the last 24 h that nobody saw to: 1200"


# Words


def test_every_reason_has_words():
    assert set(WORDS) == set(Reason)


def test_what_doctor_says_is_there_in_indonesian():
    """The page of the plugin says it so."""
    source = (PACKAGE / "health.py").read_text("utf-8")
    said = {*re.findall(r'Health\("\w+", "([^"]+)"', source), *health.TROUBLE.values()}
    said |= {health.MIXED, health.NO_TABLES, *(check.name for check in health.CHECKS)}
    catalogue = (PACKAGE / "locale/id/LC_MESSAGES/messages.po").read_text("utf-8")
    assert said == set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))
    assert re.findall(r'^msgstr ""$', catalogue, re.MULTILINE) == ['msgstr ""']
    states = {state for state in get_args(State) if state not in ("ready", "cannot_tell")}
    assert set(health.TROUBLE) == states


def test_every_text_is_there_in_english(clinic, kiosk):
    """The catalogue holds what templates, links, panels, reasons and settings say."""
    templates = "".join(one.read_text("utf-8") for one in (PACKAGE / "templates").glob("*.html"))
    catalogue = (PACKAGE / "locale/en/LC_MESSAGES/messages.po").read_text("utf-8")
    texts = re.findall(r"""_\((?:"([^"]+)"|'([^']+)')""", templates)
    said = {one or other for one, other in texts} | {*WORDS.values(), "Printer tiket"}
    for field in Settings.model_fields.values():
        said |= {field.title, field.description}
    known = set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))
    assert said - known == set()
    for path in (HOME, SETUP, f"{SETUP}/new"):
        page = clinic.get(f"{path}?lang=en", Role.ADMIN).text
        assert "Set up printers" in page or "The printer answers how it is" in page
