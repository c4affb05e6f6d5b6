"""Scenario 23, with the plugin `escpos_printer` and its simulated printer, as a demo has them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from browser.hall import Hall, leave, take
from support.server import Server, running

pytestmark = pytest.mark.browser

SETTLED_S = 60
"""Longer than a printer may take that never answers."""
SWITCHES = ("is_cover_open", "is_silent", "is_deaf", "refuses", "is_offline")


class Printer:
    """The simulated printer of a demo, by its page."""

    def __init__(self, server: Server) -> None:
        self._url = server.told["simulators"]["printer"]

    def switch(self, **faults: Any) -> None:
        """Let something be the matter with it, or nothing any more."""
        httpx.post(f"{self._url}/faults", json=faults, timeout=30).raise_for_status()

    def slips(self) -> list[str]:
        """Return the text of each slip that came out, oldest first."""
        told = httpx.get(f"{self._url}/state", timeout=30).json()["slips"]
        return [slip["text"] for slip in reversed(told)]

    def count(self, code: str) -> int:
        """Return how many slips of a ticket came out; their numbers are pictures, codes are not."""
        return sum(code in text for text in self.slips())

    def wait_for(self, page: Page, code: str, count: int = 1) -> None:
        """Wait until so many slips of a ticket are out, and a moment for one too many."""
        until = time.monotonic() + SETTLED_S
        while self.count(code) < count and time.monotonic() < until:
            page.wait_for_timeout(100)
        page.wait_for_timeout(500)
        assert self.count(code) == count, self.slips()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A new demo as it comes: both plugins, the simulated printer."""
    folder = tmp_path_factory.mktemp("paper")
    with running("demo", "--port", 0, "--json", "--dir", folder / "d", folder=folder) as started:
        yield started


@pytest.fixture
def printer(server: Server) -> Iterator[Printer]:
    """Its printer, well before and after."""
    found = Printer(server)
    yield found
    found.switch(paper="ok", cut_after=0, **dict.fromkeys(SWITCHES, False))


def code_of(kiosk: Page) -> str:
    """Return the code of the number that a kiosk shows."""
    return kiosk.url.partition("?")[0].rpartition("/")[2]


def test_23_printer_out_of_paper(hall: Hall, printer: Printer):
    """The number is valid and stays; every counter is told; the same number is printed again."""
    desk, other = hall.counter(1, "siti"), hall.counter(2, "budi")
    kiosk = hall.kiosk()
    take(kiosk, "umum", "umum", "umum")
    printer.wait_for(kiosk, code_of(kiosk))
    expect(kiosk.get_by_text("Apakah kertas sudah keluar?")).to_be_hidden()
    kiosk.get_by_role("link", name="Selesai").click()

    printer.switch(paper="end")
    number, code = take(kiosk, "lansia", "bpjs", "gigi"), code_of(kiosk)
    expect(kiosk.get_by_role("alert").filter(has_text="foto nomor ini")).to_be_visible(
        timeout=SETTLED_S * 1000
    )
    assert int(kiosk.locator("[data-seconds]").first.inner_text()) > 30
    expect(kiosk.locator("h1")).to_contain_text(number)
    expect(kiosk.locator(".k-qr-code svg")).to_be_visible()
    for page in (desk, other):
        expect(page.get_by_text("Printer kiosk: kertas habis.")).to_be_visible()
        expect(page.locator("#lk-lane-priority")).to_contain_text(number)

    printer.switch(paper="ok")
    with desk.context.expect_page() as opened:
        desk.get_by_role("link", name=f"Cetak ulang {number}").click()
    expect(opened.value.locator("h1")).to_contain_text(number)
    printer.wait_for(desk, code)
    assert "lansia" not in printer.slips()[-1].lower()

    kiosk.get_by_role("link", name="Selesai").click()
    take(kiosk, "umum", "umum", "umum")
    printer.wait_for(kiosk, code_of(kiosk))
    for page in (desk, other):
        expect(page.get_by_text("Printer kiosk")).to_have_count(0)
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text(number)
    leave(desk, other)


@pytest.mark.parametrize(
    ("fault", "well", "count"),
    [
        ({"refuses": True}, {"refuses": False}, 0),
        ({"is_cover_open": True}, {"is_cover_open": False}, 0),
        ({"is_silent": True}, {"is_silent": False}, 1),
        ({"cut_after": 2000}, {"cut_after": 0}, 0),
        # Its network kept what it did not read.
        ({"is_deaf": True}, {"is_deaf": False}, 1),
    ],
    ids=["off", "cover open", "silent", "cut in the job", "reads nothing"],
)
def test_whatever_the_printer_does_the_number_stays(
    hall: Hall, printer: Printer, fault, well, count
):
    """Staff are told, nothing comes out twice by itself, and it prints again once it is well."""
    desk = hall.counter(1, "siti")
    kiosk = hall.kiosk()
    printer.switch(**fault)
    number, code = take(kiosk, "umum", "umum", "umum"), code_of(kiosk)
    question = kiosk.get_by_role("alert").filter(has_text="Apakah kertas sudah keluar?")
    expect(question).to_be_visible(timeout=SETTLED_S * 1000)
    expect(desk.locator("[data-printer]")).to_contain_text("Printer kiosk")
    kiosk.reload()
    expect(question).to_be_visible(timeout=SETTLED_S * 1000)
    expect(kiosk.locator("h1")).to_contain_text(number)
    expect(kiosk.locator(".k-qr-code svg")).to_be_visible()
    printer.switch(**well)
    printer.wait_for(kiosk, code, count)

    kiosk.get_by_role("button", name="Cetak lagi").click()
    printer.wait_for(kiosk, code, count + 1)
    expect(question).to_be_hidden()
    expect(desk.locator("[data-printer]")).to_have_count(0)
    leave(desk)


def test_two_kiosks_at_once(hall: Hall, printer: Printer):
    """One printer, two kiosks: each number comes out once, whole, one after the other."""
    kiosks = [hall.kiosk(), hall.kiosk()]
    for kiosk in kiosks:
        take(kiosk, "umum", "umum", "umum")
    for kiosk in kiosks:
        printer.wait_for(kiosk, code_of(kiosk))
    # As fast as kiosks can be: the printer takes one job at a time.
    numbers = hall.arrive("general", 4)
    told = httpx.get(f"{hall.server.url}/demo/tickets?date={hall.day()}", timeout=30).json()[
        "tickets"
    ]
    codes = [one["code"] for one in told if one["number"] in numbers]
    with ThreadPoolExecutor(len(codes)) as pool:
        states = list(pool.map(lambda code: print_slip(hall, code), codes))
    assert states == ["printed"] * len(numbers)
    for code in codes:
        printer.wait_for(kiosks[0], code)


def print_slip(hall: Hall, code: str) -> str:
    """Ask for a slip as a kiosk's page does; returns how it fared."""
    answer = httpx.post(
        f"{hall.server.url}/kiosk/ticket/{code}/print",
        data={"job": f"first-print-{code}"},
        headers={"sec-fetch-site": "same-origin"},
        timeout=30,
    )
    return str(answer.json()["state"])
