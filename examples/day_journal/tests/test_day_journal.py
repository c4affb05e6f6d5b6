"""The example plugin, beside the contract that every plugin keeps."""

import re
from pathlib import Path
from types import MappingProxyType

import pytest

from puskesmas_queue.api import Lane, Role
from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue_day_journal import journal, plugin

NAME = "day_journal"
PACKAGE = Path(plugin.__file__).parent
PAGE = f"/x/{NAME}/"


class TestContract(PluginContract):
    """What the server asks of every plugin."""

    name = NAME
    plugin = plugin
    settings = MappingProxyType({"most_waiting": "40"})


@pytest.fixture
def clinic(puskesmas_clinics) -> ClinicUnderTest:
    """A clinic with a journal."""
    made: ClinicUnderTest = puskesmas_clinics(day_journal=plugin)
    return made


def today(clinic: ClinicUnderTest) -> journal.Day:
    """Return what the journal has about today."""
    ctx = clinic.context(NAME)
    return journal.read_day(ctx, ctx.local_now.date())


def test_every_fact_is_a_line(clinic):
    """From the number to the end, latest first, and an emergency."""
    for _ in range(3):
        clinic.issue()
    clinic.issue_emergency()
    held = clinic.hold(clinic.serve(clinic.call_next()))
    clinic.complete(clinic.serve(held))
    skipped = clinic.call_next()
    clinic.deliver()
    clinic.skip(skipped)
    clinic.deliver()
    clinic.cancel(clinic.issue("gigi"))
    clinic.deliver()

    found = today(clinic)

    assert found.counts == {
        "ticket_issued": 4,
        "ticket_called": 2,
        "ticket_recalled": 1,
        "ticket_serving": 1,
        "ticket_held": 1,
        "ticket_completed": 1,
        "ticket_skipped": 1,
        "ticket_cancelled": 1,
        "emergency_announced": 1,
    }
    assert [one.at.utcoffset().total_seconds() for one in found.entries] == [0] * 15
    assert found.entries == sorted(found.entries, key=lambda one: one.at, reverse=True)
    assert {one.counter for one in found.entries if one.kind == "ticket_called"} == {1}


def test_the_day_is_closed_and_later_forgotten(clinic):
    """A closed day keeps what the server counted; one that is old goes with its notes."""
    clinic.configure(NAME, keep_days="2")
    clinic.issue()
    clinic.deliver()
    first = clinic.context(NAME).local_now.date()
    clinic.post(f"{PAGE}notes", {"text": "Printer macet"}, Role.KEPALA)
    clinic.end_day()
    clinic.deliver()

    closed = journal.read_day(clinic.context(NAME), first)
    assert (closed.closed.issued, closed.closed.expired, len(closed.notes)) == (1, 1, 1)
    assert journal.latest_days(clinic.context(NAME)) == [first]

    for _ in range(2):
        clinic.issue()
        clinic.end_day()
        clinic.deliver()
    assert len(journal.latest_days(clinic.context(NAME))) == 2
    gone = journal.read_day(clinic.context(NAME), first)
    assert (gone.entries, gone.notes, gone.closed) == ([], [], None)


# The limit


def test_a_full_unit_gets_no_more_general_numbers(clinic):
    """Priority and other units are not touched; a call makes room again."""
    clinic.configure(NAME, most_waiting="2")
    for unit in ("umum", "umum", "gigi"):
        clinic.issue(unit)
    clinic.deliver()

    with pytest.raises(Exception, match="Sudah 2 orang menunggu"):
        clinic.issue("umum")
    assert clinic.issue("umum", Lane.PRIORITY).number == "P-001"
    assert clinic.issue("gigi").number == "B-002"
    for _ in range(2):
        clinic.complete(clinic.serve(clinic.call_next()))
    clinic.deliver()
    assert clinic.issue("umum").number == "A-003"


def test_the_count_is_known_after_a_restart(tmp_path):
    """It is counted anew from the journal, of the present day only."""
    with ClinicUnderTest(tmp_path, [(NAME, plugin)]) as clinic:
        clinic.issue()
        clinic.deliver()
        clock = clinic.clock
    settings = {NAME: {"most_waiting": "1"}}
    with ClinicUnderTest(tmp_path, [(NAME, plugin)], settings=settings, clock=clock) as clinic:
        with pytest.raises(Exception, match="Sudah 1 orang menunggu"):
            clinic.issue()
        clinic.end_day()
        clinic.deliver()
        assert clinic.issue().number == "A-001"


# The page


def test_the_page_shows_the_day_and_takes_notes(clinic):
    """A note is there once, however often it is sent, with who wrote it."""
    clinic.issue("kia")
    clinic.deliver()
    page = clinic.get(PAGE, Role.PETUGAS_LOKET).text
    assert "C-001" in page
    (note_id,) = re.findall(r'name="note_id" value="([^"]+)"', page)
    form = {"day": "2026-02-26", "note_id": note_id, "text": "Dokter <datang> terlambat"}

    for _ in range(2):
        answer = clinic.post(f"{PAGE}notes", form, Role.PETUGAS_LOKET)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{PAGE}?day=2026-02-26")

    page = clinic.get(PAGE, Role.KEPALA).text
    assert page.count("Dokter &lt;datang&gt; terlambat") == 1
    assert "petugas-loket, 07:30 WIB" in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Tulis catatannya dulu."),
        ({"text": " "}, "Tulis catatannya dulu."),
        ({"day": "kemarin", "text": "x" * 501}, "Catatan terlalu panjang."),
    ],
)
def test_a_note_that_cannot_be_is_told_at_the_field(clinic, form, words):
    """What was typed is kept, and nothing is stored."""
    answer = clinic.post(f"{PAGE}notes", form, Role.KEPALA)

    assert answer.status_code == 422
    assert answer.text.count(words) == 2
    assert form.get("text", "").strip() in answer.text
    assert today(clinic).notes == []


def test_a_closed_day_takes_no_note(clinic):
    """Its page has no form, and one that was open all night is refused."""
    clinic.issue()
    clinic.end_day()
    clinic.deliver()
    day = clinic.get(f"{PAGE}?day=2026-02-26", Role.KEPALA).text
    assert "Hari ditutup" in day
    assert "<textarea" not in day

    form = {"day": "2026-02-26", "text": "Printer macet"}
    answer = clinic.post(f"{PAGE}notes", form, Role.KEPALA)
    assert answer.status_code == 422
    assert "Hari ini sudah ditutup." in answer.text
    assert "2026-02-26" in clinic.get(PAGE, Role.KEPALA).text


def test_who_may_not_see_the_day_sees_no_journal(clinic):
    """Neither reading nor writing."""
    assert clinic.get(PAGE, Role.AUDITOR).status_code == 403
    assert clinic.post(f"{PAGE}notes", {"text": "x"}, Role.AUDITOR).status_code == 403


def test_every_text_is_there_in_english(clinic):
    """The catalogue holds what the template and the link say."""
    template = (PACKAGE / "templates/journal.html").read_text("utf-8")
    catalogue = (PACKAGE / "locale/en/LC_MESSAGES/messages.po").read_text("utf-8")
    said = {*re.findall(r'_\("([^"]+)"\)', template), "Jurnal"}
    assert said == set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))
    assert "Journal of the day" in clinic.get(f"{PAGE}?lang=en", Role.KEPALA).text
