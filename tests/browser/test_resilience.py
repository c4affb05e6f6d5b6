"""No server, no answer, two taps, the back button: pages say so, recover, and nobody gets two."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, Route, expect

from browser.hall import Hall, called, take
from browser.machine import Machine, after_a_beat, lose_answers, on_time, said_at, watched
from support.chromium import Pages
from support.server import Server, running

pytestmark = pytest.mark.browser

WITHIN_MS = 5000
"""What the clinic was promised: said within 5 s, well again within 5 s of the server's return."""
UNIT_TILES = ".k-tiles-units button"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for the tests that let its server live; its line goes on from test to test."""
    folder = tmp_path_factory.mktemp("resilience")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        yield started


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A demo of the test's own, whose server may be taken away."""
    made = Machine(tmp_path)
    made.start()
    yield made
    made.close()


def slips(url: str) -> list[str]:
    """Return every number that was issued today, in order."""
    found = httpx.get(f"{url}/demo/printed", timeout=10).json()["printed"]
    return [slip["number"] for slip in reversed(found)]


def codes(url: str) -> list[str]:
    """Return the codes of today's tickets, in order."""
    found = httpx.get(f"{url}/demo/printed", timeout=10).json()["printed"]
    return [slip["code"] for slip in reversed(found)]


def to_units(page: Page) -> None:
    """Answer the kiosk's questions up to the last one."""
    page.locator('a[href*="/kiosk/new"]').first.click()
    page.get_by_role("link", name=re.compile("Antrean umum")).click()
    page.locator('a[href*="payment=umum"]').click()
    expect(page.locator(UNIT_TILES)).to_have_count(4)


def shown_number(page: Page) -> str:
    """Wait for the kiosk's number and return it."""
    # Looked at again and again: whoever taps twice ends the first of two ways there.
    expect(page).to_have_url(re.compile("/kiosk/ticket/[^/]+$"))
    return page.locator(".k-result-number").inner_text()


def counting_prints(page: Page) -> list[str]:
    """Note where a page prints; a print dialog never opens."""
    printed: list[str] = []
    page.expose_function("notePrint", lambda: printed.append(page.url))
    page.add_init_script("window.print = () => window.notePrint()")
    page.reload()
    return printed


def prints(page: Page, printed: list[str], count: int) -> int:
    """Wait until so many prints were noted, and a moment for one too many; returns how many."""
    deadline = time.monotonic() + 30
    while len(printed) < count and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)
    return len(printed)


# --- no server -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hangs", "dies"])
def test_pages_say_that_the_server_is_away_and_recover(machine: Machine, pages: Pages, how: str):
    """Kiosk, TV, counter and phone: within 5 s both times, and nobody has to touch them."""
    hall = Hall(machine.server, pages)
    hall.arrive("general", 3)
    desk = hall.counter(1, "siti")
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text("A-001")
    phone_url = f"{machine.server.url}/t/{codes(machine.server.url)[2]}"
    open_pages = {
        "kiosk": hall.kiosk(),
        "tv": hall.tv(),
        "counter": desk,
        "phone": pages.open(phone_url, width=360, height=740),
    }
    for page in open_pages.values():
        watched(page)
    # What comes by the stream was there: the streams are open.
    expect(open_pages["phone"].locator("[data-live-mark]")).to_be_visible()
    expect(open_pages["tv"].locator("#tv-counter-1")).to_contain_text("A-001")
    after_a_beat(open_pages["tv"])

    gone = machine.stop_time() if how == "hangs" else machine.kill()
    said = {name: said_at(page, lost=True) for name, page in open_pages.items()}
    took = {name: round(on_time(page, gone, said[name])) for name, page in open_pages.items()}
    print(f"said after {took}")
    assert all(round(at - gone) >= 0 for at in said.values()), said
    assert all(after <= WITHIN_MS for after in took.values()), took
    # The last state is still there, under the mark.
    expect(open_pages["tv"].locator("#tv-counter-1")).to_contain_text("A-001")
    expect(open_pages["counter"].locator("#lk-now")).to_have_text("A-001")
    expect(open_pages["phone"].locator("[data-ahead]")).to_have_text("1")
    expect(open_pages["kiosk"].locator(".k-lost")).to_contain_text("Silakan ke petugas")
    assert open_pages["kiosk"].locator("#page").get_attribute("inert") is not None

    back = machine.go_on() if how == "hangs" else machine.restart(desk)
    well = {
        name: round(on_time(page, back, said_at(page, lost=False)))
        for name, page in open_pages.items()
    }
    print(f"well after {well}")
    assert all(after <= WITHIN_MS for after in well.values()), well
    # They did not only hide the mark: what happens now arrives.
    hall.arrive("general", 1)
    expect(open_pages["tv"].locator("#tv-next-general")).to_contain_text("A-004")
    expect(desk.locator("#lk-lane-general")).to_contain_text("A-004")
    desk.keyboard.press("F6")
    expect(open_pages["tv"].locator("#tv-counter-1")).to_have_attribute("data-state", "serving")
    expect(desk.locator("[data-key=End]")).to_be_enabled()
    desk.keyboard.press("F2")
    expect(open_pages["phone"].locator("[data-ahead]")).to_have_text("0")
    assert open_pages["kiosk"].locator("#page").get_attribute("inert") is None
    assert take(open_pages["kiosk"], "umum", "umum", "umum") == "A-005"


def test_a_touch_without_server_is_answered_after_its_return(machine: Machine, pages: Pages):
    """The overlay within 5 s of the touch, never the browser's error page; then what was asked."""
    hall = Hall(machine.server, pages)
    kiosk = watched(hall.kiosk())
    machine.kill()
    kiosk.evaluate("window.touched = Date.now()")
    kiosk.locator('a[href*="/kiosk/new"]').first.click()

    touched = kiosk.evaluate("window.touched")
    assert on_time(kiosk, touched, said_at(kiosk, lost=True)) <= WITHIN_MS
    expect(kiosk.locator(".k-lost")).to_be_visible()

    back = machine.restart(kiosk)
    assert on_time(kiosk, back, said_at(kiosk, lost=False)) <= WITHIN_MS
    kiosk.wait_for_url("**/kiosk/category*")
    expect(kiosk.locator("h1")).to_be_focused()


def test_a_key_without_server_is_not_swallowed(machine: Machine, pages: Pages):
    """The counter page says at once that nothing is certain, and works on after the return."""
    hall = Hall(machine.server, pages)
    hall.arrive("general")
    desk = hall.counter(1, "siti")
    machine.kill()
    desk.keyboard.press("F2")

    expect(desk.locator("#lk-error")).to_contain_text("Server tidak menjawab")
    assert desk.evaluate("document.activeElement.id") == "lk-error"

    machine.restart(desk)
    expect(desk.locator(".banner[data-lost]")).to_be_hidden()
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text("A-001")
    expect(desk.locator("#lk-error")).to_have_count(0)


def test_an_older_answer_never_covers_a_newer_one(hall: Hall):
    """What the counter page asked before F2 and got after it is no longer shown."""
    desk = hall.counter(1, "siti")
    asked: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if asked:
            route.fallback()
        else:
            asked.append(route)

    desk.route("**/loket/current", hold_the_first)
    hall.arrive("general")
    deadline = time.monotonic() + 30
    while not asked and time.monotonic() < deadline:
        desk.wait_for_timeout(20)
    old = asked[0].fetch()
    assert "lk-idle" in old.text()

    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_be_visible()
    asked[0].fulfill(response=old)
    desk.wait_for_timeout(500)

    assert desk.locator("#lk-now").is_visible()
    desk.locator('form[action="/loket/close"] button').click()
    expect(desk.locator("body[data-counter]")).to_have_count(0)


def test_the_ratio_goes_on_after_a_restart(machine: Machine, pages: Pages):
    """P P A, then the server dies; P P A A follow, from the very same counter pages."""
    hall = Hall(machine.server, pages)
    hall.arrive("priority", 4)
    hall.arrive("general", 3)
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    order = []
    for index in range(7):
        if index == 3:
            machine.kill()
            machine.restart(desks[0])
        desk = desks[index % 2]
        desk.keyboard.press("F2")
        expect(desk.locator("#lk-desk [data-key=F6]")).to_be_enabled()
        order.append(called(desk))
        desk.keyboard.press("F6")
        expect(desk.locator("#lk-desk [data-key=End]")).to_be_enabled()
    assert order == ["P-001", "P-002", "A-001", "P-003", "P-004", "A-002", "A-003"]


def test_server_killed_before_its_answer_arrived(machine: Machine, pages: Pages):
    """The number was given, then the server died: after its return the kiosk shows that number."""
    hall = Hall(machine.server, pages)
    kiosk = watched(hall.kiosk())
    printed = counting_prints(kiosk)
    to_units(kiosk)
    asked = []

    def lose(route: Route) -> None:
        asked.append(route.request.post_data)
        if len(asked) > 1:
            route.fallback()
            return
        route.fetch(max_redirects=0)
        machine.kill()
        route.abort("connectionreset")

    kiosk.route("**/kiosk/tickets", lose)
    kiosk.locator(UNIT_TILES).first.click()
    said_at(kiosk, lost=True)
    expect(kiosk.locator(".k-lost")).to_be_visible()
    expect(kiosk.locator(".k-result-number")).to_have_count(0)

    machine.restart(kiosk)
    assert shown_number(kiosk) == "A-001"
    assert len(asked) >= 2
    assert len(set(asked)) == 1
    assert slips(machine.server.url) == ["A-001"]
    assert prints(kiosk, printed, 1) == 1


def test_a_hanging_server_that_gets_every_try_at_once_gives_one_ticket(
    machine: Machine, pages: Pages
):
    """Each try waited in the server's queue; when it goes on, all of them are answered."""
    hall = Hall(machine.server, pages)
    kiosk = watched(hall.kiosk())
    to_units(kiosk)
    asked = []
    kiosk.on("request", lambda request: asked.append(request.url))
    machine.stop_time()
    kiosk.locator(UNIT_TILES).first.click()
    said_at(kiosk, lost=True)
    deadline = time.monotonic() + 60
    while sum("/kiosk/tickets" in url for url in asked) < 2 and time.monotonic() < deadline:
        kiosk.wait_for_timeout(50)

    machine.go_on()

    assert shown_number(kiosk) == "A-001"
    kiosk.wait_for_timeout(500)
    assert slips(machine.server.url) == ["A-001"]
    assert sum("/kiosk/tickets" in url for url in asked) >= 2


# --- no answer, two taps, back ----------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_answer_gives_one_ticket(hall: Hall, lost: int):
    """The server gave a number and the kiosk never heard of it: asked again, the same number."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    to_units(kiosk)
    sent = lose_answers(kiosk, "**/kiosk/tickets", lost)
    kiosk.locator(UNIT_TILES).first.click()

    number = shown_number(kiosk)

    assert slips(hall.server.url) == [*before, number]
    assert len(sent) == lost + 1
    assert len(set(sent)) == 1
    expect(kiosk.locator(".k-lost")).to_be_hidden()
    expect(kiosk.locator(".k-note")).to_have_count(0)


def test_a_lost_emergency_gives_one_alert(hall: Hall):
    """DARURAT without an answer: one E ticket, and the way is shown."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    lose_answers(kiosk, "**/kiosk/emergency")
    kiosk.get_by_role("button", name=re.compile("DARURAT")).click()

    expect(kiosk.locator("h1")).to_have_text("LANGSUNG KE UGD")
    new = slips(hall.server.url)[len(before) :]
    assert [number[0] for number in new] == ["E"]


@pytest.mark.parametrize("pause_ms", [0, 120])
def test_a_double_tap_gives_one_ticket(hall: Hall, pause_ms: int):
    """Two taps on a unit, at once or as a trembling finger does them."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    to_units(kiosk)
    kiosk.evaluate(
        """([selector, pause]) => {
            const tile = document.querySelector(selector);
            tile.click();
            if (pause) setTimeout(() => tile.click(), pause); else tile.click();
        }""",
        [UNIT_TILES, pause_ms],
    )

    number = shown_number(kiosk)

    kiosk.wait_for_timeout(400)
    assert slips(hall.server.url) == [*before, number]


def test_a_double_tap_on_two_units_gives_one_ticket(hall: Hall):
    """The finger slid: one number, whichever of the two was first."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    to_units(kiosk)
    kiosk.evaluate(
        """selector => {
            const tiles = document.querySelectorAll(selector);
            tiles[0].click();
            tiles[1].click();
        }""",
        UNIT_TILES,
    )

    number = shown_number(kiosk)

    kiosk.wait_for_timeout(400)
    assert slips(hall.server.url) == [*before, number]


def test_a_double_tap_of_plain_forms_gives_one_ticket(hall: Hall):
    """Without the page's script the key alone holds two requests together."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk(java_script_enabled=False)
    to_units(kiosk)
    kiosk.locator(UNIT_TILES).first.dblclick()

    number = shown_number(kiosk)

    assert slips(hall.server.url) == [*before, number]


def test_back_and_the_same_choice_gives_the_same_ticket(hall: Hall):
    """The back button leads to the question, not to another number; nothing prints again."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    printed = counting_prints(kiosk)
    to_units(kiosk)
    kiosk.locator(UNIT_TILES).first.click()
    number = shown_number(kiosk)
    kiosk.go_back()
    kiosk.locator(UNIT_TILES).first.click()

    assert shown_number(kiosk) == number
    assert slips(hall.server.url) == [*before, number]
    assert prints(kiosk, printed, 1) == 1


def test_back_and_another_choice_is_told_of_the_first(hall: Hall):
    """*Anda sudah mengambil nomor*, with that number; a further one has to be asked for."""
    before = slips(hall.server.url)
    kiosk = hall.kiosk()
    counting_prints(kiosk)  # Chromium goes nowhere while it prints
    to_units(kiosk)
    kiosk.locator(UNIT_TILES).first.click()
    number = shown_number(kiosk)
    kiosk.go_back()
    kiosk.locator(UNIT_TILES).nth(1).click()

    expect(kiosk.locator(".k-note")).to_contain_text(f"Anda sudah mengambil nomor {number}")
    assert shown_number(kiosk) == number
    assert slips(hall.server.url) == [*before, number]
    kiosk.get_by_role("link", name="Ambil nomor lagi").click()
    kiosk.get_by_role("link", name=re.compile("Antrean umum")).click()
    kiosk.locator('a[href*="payment=umum"]').click()
    kiosk.locator(UNIT_TILES).nth(1).click()
    assert shown_number(kiosk) != number
    assert len(slips(hall.server.url)) == len(before) + 2


def test_a_reload_of_the_number_prints_once(hall: Hall):
    """The slip is printed when the number comes; a reload shows it and leaves the printer alone."""
    kiosk = hall.kiosk()
    printed = counting_prints(kiosk)
    number = take(kiosk, "umum", "umum", "umum")
    assert prints(kiosk, printed, 1) == 1
    for _ in range(2):
        kiosk.reload()
        expect(kiosk.locator(".k-result-number")).to_have_text(number)
        assert prints(kiosk, printed, 1) == 1
    kiosk.get_by_role("button", name="Cetak lagi").click()
    assert prints(kiosk, printed, 2) == 2
