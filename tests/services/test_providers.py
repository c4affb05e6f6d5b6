"""Printers and announcers in the order of the settings."""

import base64
import threading
from pathlib import Path

import pytest

from puskesmas_queue.api import Announcer, Printed, Printer, Role, Speech, hookimpl
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import InvalidSetting, NotFound
from puskesmas_queue.services import options, providers
from puskesmas_queue.services.providers import JOB, PrintOrder
from puskesmas_queue.testing import ClinicUnderTest, FakeAnnouncer, FakePrinter


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Nobody runs out of time because the machine is busy."""
    for name in ("PRINT_DEADLINE_S", "SPEAK_DEADLINE_S", "READ_DEADLINE_S"):
        monkeypatch.setattr(providers, name, 60.0)


@pytest.fixture
def open_with(tmp_path: Path):
    """Opens a clinic with these plugins, and these orders of printers and announcers."""
    opened = []

    def make(printers="browser", announcers="browser", **plugins) -> ClinicUnderTest:
        made = ClinicUnderTest(tmp_path / str(len(opened)), plugins.items())
        opened.append(made)
        options.set_option(made.clinic, "kiosk.printers", printers, SYSTEM)
        options.set_option(made.clinic, "display.announcers", announcers, SYSTEM)
        return made

    yield make
    for made in opened:
        made.close()


def printed(hall: ClinicUnderTest) -> Printed:
    return providers.print_slip(hall.clinic, PrintOrder(hall.issue("kia").code, "id"))


def spoken(hall: ClinicUnderTest) -> Speech:
    hall.issue()
    hall.call_next()
    announcement = hall.clinic.db.read(lambda tx: providers.speech.latest(tx, 1))[0]
    return providers.announcement_speech(hall.clinic, announcement.id)


def fault_lines(hall: ClinicUnderTest) -> list[str]:
    return [f"{row.plugin} {row.hook} {row.kind}: {row.detail}" for row in hall.faults()]


# Printers


def test_the_browser_prints_unless_told_otherwise(open_with):
    """The built-in printer leaves it to the page, which then asks nobody."""
    hall = open_with()
    assert printed(hall) == Printed("by_page")
    assert providers.is_printed_by_page(hall.clinic)
    page = hall.get(f"/kiosk/ticket/{hall.issue().code}?print=1").text
    assert "data-print " in page.replace(">", " ")
    assert "data-print-at" not in page


def test_hook_register_printers(open_with):
    """The slip tells the number and nobody's name; the page asks the server to print."""
    printer = FakePrinter()
    hall = open_with("fake, browser", fake=printer)
    assert printed(hall) == Printed("printed")
    (slip,) = printer.slips
    assert (slip.ticket.number, slip.ticket.unit_name) == ("C-001", "Poli KIA/KB")
    assert (slip.clinic_name, slip.people_ahead, slip.language) == ("Puskesmas Uji", 0, "id")
    assert f"{slip.issued_at:%H:%M}" == "07:30"
    assert (slip.unit_name, slip.room, slip.counter_opens) == ("Poli KIA/KB", "Ruang 3", None)
    ticket = hall.issue()
    page = hall.get(f"/kiosk/ticket/{ticket.code}?print=1").text
    assert f'data-print-at="/kiosk/ticket/{ticket.code}/print"' in page
    assert hall.post(f"/kiosk/ticket/{ticket.code}/print").json() == {"state": "printed"}
    assert [one.ticket.number for one in printer.slips] == ["C-001", ticket.number]


def test_a_slip_says_when_counters_open_and_its_unit_in_english(open_with):
    """Where nobody knows how long it takes the time of opening stands in its place."""
    printer = FakePrinter()
    hall = open_with("fake", fake=printer)
    options.set_option(hall.clinic, "queue.operating_start", "08:00", SYSTEM)
    providers.print_slip(hall.clinic, PrintOrder(hall.issue("kia").code, "en"))
    hall.call_next()
    providers.print_slip(hall.clinic, PrintOrder(hall.issue("kia").code, "en"))
    first, second = printer.slips
    assert (first.language, second.language) == ("en", "en")
    assert (first.estimate_minutes, first.counter_opens) == (None, "08:00")
    assert (second.estimate_minutes is None, second.counter_opens) == (False, None)
    assert first.unit_name == "Mother, child and family planning"


def test_a_printer_that_fails_leaves_it_to_the_next(open_with):
    """Raising, refusing and being away are all the same to the patient."""
    first, second = FakePrinter("first"), FakePrinter("second")
    hall = open_with("gone, first, second", a=first, b=second)
    first.failure = OSError("no cable")
    assert printed(hall) == Printed("printed")
    first.failure, first.outcome = None, Printed("failed", "no paper")
    assert printed(hall) == Printed("printed")
    assert len(second.slips) == 2
    assert fault_lines(hall) == ["a printer first raised: OSError: no cable"]
    assert providers.missing(hall.clinic) == [("kiosk.printers", "gone")]


def test_an_unsure_slip_is_not_printed_twice(open_with):
    """It may be out: a second one would be a second number in somebody's hand."""
    first, second = FakePrinter("first"), FakePrinter("second")
    first.outcome = Printed("unsure", "no answer")
    hall = open_with("first, second", a=first, b=second)
    assert printed(hall) == Printed("unsure", "no answer")
    assert second.slips == []


def test_no_printer_is_told(open_with):
    """The number is given all the same, and the page says that no paper comes."""
    hall = open_with("gone")
    assert printed(hall) == Printed("failed", "no printer")
    ticket = hall.issue()
    assert hall.post(f"/kiosk/ticket/{ticket.code}/print").json() == {"state": "failed"}
    assert "Kertas tidak keluar" in hall.get(f"/kiosk/ticket/{ticket.code}?print=1").text


@pytest.mark.parametrize("answer", [None, "printed", Printed("done"), Printed(7)])
def test_a_nonsensical_printer_failed(open_with, answer):
    """What cannot be understood is not taken for paper."""
    plugin = type("P", (), {})()
    plugin.register_printers = hookimpl(lambda: [Printer("odd", lambda slip, ctx: answer)])
    hall = open_with("odd, browser", odd=plugin)
    assert printed(hall) == Printed("by_page")
    assert fault_lines(hall)[0].startswith("odd printer odd nonsense")


def test_a_printer_that_hangs_leaves_it_to_the_next(open_with, monkeypatch):
    """After three that never ended it is not asked again until they do."""
    monkeypatch.setattr(providers, "PRINT_DEADLINE_S", 0.05)
    forever = threading.Event()
    plugin = type("P", (), {})()
    plugin.register_printers = hookimpl(lambda: [Printer("slow", lambda slip, ctx: forever.wait())])
    hall = open_with("slow, browser", slow=plugin)
    assert [printed(hall).state for _ in range(5)] == ["by_page"] * 5
    assert len(fault_lines(hall)) == 1
    forever.set()


def test_the_log_tells_when_a_printer_begins_to_fail(open_with, caplog):
    """Once, and when it prints again; not a line for every slip of a morning."""
    answers = iter([Printed("failed", "no paper")] * 3 + [Printed("printed")] * 2)
    plugin = type("P", (), {})()
    plugin.register_printers = hookimpl(
        lambda: [Printer("thermal", lambda slip, ctx: next(answers))]
    )
    hall = open_with("thermal", thermal=plugin)
    for _ in range(5):
        printed(hall)
    told = [row.getMessage() for row in caplog.records if "thermal" in row.getMessage()]
    assert told == [
        "printer thermal at kiosk, failed: no paper",
        "printer thermal prints again at kiosk",
    ]


def test_no_slip_without_a_ticket(open_with):
    """A code that nobody has prints nothing."""
    hall = open_with("fake", fake=FakePrinter())
    with pytest.raises(NotFound):
        providers.print_slip(hall.clinic, PrintOrder("ABCDEF", "id"))
    assert hall.post("/kiosk/ticket/ABCDEF/print").status_code == 404


def test_the_printer_knows_where_and_for_which_tap(open_with):
    """A kiosk has its name, a counter its number; a request that comes again is the same job."""
    printer = FakePrinter()
    hall = open_with("fake", fake=printer)
    path = f"/kiosk/ticket/{hall.issue().code}/print"
    for job in ("first-print-0001", "first-print-0001", "again-0123456789"):
        assert hall.post(path, {"job": job}).json() == {"state": "printed"}
    hall.post(path)
    assert [slip.job for slip in printer.slips[:3]] == ["first-print-0001"] * 2 + [
        "again-0123456789"
    ]
    assert JOB.fullmatch(printer.slips[3].job)
    assert {(slip.place, slip.place_name) for slip in printer.slips} == {("kiosk", "kiosk")}


@pytest.mark.parametrize("job", ["short", "a" * 65, "with a space in it", "../../etc/passwd"])
def test_a_job_without_a_proper_name_prints_nothing(open_with, job):
    """No page gives such a name."""
    printer = FakePrinter()
    hall = open_with("fake", fake=printer)
    code = hall.issue().code
    assert hall.post(f"/kiosk/ticket/{code}/print", {"job": job}).status_code == 422
    assert printer.slips == []


def test_two_plugins_with_one_printer_name(open_with):
    """The first keeps it, the second is named; nobody takes the browser's."""
    first, second = FakePrinter("same"), FakePrinter("same")
    hall = open_with("same", a=first, b=second, c=FakePrinter("browser"))
    assert printed(hall).state == "printed"
    assert len(first.slips) + len(second.slips) == 1
    assert len(fault_lines(hall)) == 2


# Announcers


def test_the_browser_speaks_unless_told_otherwise(open_with):
    """The built-in announcer leaves it to the TV, which then asks nobody."""
    hall = open_with()
    assert spoken(hall) == Speech()
    assert "data-sounds" not in hall.get("/display").text


def test_hook_register_announcers(open_with):
    """The TV fetches what the announcer made of both halves."""
    announcer = FakeAnnouncer()
    hall = open_with(announcers="fake, browser", fake=announcer)
    assert spoken(hall) == Speech((b"RIFF",))
    (utterance,) = announcer.spoken
    assert utterance.parts == ("Nomor antrean, A, nol nol satu.", "Silakan menuju loket satu.")
    assert (utterance.language, utterance.zone, utterance.kind) == ("id", "main", "call")
    assert 'data-sounds="/display/sound/"' in hall.get("/display").text
    told = hall.get("/display/sound/1").json()
    assert base64.b64decode(told["sound"][0]) == b"RIFF"
    assert told["has_chime"] is False
    assert hall.get("/display/sound/99").status_code == 404


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"RIFF",
        Speech(b"RIFF"),
        Speech(("RIFF",)),
        Speech((b"RIFF",), "text/html"),
        Speech((b"RIFF",), "audio/wav\r\nX: y"),
        Speech((bytes(8_000_001),)),
        Speech((b"RIFF",), has_chime="yes"),
    ],
)
def test_a_nonsensical_announcer_leaves_it_to_the_next(open_with, answer):
    """What is no sound is not sent to the TV."""
    plugin = type("P", (), {})()
    odd = Announcer("odd", lambda utterance, ctx: answer)
    plugin.register_announcers = hookimpl(lambda: [odd])
    hall = open_with(announcers="odd, browser", odd=plugin)
    assert spoken(hall) == Speech()
    assert fault_lines(hall)[0].startswith("odd announcer odd nonsense")


def test_a_slow_announcer_leaves_it_to_the_next(open_with, monkeypatch):
    """A call never waits for a voice."""
    forever, fake = threading.Event(), FakeAnnouncer("quick")
    plugin = type("P", (), {})()
    plugin.register_announcers = hookimpl(
        lambda: [Announcer("slow", lambda utterance, ctx: forever.wait())]
    )
    hall = open_with(announcers="slow, quick", slow=plugin, quick=fake)
    run = hall.clinic.hooks.run
    monkeypatch.setattr(
        hall.clinic.hooks,
        "run",
        lambda whose, name, task, deadline_s: run(
            whose, name, task, 0.05 if whose == "slow" else deadline_s
        ),
    )
    assert spoken(hall) == Speech((b"RIFF",))
    forever.set()


def test_nobody_speaks_then_the_browser_does(open_with):
    """A number with any voice is better than one in silence."""
    failing = FakeAnnouncer()
    failing.failure = OSError("no voice")
    hall = open_with(announcers="fake", fake=failing)
    assert spoken(hall) == Speech()


@pytest.mark.parametrize("text", ["", "A", "a,,b", "a b", "../x"])
def test_an_order_is_names(open_with, text):
    """Anything else is refused before it is stored."""
    hall = open_with()
    with pytest.raises(InvalidSetting):
        options.set_option(hall.clinic, "kiosk.printers", text, SYSTEM)
    assert hall.get("/kiosk", Role.ADMIN).status_code == 200
