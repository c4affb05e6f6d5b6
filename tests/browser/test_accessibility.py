"""axe on every page and state in both languages; what it cannot see is measured here."""

import json
import re
import time
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

from browser.axe import Audit
from browser.hall import Hall
from browser.machine import set_setting
from browser.walks import close_counter, kiosk_pages, log_in, open_counter, speak, still
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

LANGUAGES = ("id", "en")
KIOSKS = {"portrait": (1080, 1920), "landscape": (1920, 1080)}
TARGET_PX = 80
GAP_PX = 12
LIVE = "document.addEventListener('live:kiosk', () => { window.isLive = true; })"
RECTS = """() => [...document.querySelectorAll("#page a, #page button, dialog[open] button")]
    .filter(element => element.checkVisibility({visibilityProperty: true})
        && !element.classList.contains("skip-link")
        && (!document.querySelector("dialog[open]") || element.closest("dialog")))
    .map(element => {
        const {x, y, width, height} = element.getBoundingClientRect();
        return {name: element.innerText.trim().slice(0, 30), x, y, width, height};
    })"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demo for all tests here; each begins a day of its own. Numbers stay to be looked at."""
    folder = tmp_path_factory.mktemp("axe")
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder / "d", folder=folder
    ) as started:
        set_setting(started, "kiosk.clear_after_s", "120")
        yield started


@pytest.fixture(autouse=True)
def _new_day(hall: Hall) -> None:
    """Nobody stands in the line, and it is 07:30."""
    hall.advance(24 * 3600)
    hall.at("07:30")


def gap(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the distance of two boxes, px; negative where they overlap."""
    across = max(other["x"] - one["x"] - one["width"], one["x"] - other["x"] - other["width"])
    down = max(other["y"] - one["y"] - one["height"], one["y"] - other["y"] - other["height"])
    return max(across, down)


def too_small(page: Page, width: int, height: int) -> list[str]:
    """Return what cannot be touched well: under 80 px, under 12 px apart, or off the glass."""
    boxes = page.evaluate(RECTS)
    assert boxes
    wrong = []
    for index, box in enumerate(boxes):
        name = repr(box["name"])
        right, bottom = box["x"] + box["width"], box["y"] + box["height"]
        if min(box["width"], box["height"]) < TARGET_PX:
            wrong.append(f"{name} is {box['width']:.0f} × {box['height']:.0f}")
        if box["x"] < 0 or box["y"] < 0 or right > width or bottom > height:
            wrong.append(f"{name} is off the glass")
        wrong += [
            f"{name} is {gap(box, other):.0f} px from {other['name']!r}"
            for other in boxes[index + 1 :]
            if gap(box, other) < GAP_PX
        ]
    return wrong


# --- axe --------------------------------------------------------------------------------------


def test_what_is_wrong_is_found(hall: Hall):
    """A page with a known fault of each kind: axe, language, size, distance."""
    kiosk = still(hall, "/kiosk", width=1080, height=1920)
    kiosk.evaluate(
        """() => {
            document.documentElement.lang = "en";
            document.querySelector("h1").style.color = "#cfe3dd";
            const tile = document.querySelector(".k-tile-main");
            const small = document.createElement("button");
            const {right, top} = tile.getBoundingClientRect();
            small.style.cssText = `position: fixed; left: ${right + 5}px; top: ${top}px;
                width: 20px; height: 20px; padding: 0`;
            document.querySelector("main").append(small);
        }"""
    )
    audit = Audit(enhanced=True)
    audit.look(kiosk, "start", "id")
    audit.look(kiosk, "start", "en")
    assert "html lang is 'en'" in audit.found["start (id)"]
    told = "\n".join(audit.found["start (en)"])
    for rule in ("color-contrast:", "button-name:", "Indonesian: 'Ambil nomor'"):
        assert rule in told
    wrong = "\n".join(too_small(kiosk, 1080, 1920))
    assert "is 20 × 20" in wrong
    assert "is 5 px from" in wrong


@pytest.mark.parametrize("shape", KIOSKS)
def test_kiosk(hall: Hall, shape: str):
    """Every question, the number and UGD; what can be touched is large and apart enough."""
    audit = Audit(enhanced=True)
    width, height = KIOSKS[shape]
    kiosk = still(hall, "/kiosk", width=width, height=height)
    wrong = []
    for lang in LANGUAGES:
        for name in kiosk_pages(kiosk, hall.server.url, lang):
            audit.look(kiosk, name, lang)
            wrong += [f"{name} ({lang}): {one}" for one in too_small(kiosk, width, height)]
    assert audit.found == {}
    assert wrong == []
    assert len(audit.seen) == 20


def test_kiosk_that_cannot_serve(hall: Hall):
    """Full, refused, wrong address, without server, closed, and with a clock in doubt."""
    audit = Audit(enhanced=True)
    kiosk = still(hall, "/kiosk", width=1080, height=1920)
    kiosk.add_init_script(LIVE)
    query = "f=0123456789abcdef&lane=general&payment=umum"
    full = {"remaining": 0, "waiting": 3, "active": True}
    for lang in LANGUAGES:
        for error in ("full", "closed"):
            kiosk.goto(
                f"{hall.server.url}/kiosk/unit?{query}&error={error}&refused=umum&lang={lang}"
            )
            audit.look(kiosk, f"unit {error}", lang)
        # What is told here comes after what the stream begins with.
        kiosk.wait_for_function("window.isLive")
        kiosk.evaluate(
            """unit => document.dispatchEvent(new CustomEvent("live:kiosk",
            {detail: {units: {umum: unit}, open: true, blocked: false}}))""",
            full,
        )
        expect(kiosk.locator("[data-unit=umum]")).to_be_disabled()
        audit.look(kiosk, "unit without places", lang)
        kiosk.goto(f"{hall.server.url}/kiosk/nowhere?lang={lang}")
        audit.look(kiosk, "error", lang)
        kiosk.goto(f"{hall.server.url}/kiosk?lang={lang}")
        kiosk.evaluate("document.body.querySelector('[data-lost]').hidden = false")
        audit.look(kiosk, "lost", lang)
    hall.at("15:00")
    for lang in LANGUAGES:
        kiosk.goto(f"{hall.server.url}/kiosk?lang={lang}")
        expect(kiosk.locator("#page")).to_have_attribute("data-state", "closed")
        audit.look(kiosk, "closed", lang)
    hall.demo("clock", advance_s=-600, rebase="false")
    for lang in LANGUAGES:
        kiosk.goto(f"{hall.server.url}/kiosk?lang={lang}")
        expect(kiosk.locator("#page")).to_have_attribute("data-state", "blocked")
        audit.look(kiosk, "blocked", lang)
    assert audit.found == {}


def test_tv(hall: Hall):
    """Nobody, 5 and 80 waiting, one call and one being served, lost, and after hours."""
    audit = Audit(enhanced=True)
    tvs = {
        lang: still(hall, f"/display?lang={lang}", width=1920, height=1080) for lang in LANGUAGES
    }

    def look(state: str) -> None:
        for lang, tv in tvs.items():
            tv.reload()
            audit.look(tv, state, lang)

    desk, other = log_in(hall, "siti"), log_in(hall, "budi")
    look("no counter open")
    open_counter(desk, 1)
    open_counter(other, 2)
    expect(tvs["id"].locator("#tv-counter-2")).to_be_visible()
    look("0 waiting")
    hall.arrive("priority", 2)
    hall.arrive("general", 3)
    look("5 waiting")
    hall.arrive("general", 50)
    hall.arrive("priority", 25)
    for page, state in ((desk, "called"), (other, "serving")):
        page.keyboard.press("F2")
        expect(page.locator("[data-key=F6]")).to_be_enabled()
        if state == "serving":
            page.keyboard.press("F6")
        expect(tvs["id"].locator(f".tv-counter[data-state={state}]")).to_be_visible()
    look("80 waiting")
    for lang, tv in tvs.items():
        tv.evaluate("document.body.querySelectorAll('[data-lost]').forEach(e => e.hidden = false)")
        audit.look(tv, "lost", lang)
    for page in (desk, other):
        close_counter(page)
    hall.at("15:00")
    look("after hours")
    assert audit.found == {}


def test_counter(hall: Hall):
    """Choose, idle, called, refused, serving, one chosen, paused, with an emergency, locked."""
    audit = Audit()
    kiosk = still(hall, "/kiosk")
    desk = log_in(hall, "siti")
    for lang in LANGUAGES:
        speak(desk, lang)
        hall.arrive("general", 3)
        hall.arrive("priority", 1)
        desk.goto(hall.server.pages["loket"])
        audit.look(desk, "choose", lang)
        open_counter(desk, 1)
        audit.look(desk, "idle", lang)
        desk.keyboard.press("F2")
        expect(desk.locator("#lk-now")).to_be_visible()
        audit.look(desk, "called", lang)
        desk.keyboard.press("F2")
        expect(desk.locator("#lk-error")).to_be_visible()
        audit.look(desk, "refused", lang)
        desk.keyboard.press("F6")
        expect(desk.locator("[data-key=End]")).to_be_enabled()
        audit.look(desk, "serving", lang)
        desk.locator(".lk-row").first.click()
        expect(desk.locator("[data-chosen]")).to_be_visible()
        for panel in desk.locator("details").all():
            panel.evaluate("element => { element.open = true; }")
        audit.look(desk, "chosen", lang)
        desk.locator("#lk-issue button[type=submit]").click()
        expect(desk.locator(".lk-issued")).to_be_visible()
        audit.look(desk, "issued", lang)
        desk.keyboard.press("F10")
        expect(desk.locator("#lk-away")).to_be_visible()
        audit.look(desk, "held", lang)
        kiosk.get_by_role("button", name=re.compile("DARURAT")).click()
        expect(kiosk.locator("#page")).to_have_attribute("data-page", "emergency")
        kiosk.goto(f"{hall.server.url}/kiosk")
        expect(desk.locator(".lk-alert-emergency")).to_be_visible()
        audit.look(desk, "emergency", lang)
        desk.locator(".lk-alert-emergency button").click()
        expect(desk.locator(".lk-alert-emergency")).to_have_count(0)
        desk.evaluate("document.body.querySelector('[data-lost]').hidden = false")
        audit.look(desk, "lost", lang)
        desk.locator('form[action="/loket/pause"] button').click()
        expect(desk.locator("#lk-paused")).to_be_visible()
        audit.look(desk, "paused", lang)
        desk.keyboard.press("F12")
        desk.wait_for_url("**/unlock*")
        audit.look(desk, "locked", lang)
        desk.locator('form[action="/unlock"] button').click()
        expect(desk.locator(".error-summary")).to_be_visible()
        audit.look(desk, "locked, error", lang)
        password = hall.server.told["logins"][1]["password"]
        desk.fill("[name=password]", password)
        desk.keyboard.press("Enter")
        desk.wait_for_url("**/loket*")
        desk.wait_for_load_state("load")
        hall.demo("clock", advance_s=-600, rebase="false")
        desk.reload()
        expect(desk.locator("#lk-clock")).to_be_visible()
        audit.look(desk, "clock in doubt", lang)
        desk.locator("#lk-clock button").click()
        expect(desk.locator("#lk-clock")).to_have_count(0)
        hall.advance(600)
        close_counter(desk)
    speak(desk, "id")
    assert audit.found == {}


def test_office_and_account(hall: Hall):
    """The day with nobody and with many, one's own page, login, and links for a password."""
    audit = Audit()
    reset = run_command("user", "reset", "rina", "--json", "--config", hall.server.told["config"])
    link = json.loads(reset.stdout)["url"].rsplit("/", 1)[1]
    public = still(hall, "/login")
    for lang in LANGUAGES:
        public.goto(f"{hall.server.url}/login?lang={lang}")
        audit.look(public, "login", lang)
        public.locator("form[action^='/login'] button").click()
        expect(public.locator(".error-summary")).to_be_focused()
        audit.look(public, "login, error", lang)
        for done in ("logout", "reset"):
            public.goto(f"{hall.server.url}/login?lang={lang}&done={done}")
            audit.look(public, f"login, {done}", lang)
        public.goto(f"{hall.server.url}/reset/{link}?lang={lang}")
        audit.look(public, "new password", lang)
        public.locator("main form button").click()
        expect(public.locator(".error-summary")).to_be_visible()
        audit.look(public, "new password, error", lang)
        public.goto(f"{hall.server.url}/reset/used?lang={lang}")
        audit.look(public, "link that does not hold", lang)
    office = log_in(hall, "kepala")
    for lang in LANGUAGES:
        speak(office, lang)
        audit.look(office, "me", lang)
        office.locator('form[action="/me/password"] button').click()
        expect(office.locator(".error-summary")).to_be_visible()
        audit.look(office, "me, error", lang)
        office.goto(f"{hall.server.url}/me?done=password")
        audit.look(office, "me, done", lang)
        office.goto(hall.server.pages["dashboard"])
        audit.look(office, "day", lang)
        office.goto(f"{hall.server.url}/loket")
        audit.look(office, "not for this role", lang)
    hall.arrive("general", 60)
    hall.arrive("priority", 20)
    for lang in LANGUAGES:
        speak(office, lang)
        office.goto(hall.server.pages["dashboard"])
        audit.look(office, "day, 80 waiting", lang)
    speak(office, "id")
    assert audit.found == {}


def test_phone(hall: Hall):
    """A ticket's page in every state, and a code that nobody has."""
    audit = Audit()
    url = hall.server.url
    phone = still(hall, "/t", width=360, height=740)
    desk = log_in(hall, "siti")
    open_counter(desk, 1)

    def look(code: str, state: str, more: str = "") -> None:
        for lang in LANGUAGES:
            phone.goto(f"{url}/t/{code}?lang={lang}")
            expect(phone.locator(f"#status[data-state={state}]")).to_be_visible()
            for panel in phone.locator("details").all():
                panel.evaluate("element => { element.open = true; }")
            audit.look(phone, f"{state}{more}", lang)

    def press(key: str, waits_for: str) -> None:
        desk.keyboard.press(key)
        expect(desk.locator(waits_for)).to_be_visible()

    hall.arrive("priority", 1)
    hall.arrive("general", 3)
    codes = [
        slip["code"]
        for slip in reversed(httpx.get(f"{url}/demo/printed", timeout=30).json()["printed"])
    ]
    look(codes[0], "waiting", ", priority")
    look(codes[3], "waiting")
    press("F2", "#lk-now")
    look(codes[0], "called")
    press("F6", "[data-key=End]:enabled")
    look(codes[0], "serving")
    for lang in LANGUAGES:
        phone.goto(f"{url}/t/{codes[0]}?lang={lang}")
        phone.evaluate(
            f"""() => {{ const form = document.createElement("form"); form.method = "post";
            form.action = "/t/{codes[0]}/cancel?lang={lang}"; document.body.append(form);
            form.submit(); }}"""
        )
        expect(phone.locator(".p-notice-danger")).to_be_visible()
        audit.look(phone, "not cancelled", lang)
    press("F10", "#lk-away")
    look(codes[0], "held")
    press("F2", "#lk-now")
    press("F6", "[data-key=End]:enabled")
    press("End", "#lk-idle")
    look(codes[1], "completed")
    press("F2", "#lk-now")
    for _ in range(2):
        hall.advance(21)
        expect(desk.locator("[data-key=F3]")).to_be_enabled()
        desk.keyboard.press("F3")
        expect(desk.locator("[data-key=F3]")).to_be_disabled()
    press("F4", "#lk-idle")
    look(codes[2], "skipped")
    phone.goto(f"{url}/t/{codes[3]}")
    phone.locator(".p-cancel summary").click()
    with phone.expect_navigation():
        phone.locator(".p-cancel button").click()
    look(codes[3], "cancelled")
    phone.goto(f"{url}/kiosk")
    phone.get_by_role("button", name=re.compile("DARURAT")).click()
    phone.wait_for_url("**/kiosk/ticket/*")
    look(phone.url.rsplit("/", 1)[1].partition("?")[0], "emergency")
    hall.arrive("general", 1)
    last = httpx.get(f"{url}/demo/printed", timeout=30).json()["printed"][0]["code"]
    hall.advance(24 * 3600)
    for lang in LANGUAGES:
        phone.goto(f"{url}/t?lang={lang}")
        audit.look(phone, "asks for a code", lang)
        phone.goto(f"{url}/t/ZZZZZZZZ?lang={lang}")
        audit.look(phone, "unknown code", lang)
    # The day is closed every ten seconds, if it has to be.
    deadline = time.monotonic() + 60
    while "expired" not in httpx.get(f"{url}/t/{last}", timeout=30).text:
        assert time.monotonic() < deadline
        phone.wait_for_timeout(200)
    look(last, "expired")
    assert audit.found == {}


def test_reading_page_for_programs(hall: Hall):
    """At a desk and on a phone, closed and open; nothing sticks out at the side."""
    audit = Audit()
    for width, height in ((1366, 768), (390, 844)):
        page = still(hall, "/api/docs", width=width, height=height)
        for lang in LANGUAGES:
            page.goto(f"{hall.server.url}/api/docs?lang={lang}#problem-quota-full")
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            audit.look(page, f"{width} px", lang)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            expect(page.locator("#problem-quota-full")).to_be_in_viewport()
    assert audit.found == {}


def test_public_pages(hall: Hall):
    """Landing, demo, and what is said where there is nothing."""
    audit = Audit()
    page = still(hall, "/")
    for state in ("empty", "filled"):
        for lang in LANGUAGES:
            for path in ("/", "/demo", "/nowhere"):
                page.goto(f"{hall.server.url}{path}?lang={lang}")
                audit.look(page, f"{path} {state}", lang)
        hall.arrive("general", 5)
    assert audit.found == {}


def test_answers_that_need_no_template(hall: Hall):
    """Even a request that never reached a page is answered by one that can be read."""
    audit = Audit()
    page = hall.pages.open()
    page.set_content(
        f'<form method="post" action="{hall.server.url}/kiosk/tickets"><button>Go</button></form>'
    )
    page.get_by_role("button").click()
    expect(page.locator("h1")).to_have_text("Permintaan ditolak")
    audit.look(page, "foreign", "id")
    assert audit.found == {}


# --- measured ---------------------------------------------------------------------------------


def test_kiosk_works_by_keyboard(hall: Hall):
    """Without touch and mouse: tab to a tile, Enter, down to the number; the focus is seen."""
    kiosk = still(hall, "/kiosk", width=1080, height=1920)
    wanted = ["/kiosk/new", "lane=general", "payment=umum", "[data-unit=umum]"]
    for one in wanted:
        selector = one if one.startswith("[") else f'[href*="{one}"]'
        expect(kiosk.locator(selector).first).to_be_visible()
        if one != wanted[0]:
            expect(kiosk.locator("h1")).to_be_focused()
        for _ in range(12):
            kiosk.keyboard.press("Tab")
            if kiosk.evaluate(f"document.activeElement.matches('{selector}')"):
                break
        focused = kiosk.locator(":focus")
        assert focused.evaluate("(e, s) => e.matches(s)", selector), one
        outline = focused.evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)")
        assert outline >= 2, one
        kiosk.keyboard.press("Enter")
    kiosk.wait_for_url("**/kiosk/ticket/*")


def test_tv_type_is_large_enough(hall: Hall):
    """At 6 m and 43 inches the called number has 211 px of type: a cap height of 0.7 degrees."""
    hall.arrive("general", 1)
    tv = still(hall, "/display", width=1920, height=1080)
    desk = log_in(hall, "siti")
    open_counter(desk, 1)
    desk.keyboard.press("F2")
    number = tv.locator(".tv-counter[data-state=called] .tv-number")
    expect(number).to_have_text("A-001")
    tv.evaluate("document.fonts.ready.then(() => 0)")
    measured = number.evaluate(
        """element => {
            const style = getComputedStyle(element);
            const context = document.createElement("canvas").getContext("2d");
            context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
            const box = element.getBoundingClientRect();
            return {size: parseFloat(style.fontSize),
                cap: context.measureText("A").actualBoundingBoxAscent,
                right: box.right, bottom: box.bottom, panel: element.closest("article")
                    .getBoundingClientRect().height};
        }"""
    )
    assert measured["size"] >= 211
    assert measured["cap"] >= 148
    assert measured["right"] <= 1920
    # What is being called takes at least a quarter of the height.
    assert measured["panel"] >= 1080 / 4
    close_counter(desk)


def test_tv_type_follows_the_hall(hall: Hall):
    """A deeper hall asks for larger type; the number still fits on the glass."""
    hall.arrive("general", 1)
    tv = still(hall, "/display", width=1920, height=1080)
    desk = log_in(hall, "siti")
    open_counter(desk, 1)
    desk.keyboard.press("F2")
    number = tv.locator(".tv-counter[data-state=called] .tv-number")
    expect(number).to_have_text("A-001")
    size = "element => parseFloat(getComputedStyle(element).fontSize)"
    near = number.evaluate(size)
    tv.evaluate("document.body.dataset.distanceM = '10'; window.dispatchEvent(new Event('resize'))")
    tv.wait_for_function(
        """before => parseFloat(getComputedStyle(document.querySelector(
        ".tv-counter[data-state=called] .tv-number")).fontSize) > before""",
        arg=near,
    )
    assert number.evaluate(size) >= 10 / 6 * 211
    box = number.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1920
    close_counter(desk)


def test_kiosk_reads_the_question_first(hall: Hall):
    """After each answer the focus is on the new heading, and the page has one of those."""
    kiosk = still(hall, "/kiosk", width=1080, height=1920)
    for name in kiosk_pages(kiosk, hall.server.url, "id"):
        if name == "idle":
            expect(kiosk.locator("[data-idle-stay]")).to_be_focused()
            continue
        assert kiosk.locator("h1").count() == 1, name
        if name in ("help", "category", "reason", "payment", "unit", "ticket", "emergency"):
            expect(kiosk.locator("h1")).to_be_focused()
