"""What staff are told of printers: live, by every process and after a restart, and no longer."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select

from puskesmas_queue.api import Printed
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.domain.printers import PrinterPlace
from puskesmas_queue.live.topics import LiveTopics
from puskesmas_queue.services import day, options, printer_alerts, providers
from puskesmas_queue.services.presets import apply_preset
from puskesmas_queue.services.providers import PrintOrder
from puskesmas_queue.services.topics import PRINTERS_TOPIC
from puskesmas_queue.storage.tables import audit
from puskesmas_queue.testing import FakePrinter
from puskesmas_queue.web.rendering import Rendering
from support.clinics import make_config
from support.desk import STAFF, take

NO_PAPER = Printed("failed", "kertas habis")
WELL = Printed("printed")


@pytest.fixture
def printer():
    """A printer that does as it is told."""
    return FakePrinter()


@pytest.fixture
def opened(database_url, clock, tmp_path, printer):
    """Opens the same clinic: as one more process, or as the next start."""
    clinics = []

    def make():
        config = make_config(database_url, tmp_path)
        clinics.append(open_clinic(config, clock, [("thermal", printer)]))
        return clinics[-1]

    first = make()
    apply_preset(first, "klasik")
    options.set_option(first, "kiosk.printers", "fake, browser", SYSTEM)
    yield make
    for one in clinics:
        one.close()


@pytest.fixture
def hall(opened):
    """The clinic in this process."""
    return opened()


def print_at(clinic, name="Kiosk depan", place="kiosk", zone="main"):
    """Print a new number's slip, and say how it fared and which number it was."""
    ticket = take(clinic, "A")[0]
    order = PrintOrder(ticket.code, "id", place, name, zone)
    return providers.print_slip(clinic, order).state, ticket.number


def told(clinic, zone="main"):
    found = printer_alerts.alerts(clinic, zone)
    return [(one.at.place_name, one.state, one.detail, one.number) for one in found]


def test_staff_are_told_until_it_prints_again(hall, printer, clock):
    """What is the matter, of which slip and since when: one alert however many slips it meets."""
    printer.outcome = NO_PAPER
    began = clock.now()
    assert print_at(hall) == ("by_page", "A-001")
    clock.advance(timedelta(minutes=5))
    print_at(hall)
    assert told(hall) == [("Kiosk depan", "failed", "kertas habis", "A-002")]
    assert printer_alerts.alerts(hall)[0].since - began < timedelta(minutes=1)

    printer.outcome = Printed("failed", "tutup printer terbuka")
    print_at(hall)
    assert told(hall) == [("Kiosk depan", "failed", "tutup printer terbuka", "A-003")]
    assert printer_alerts.alerts(hall)[0].since - began > timedelta(minutes=4)

    printer.outcome = WELL
    assert print_at(hall)[0] == "printed"
    assert told(hall) == []


def test_each_place_has_its_own(hall, printer):
    """A slip at the counter tells nothing of the kiosk's printer."""
    printer.outcome = NO_PAPER
    print_at(hall)
    print_at(hall, "1", "counter")
    printer.outcome = WELL
    print_at(hall, "1", "counter")

    assert [name for name, *_ in told(hall)] == ["Kiosk depan"]


@pytest.mark.parametrize("result", [Printed("unsure"), Printed("printed", "kertas hampir habis")])
def test_what_is_not_quite_well_is_told_too(hall, printer, result):
    """A slip that may not have come out, and one that came out with something to see to."""
    printer.outcome = result
    assert print_at(hall)[0] == result.state
    assert told(hall) == [("Kiosk depan", result.state, result.detail, "A-001")]


def test_a_printer_that_nobody_brings(hall):
    """Its plugin was uninstalled, say: the next one prints, and staff know why."""
    options.set_option(hall, "kiosk.printers", "gone, fake", SYSTEM)
    assert print_at(hall)[0] == "printed"
    (alert,) = printer_alerts.alerts(hall)
    assert (alert.at.printer, alert.plugin, alert.state) == ("gone", "", "failed")


def test_every_process_and_the_next_start_know(opened, printer):
    """One process heard of it; the other ends it, and the first tells it no more."""
    kiosks, counters = opened(), opened()
    printer.outcome = NO_PAPER
    print_at(kiosks)
    counters.look()
    assert told(counters) == told(kiosks) != []
    assert told(opened()) != []

    printer.outcome = WELL
    print_at(counters)
    kiosks.look()
    assert told(kiosks) == told(counters) == []


def test_who_is_told(hall, printer, clock):
    """The hall of the printer, while the clinic uses it, and a day at most."""
    printer.outcome = NO_PAPER
    print_at(hall, zone="timur")
    print_at(hall, zone="")
    assert [len(told(hall, zone)) for zone in ("main", "timur", "barat", None)] == [1, 1, 0, 2]

    options.set_option(hall, "kiosk.printers", "browser", SYSTEM)
    assert told(hall) == []
    options.set_option(hall, "kiosk.printers", "fake", SYSTEM)
    clock.advance(timedelta(hours=23))
    assert len(told(hall)) == 1
    clock.advance(timedelta(hours=2))
    assert told(hall) == []
    day.confirm_clock(hall, STAFF)
    print_at(hall, zone="timur")
    assert hall.db.read(lambda tx: len(printer_alerts.rows.load(tx))) == 1


def test_somebody_saw_to_it(hall, printer):
    """The alert goes at once and comes back with the next slip that fails; who did it is kept."""
    printer.outcome = NO_PAPER
    print_at(hall)
    (alert,) = printer_alerts.alerts(hall)
    printer_alerts.dismiss(hall, alert.at, STAFF)
    printer_alerts.dismiss(hall, alert.at, STAFF)
    assert told(hall) == []
    rows = hall.db.read(
        lambda tx: tx.conn.execute(
            select(audit.c.user_id, audit.c.record_id).where(
                audit.c.action == "dismiss_printer_alert"
            )
        ).all()
    )
    assert rows == [(STAFF.id, "fake kiosk Kiosk depan")]
    print_at(hall)
    assert len(told(hall)) == 1


def test_a_slip_that_comes_out_asks_and_writes_nothing(hall):
    """What is known is remembered: only a printer in trouble costs a transaction."""
    at = PrinterPlace("main", "kiosk", "Kiosk depan", "fake")
    printer_alerts.note(hall, at, "thermal", WELL, "A-001")
    printer_alerts.alerts(hall, "main")
    statements = []
    event.listen(hall.db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    for _ in range(20):
        printer_alerts.note(hall, at, "thermal", WELL, "A-001")
        printer_alerts.alerts(hall, "main")

    assert statements == []


def test_a_database_that_is_away_costs_no_slip(hall, printer, monkeypatch, caplog):
    """It fared as it did; that staff are not told stands in the log."""

    def away(work):
        raise StorageUnavailable("gone")

    printer.outcome = NO_PAPER
    ticket = take(hall, "A")[0]
    monkeypatch.setattr(hall.db, "write", away)
    order = PrintOrder(ticket.code, "id", "kiosk", "Kiosk depan", "main")
    assert providers.print_slip(hall, order).state == "by_page"
    assert "was not stored" in caplog.text


@pytest.mark.parametrize("kind", ["counter", "day"])
def test_the_screens_of_staff_show_it(hall, printer, kind):
    """Live, in the reader's language as far as the words are known; names are escaped."""
    topics = LiveTopics(hall, Rendering(hall))
    assert PRINTERS_TOPIC in topics.depends_on(f"{kind}-main")
    for other in ("display", "kiosk", "phone", "speech"):
        assert PRINTERS_TOPIC not in topics.depends_on(f"{other}-main")
    assert "Printer" not in topics.render(f"{kind}-main")
    printer.outcome = NO_PAPER
    print_at(hall, "main")
    print_at(hall, "<b>")
    printer.outcome = Printed("unsure")
    print_at(hall, "2", "counter")

    shown = topics.render(f"{kind}-main")
    assert "Printer kiosk: kertas habis." in shown
    assert "Printer &lt;b&gt;: kertas habis." in shown
    assert "Printer loket 2: tidak menjawab." in shown
    assert "Sejak pukul 07:30" in shown
    english = topics.render(f"{kind}-main.en")
    assert "Printer of counter 2: does not answer." in english
