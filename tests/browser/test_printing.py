"""The paper: printed once, whatever happens to the page; where it fails, patient and staff know."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from browser.axe import violations
from browser.hall import Hall, leave, take
from support.chromium import Pages
from support.plugin_demo import demo_with_plugin
from support.server import Server

pytestmark = pytest.mark.browser

CODE = """
import time
from pathlib import Path

from puskesmas_queue.api import Printed, Printer, hookimpl

FOLDER = Path({folder!r})


def print_slip(slip, ctx):
    job = FOLDER / f"{{slip.job}}.job"
    if job.exists():
        return Printed(*job.read_text().split("|"))
    answer = (FOLDER / "answer").read_text()
    while (FOLDER / "busy").exists():
        time.sleep(0.02)
    with (FOLDER / "slips").open("a") as file:
        file.write(f"{{slip.ticket.number}} {{answer.partition('|')[0]}}\\n")
    job.write_text(answer)
    return Printed(*answer.split("|"))


@hookimpl
def register_printers():
    return [Printer("folder", print_slip)]
"""
"""A printer that is a folder; as all have to, it prints no job that it knows again."""


@dataclass
class Office:
    """The folder: what the printer answers, and what it was asked for."""

    folder: Path

    def answer(self, state: str, detail: str = "") -> None:
        """Let it fare so from now on."""
        (self.folder / "answer").write_text(f"{state}|{detail}")

    def slips(self) -> list[str]:
        """Return what was printed or tried, each with how it fared."""
        file = self.folder / "slips"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """The folder that is the printer."""
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, office: Office) -> Iterator[Server]:
    """One demo with that printer, and the browser as the last resort."""
    folder = tmp_path_factory.mktemp("printing")
    code = CODE.format(folder=str(office.folder))
    settings = [("kiosk.printers", "folder, browser")]
    with demo_with_plugin(folder, "office", code, settings) as started:
        yield started


@pytest.fixture(autouse=True)
def _new_paper(office: Office) -> None:
    """It prints, and nothing was printed yet."""
    office.answer("printed")
    for name in ("busy", "slips"):
        (office.folder / name).unlink(missing_ok=True)


def kiosk_that_counts(hall: Hall) -> tuple[Page, list[str]]:
    """Open a kiosk; the list holds what its browser printed."""
    kiosk, printed = hall.kiosk(), []
    kiosk.context.expose_function("noted", lambda: printed.append("browser"))
    kiosk.context.add_init_script("window.print = () => window.noted()")
    kiosk.reload()
    return kiosk, printed


def wait_for_slips(page: Page, office: Office, count: int) -> list[str]:
    """Wait until so many were asked for, and a moment for one too many."""
    wait_until(page, lambda: len(office.slips()) >= count)
    page.wait_for_timeout(300)
    return office.slips()


def a_while_later(page: Page, office: Office) -> list[str]:
    """Return what was asked for when any other slip should have come, if one did."""
    page.wait_for_timeout(3000)
    return office.slips()


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for something outside the page, which goes on meanwhile."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        page.wait_for_timeout(50)


def again(page: Page) -> None:
    """Tap "Cetak lagi", and once more with the same finger."""
    button = page.get_by_role("button", name="Cetak lagi")
    expect(button).to_be_enabled()
    button.dblclick()
    button.dispatch_event("click")


def test_one_slip_whatever_happens_to_the_page(hall: Hall, office: Office):
    """Loaded again, gone back to, opened in a second tab: one slip, and one more for a tap."""
    kiosk, printed = kiosk_that_counts(hall)
    number = take(kiosk, "umum", "umum", "umum")
    assert wait_for_slips(kiosk, office, 1) == [f"{number} printed"]
    address = kiosk.url

    kiosk.reload()
    kiosk.get_by_role("link", name="Selesai").click()
    kiosk.wait_for_url("**/kiosk")
    kiosk.go_back()
    kiosk.wait_for_url(address)
    second = kiosk.context.new_page()
    second.goto(address)
    expect(second.locator("h1")).to_contain_text(number)
    assert a_while_later(second, office) == [f"{number} printed"]

    again(second)
    assert wait_for_slips(second, office, 2) == [f"{number} printed"] * 2
    assert printed == []


def test_the_browser_is_the_last_resort(hall: Hall, office: Office, pages: Pages):
    """A printer without paper: the kiosk's browser prints, once; staff are told until it works."""
    desk = hall.counter(1, "siti")
    day = pages.open(f"{hall.server.url}/dashboard")
    login = hall.server.login("kepala")
    day.fill("[name=username]", login["username"])
    day.fill("[name=password]", login["password"])
    day.keyboard.press("Enter")
    expect(day.get_by_role("heading", name="Antrean hari ini")).to_be_visible()
    kiosk, printed = kiosk_that_counts(hall)
    office.answer("failed", "kertas habis")

    number = take(kiosk, "umum", "umum", "umum")
    expect(desk.get_by_text("Printer kiosk: kertas habis.")).to_be_visible()
    expect(day.get_by_text("Printer kiosk: kertas habis.")).to_be_visible()
    wait_until(kiosk, lambda: printed != [])
    kiosk.reload()
    kiosk.wait_for_timeout(500)
    assert printed == ["browser"]
    assert office.slips() == [f"{number} failed"]
    expect(kiosk.get_by_text("Apakah kertas sudah keluar?")).to_be_visible()
    assert int(kiosk.locator("[data-seconds]").first.inner_text()) > 30
    assert violations(desk) == []
    assert violations(day) == []

    office.answer("printed")
    again(kiosk)
    expect(desk.get_by_text("kertas habis")).to_have_count(0)
    expect(day.get_by_text("kertas habis")).to_have_count(0)
    assert printed == ["browser"]
    leave(desk)


def test_not_sure_asks_and_prints_nothing_by_itself(hall: Hall, office: Office):
    """The question stays for a while, and only a tap prints again."""
    desk = hall.counter(1, "siti")
    kiosk, printed = kiosk_that_counts(hall)
    office.answer("unsure", "printer tidak menjawab")
    number = take(kiosk, "lansia", "bpjs", "gigi")

    question = kiosk.get_by_role("alert").filter(has_text="Apakah kertas sudah keluar?")
    expect(question).to_be_visible()
    assert int(kiosk.locator("[data-seconds]").first.inner_text()) > 30
    assert violations(kiosk, enhanced=True) == []
    kiosk.reload()
    expect(question).to_be_visible()
    assert a_while_later(kiosk, office) == [f"{number} unsure"]

    office.answer("printed")
    again(kiosk)
    expect(question).to_be_hidden()
    assert wait_for_slips(kiosk, office, 2) == [f"{number} unsure", f"{number} printed"]
    assert printed == []
    leave(desk)


def test_a_printer_that_takes_its_time(hall: Hall, office: Office):
    """It says that it prints, counts no seconds meanwhile, and whoever has seen enough goes on."""
    kiosk, _ = kiosk_that_counts(hall)
    (office.folder / "busy").touch()
    take(kiosk, "umum", "umum", "umum")

    expect(kiosk.get_by_text("Sedang mencetak…")).to_be_visible()
    expect(kiosk.get_by_role("button", name="Cetak lagi")).to_be_disabled()
    expect(kiosk.locator("[data-countdown]")).to_be_hidden()
    assert violations(kiosk, enhanced=True) == []
    (office.folder / "busy").unlink()
    expect(kiosk.get_by_text("Sedang mencetak…")).to_be_hidden()
    expect(kiosk.locator("[data-countdown]")).to_be_visible()

    kiosk.get_by_role("link", name="Selesai").click()
    (office.folder / "busy").touch()
    take(kiosk, "umum", "umum", "umum")
    expect(kiosk.get_by_text("Sedang mencetak…")).to_be_visible()
    kiosk.get_by_role("link", name="Selesai").click()
    kiosk.wait_for_url("**/kiosk")
    (office.folder / "busy").unlink()
    assert [line.split()[1] for line in wait_for_slips(kiosk, office, 2)] == ["printed"] * 2


def test_an_answer_that_is_lost_is_asked_for_again(hall: Hall, office: Office):
    """The slip came out, the network took the answer: the same print is asked about again."""
    kiosk, printed = kiosk_that_counts(hall)
    asked: list[str] = []
    second: list[Route] = []

    def lose_the_first(route: Route) -> None:
        asked.append(route.request.post_data or "")
        if len(asked) == 1:
            route.fetch()
            route.abort()
        else:
            second.append(route)

    kiosk.route("**/print", lose_the_first)
    number = take(kiosk, "umum", "umum", "umum")

    wait_until(kiosk, lambda: second != [])
    expect(kiosk.get_by_text("Sedang mencetak…")).to_be_visible()
    second[0].continue_()
    expect(kiosk.get_by_text("Sedang mencetak…")).to_be_hidden()
    assert office.slips() == [f"{number} printed"]
    assert len(asked) == 2
    assert len(set(asked)) == 1
    expect(kiosk.get_by_text("Kertas tidak keluar")).to_be_hidden()
    assert printed == []


def test_nobody_prints(hall: Hall, office: Office, server: Server):
    """The number stays for 45 s and asks to be photographed."""
    kiosk = hall.kiosk()
    kiosk.route("**/print", lambda route: route.fulfill(json={"state": "failed"}))
    take(kiosk, "umum", "umum", "umum")
    note = kiosk.get_by_role("alert").filter(has_text="Foto nomor ini")
    expect(note).to_be_visible()
    expect(kiosk.get_by_text("Ambil kertas nomor Anda.").first).to_be_hidden()
    assert int(kiosk.locator("[data-seconds]").first.inner_text()) > 30
    assert violations(kiosk, enhanced=True) == []


def test_staff_print_the_slip_of_a_number_that_waits(hall: Hall, office: Office):
    """From its details; two clicks are two tabs and one slip, "Cetak lagi" is another."""
    desk = hall.counter(1, "siti")
    (number,) = hall.arrive("general", unit="gigi")
    desk.get_by_role("link", name=number).click()
    link = desk.get_by_role("link", name="Cetak karcis")
    tabs = []
    for _ in range(2):
        with desk.context.expect_page() as opened:
            link.click()
        tabs.append(opened.value)
    assert wait_for_slips(desk, office, 1) == [f"{number} printed"]
    expect(tabs[0].locator("h1")).to_contain_text(number)
    tabs[0].reload()
    tabs[1].reload()
    assert a_while_later(tabs[1], office) == [f"{number} printed"]

    office.answer("unsure")
    again(tabs[0])
    expect(tabs[0].get_by_text("Apakah kertas sudah keluar?")).to_be_visible()
    assert violations(tabs[0], enhanced=True) == []
    expect(desk.get_by_text("Printer loket 1: tidak menjawab.")).to_be_visible()
    desk.get_by_role("button", name="Sudah beres").click()
    expect(desk.get_by_text("Printer loket 1")).to_have_count(0)
    assert office.slips() == [f"{number} printed", f"{number} unsure"]
    leave(desk)
