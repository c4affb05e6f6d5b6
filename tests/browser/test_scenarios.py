"""The acceptance scenarios 1 to 8, as a tester does them."""

import re
import time

import pytest
from playwright.sync_api import expect

from browser.hall import Hall, called, take

pytestmark = pytest.mark.browser


def test_1_regular_ticket(hall: Hall):
    """Three questions, A-001 with date, unit and QR and no personal data; the counter sees it."""
    hall.at("07:00")
    desk = hall.counter(1, "siti")
    kiosk = hall.kiosk()
    printed = []
    kiosk.expose_function("noted", lambda: printed.append(kiosk.url))
    kiosk.add_init_script("window.print = () => window.noted()")
    kiosk.reload()

    assert take(kiosk, "umum", "umum", "umum") == "A-001"

    body = kiosk.locator("main")
    expect(body).to_contain_text("Poli Umum")
    expect(body).to_contain_text(hall.day()[:4])
    expect(body).to_contain_text("07:00 WIB")
    expect(kiosk.locator(".k-qr-code svg")).to_be_visible()
    deadline = time.monotonic() + 30
    while not printed and time.monotonic() < deadline:
        kiosk.wait_for_timeout(50)
    kiosk.wait_for_timeout(500)
    assert len(printed) == 1
    expect(desk.locator("#lk-lane-general")).to_contain_text("A-001")


def test_2_priority_ticket(hall: Hall):
    """P-001 without its reason on slip and TV; a star and the word PRIORITAS."""
    tv = hall.tv()
    kiosk = hall.kiosk()

    assert take(kiosk, "lansia", "bpjs", "gigi") == "P-001"

    for page in (kiosk, tv):
        expect(page.locator("body")).to_contain_text("P-001")
        expect(page.locator("body")).to_contain_text("PRIORITAS")
        assert re.search(r"lansia|60 tahun", page.content(), re.IGNORECASE) is None
    expect(tv.locator("#tv-next-priority")).to_contain_text("P-001")
    expect(tv.locator("#tv-next-priority h2 svg")).to_be_visible()


def test_3_call(hall: Hall):
    """F2, and the TV shows the number and where to go; how soon: bench/call_to_pixel.py."""
    hall.arrive("general")
    tv = hall.tv()
    desk = hall.counter(1, "siti")
    expect(tv.locator("#tv-counter-1")).to_have_attribute("data-state", "idle")

    desk.keyboard.press("F2")

    expect(tv.locator("#tv-counter-1")).to_contain_text("A-001")
    expect(tv.locator("#tv-counter-1")).to_contain_text("Loket 1")
    expect(tv.locator("#tv-counter-1")).to_have_attribute("data-state", "called")
    assert called(desk) == "A-001"
    assert [one["number"] for one in hall.announced()] == ["A-001"]
    assert hall.announced()[0]["text"] == (
        "Nomor antrean, A, nol nol satu. Silakan menuju loket satu."
    )


def test_4_ratio(hall: Hall):
    """P P A P P A A over two counters."""
    hall.arrive("priority", 4)
    hall.arrive("general", 3)
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    order = []
    for index in range(7):
        desk = desks[index % 2]
        desk.keyboard.press("F2")
        expect(desk.locator("#lk-desk [data-key=F6]")).to_be_enabled()
        order.append(called(desk))
        desk.keyboard.press("F6")
        expect(desk.locator("#lk-desk [data-key=End]")).to_be_enabled()
    assert order == ["P-001", "P-002", "A-001", "P-003", "P-004", "A-002", "A-003"]


def test_5_only_one_lane(hall: Hall):
    """After three general calls a priority patient is next."""
    hall.arrive("general", 4)
    desk = hall.counter(1, "siti")
    for number in ("A-001", "A-002", "A-003"):
        desk.keyboard.press("F2")
        expect(desk.locator("#lk-now")).to_have_text(number)
        desk.keyboard.press("F6")
        expect(desk.locator("#lk-desk [data-key=End]")).to_be_enabled()
    hall.arrive("priority")
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text("P-001")


def test_6_two_counters_at_once(hall: Hall):
    """One ticket, two counters: one gets it, the other is told that nobody waits."""
    hall.arrive("general")
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    for desk in desks:
        desk.evaluate(
            """() => setTimeout(() => document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "F2", bubbles: true, cancelable: true})), 300)"""
        )
    deadline = time.monotonic() + 30
    winners: list[str] = []
    losers: list[str] = []
    while time.monotonic() < deadline and not (winners and losers):
        texts = [desk.locator("#lk-desk").inner_text() for desk in desks]
        winners = [text for text in texts if "Sedang dipanggil" in text]
        losers = [text for text in texts if "Tidak ada antrean" in text]
        desks[0].wait_for_timeout(100)
    assert len(winners) == len(losers) == 1
    assert "A-001" in winners[0]


def test_7_recall_and_skip(hall: Hall):
    """*Lewati* only after the third call; recalls 20 s apart; then the counter is free."""
    hall.arrive("general", 2)
    desk = hall.counter(1, "siti")
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text("A-001")
    skip, recall = desk.locator("[data-key=F4]"), desk.locator("[data-key=F3]")
    for call in (2, 3):
        expect(skip).to_be_disabled()
        expect(recall).to_be_disabled()
        hall.advance(21)
        expect(recall).to_be_enabled()
        desk.keyboard.press("F3")
        expect(desk.locator("#lk-desk")).to_contain_text(f"panggilan {call} dari 3")
    expect(skip).to_be_enabled()
    desk.keyboard.press("F4")
    expect(desk.locator("#lk-idle")).to_be_visible()
    expect(desk.locator(".lk-list")).to_contain_text("A-001")


def test_8_reinsert(hall: Hall):
    """*Hadir kembali* puts A-001 behind the next three of its lane."""
    hall.arrive("general", 7)
    desk = hall.counter(1, "siti")
    desk.keyboard.press("F2")
    expect(desk.locator("#lk-now")).to_have_text("A-001")
    for _ in range(2):
        hall.advance(21)
        expect(desk.locator("[data-key=F3]")).to_be_enabled()
        desk.keyboard.press("F3")
        expect(desk.locator("[data-key=F3]")).to_be_disabled()
    desk.keyboard.press("F4")
    expect(desk.locator("#lk-idle")).to_be_visible()
    desk.get_by_role("button", name=re.compile("Hadir kembali")).click()
    expect(desk.locator("#lk-idle")).to_contain_text("7 pasien menunggu")
    expect(desk.locator("#lk-lane-general")).to_contain_text("A-001")
    order = []
    for _ in range(4):
        before = desk.locator("#lk-desk").inner_text()
        desk.keyboard.press("F2")
        desk.wait_for_function(
            "before => document.querySelector('#lk-desk').innerText !== before", arg=before
        )
        expect(desk.locator("[data-key=F6]")).to_be_enabled()
        order.append(called(desk))
        desk.keyboard.press("F6")
        expect(desk.locator("[data-key=End]")).to_be_enabled()
    assert order == ["A-002", "A-003", "A-004", "A-001"]


def test_emergency(hall: Hall):
    """One tap shows the way to UGD and alerts every counter until *Sudah di UGD*."""
    desks = [hall.counter(1, "siti"), hall.counter(2, "budi")]
    tv = hall.tv()
    kiosk = hall.kiosk()
    kiosk.get_by_role("button", name=re.compile("DARURAT")).click()
    expect(kiosk.locator("body")).to_contain_text("UGD")
    expect(kiosk.locator("body")).to_contain_text("E-001")
    for desk in desks:
        expect(desk.locator(".lk-alert-emergency")).to_contain_text("E-001")
    assert "E-001" not in tv.content()
    desks[0].get_by_role("button", name="Sudah di UGD").click()
    for desk in desks:
        expect(desk.locator(".lk-alert-emergency")).to_have_count(0)


def test_keys_are_taken_from_the_browser(hall: Hall):
    """Keys that Chromium uses itself are prevented, whether or not their button is there."""
    desk = hall.counter(1, "siti")
    for key in ("F2", "F3", "F4", "F6", "F10"):
        prevented = desk.evaluate(
            """key => { const event = new KeyboardEvent("keydown",
                {key, bubbles: true, cancelable: true});
                document.dispatchEvent(event); return event.defaultPrevented; }""",
            key,
        )
        assert prevented, key
