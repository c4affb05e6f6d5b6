"""Machines of a real clinic: a kiosk and a TV are paired by hand, and go dark when revoked."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.axe import Audit
from browser.hall import take
from browser.machine import allowed_s
from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.tickets import Ticket
from puskesmas_queue.services import accounts, calling, devices
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.settings import Config, load_config
from puskesmas_queue.web.cookies import machine_cookie
from support.chromium import Pages
from support.clinics import zone_without_midnight
from support.desk import KIOSK, STAFF, general, open_all
from support.machines import pair_machine
from support.server import Server, run_command, running
from support.waiting import until

pytestmark = pytest.mark.browser

PASSWORD = "tikus7&abuabu"
GONE = "Perangkat ini tidak lagi terhubung."
DARK_WITHIN_S = 1.0
TARGET_PX = 80
GAP_PX = 12


@dataclass
class Place:
    """A clinic that is served to the end of this file, and browsers in it."""

    config: Config
    server: Server

    @contextmanager
    def clinic(self) -> Iterator[Clinic]:
        """Open its rows beside the server, as a command does."""
        with closing(open_clinic(self.config)) as clinic:
            yield clinic

    def code(self, kind: DeviceKind, name: str) -> str:
        """Let an administrator make a device."""
        with self.clinic() as clinic:
            return devices.add_device(clinic, kind, name, STAFF, zone="main").code

    def paired(self, pages: Pages, kind: DeviceKind, path: str, **options) -> Page:
        """Open a page on a machine that was paired before."""
        with self.clinic() as clinic:
            token = pair_machine(clinic, kind).token
        page = pages.open(**options)
        name = machine_cookie(kind, is_https=False)
        page.context.add_cookies([{"name": name, "value": token, "url": self.server.url}])
        # The server hears of what another process paired within its next look, a second.
        deadline = time.monotonic() + 30
        page.goto(self.server.url + path)
        while "/pair" in page.url and time.monotonic() < deadline:
            page.wait_for_timeout(100)
            page.goto(self.server.url + path)
        return page

    def admin(self, pages: Pages, path: str) -> Page:
        """Log the administrator in."""
        page = pages.open(f"{self.server.url}/login?next={path}")
        page.fill("[name=username]", "ani")
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(self.server.url + path)
        return page


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A clinic that is open around the clock, with an administrator."""
    folder = tmp_path_factory.mktemp("paired")
    made = json.loads(
        run_command("init", folder / "clinic", "--zone", zone_without_midnight(), "--json").stdout
    )
    for key, value in (("reset_time", "00:00"), ("operating_start", "00:00"),
                       ("operating_end", "23:59")):  # fmt: skip
        run_command("settings", "set", f"queue.{key}", value, "--config", made["config"])
    config = load_config(Path(made["config"]), {})
    with closing(open_clinic(config)) as clinic:
        accounts.add_user(clinic, "ani", STAFF, role=Role.ADMIN, name="Ani", password=PASSWORD)
    with running("serve", "--config", made["config"], "--port", 0, folder=folder) as server:
        yield Place(config, server)


def press(page: Page, code: str, before: str = "") -> None:
    """Type a code on the keys of the screen, each when what was there `before` is shown."""
    for count, letter in enumerate(code):
        expect(page.locator("#code")).to_have_value(before + code[:count])
        page.locator(f'.pr-key[value="{letter}"]').tap()
    expect(page.locator("#code")).to_have_value(before + code)


def call_one(place: Place) -> Ticket:
    """Call one number more at counter 1."""
    with place.clinic() as clinic:
        open_all(clinic, 1)
        issue_ticket(clinic, general(), KIOSK)
        called = calling.call_next(clinic, 1, STAFF)
        assert called is not None
        calling.serve(clinic, called.id, STAFF, 1)
        return called


@pytest.mark.parametrize("scripts", [True, False])
def test_a_kiosk_without_a_keyboard_is_paired_and_gives_numbers(place, pages, scripts):
    """By touch alone, with and without scripts; a wrong letter is taken back."""
    kiosk = pages.open(
        f"{place.server.url}/kiosk", width=1080, height=1920, has_touch=True,
        java_script_enabled=scripts,
    )  # fmt: skip
    expect(kiosk.locator("h1")).to_have_text("Hubungkan perangkat ini")
    expect(kiosk.locator("main")).to_contain_text("belum terhubung sebagai mesin antrean.")
    code = place.code(DeviceKind.KIOSK, "Kiosk 1")
    wrong = "2" if code[3] != "2" else "3"

    press(kiosk, code[:3] + wrong)
    kiosk.locator(".pr-erase").tap()
    press(kiosk, code[3:], code[:3])
    kiosk.locator(".pr-go").tap()

    expect(kiosk.locator("h1")).to_have_text("Selamat datang")
    assert kiosk.url == f"{place.server.url}/kiosk"
    assert re.fullmatch(r"A-\d{3}", take(kiosk, "umum", "umum", "umum"))


def test_an_administrator_pairs_a_tv_and_revokes_it(place, pages):
    """From the office's page to the picture, and back: dark within a second, no old number."""
    began = time.monotonic()
    office = place.admin(pages, "/admin/devices")
    page_s = (time.monotonic() - began) / 3
    office.locator('a[href="/admin/devices/add?kind=display"]').click()
    office.fill("#name", "TV 7")
    office.locator(".of-form button").click()
    code = office.locator(".dv-code-text").inner_text()
    expect(office.locator(".dv-qr svg")).to_be_visible()
    tv = pages.open(f"{place.server.url}/display", width=1920, height=1080)
    tv.fill("#code", code)
    tv.keyboard.press("Enter")
    expect(tv.locator(".tv-head")).to_be_visible()
    called = call_one(place)
    expect(tv.locator("main")).to_contain_text(called.number)

    office.goto(f"{place.server.url}/admin/devices")
    row = office.locator("tr", has_text="TV 7")
    expect(row).to_contain_text("Terhubung")
    row.locator("a").click()
    office.get_by_role("link", name="Cabut perangkat").click()
    with office.expect_response(lambda answer: answer.request.method == "POST"):
        office.get_by_role("button", name="Ya, cabut").click(no_wait_after=True)
    started = time.monotonic()
    tv.locator(".tv-main").wait_for(state="hidden")
    took_s = time.monotonic() - started

    expect(tv.locator("main")).to_contain_text(GONE)
    assert called.number not in tv.content()
    expect(office.locator(".banner-ok")).to_contain_text("Perangkat itu sudah dicabut.")
    began = time.monotonic()
    tv.goto(f"{place.server.url}/display")
    expect(tv.locator("main")).to_contain_text(GONE)
    assert took_s < allowed_s(DARK_WITHIN_S, max(page_s, time.monotonic() - began))


def test_a_kiosk_that_was_replaced_asks_for_a_code(place, pages):
    """The machine in its place takes over as its code is used; the old one gives no number."""
    kiosk = place.paired(pages, DeviceKind.KIOSK, "/kiosk", width=1080, height=1920)
    expect(kiosk.locator("h1")).to_have_text("Selamat datang")
    with place.clinic() as clinic:
        (device,) = [one for one in devices.all_devices(clinic) if one.name == "kiosk"]
        code = devices.renew_code(clinic, device.id, STAFF).code
    expect(kiosk.locator("h1")).to_have_text("Selamat datang")

    new = pages.open(f"{place.server.url}/kiosk", width=1080, height=1920)
    new.fill("#code", code)
    new.keyboard.press("Enter")

    expect(new.locator("h1")).to_have_text("Selamat datang")
    expect(kiosk.locator("main")).to_contain_text(GONE)


def test_a_command_revokes_too(place, pages):
    """Another process on SQLite: the server hears of it at its next look, once a second."""
    tv = place.paired(pages, DeviceKind.DISPLAY, "/display", width=1920, height=1080)
    expect(tv.locator(".tv-head")).to_be_visible()
    listed = json.loads(
        run_command("device", "list", "--json", "--config", place.config.path).stdout
    )
    (device,) = [row for row in listed if row["name"] == "display" and row["state"] == "paired"]

    run_command("device", "revoke", device["id"], "--config", place.config.path)

    expect(tv.locator("main")).to_contain_text(GONE)


def test_keys_of_the_screen_can_be_touched_well(place, pages):
    """80 px and 12 px apart on a kiosk, all of them on the glass."""
    for width, height in ((1080, 1920), (1920, 1080)):
        page = pages.open(f"{place.server.url}/pair", width=width, height=height)
        boxes = [key.bounding_box() for key in page.locator(".pr-key, .pr-go").all()]
        assert len(boxes) == 31 + 2
        assert min(min(box["width"], box["height"]) for box in boxes) >= TARGET_PX
        assert max(box["y"] + box["height"] for box in boxes) <= height
        keys = [page.locator(f'.pr-key[value="{key}"]').bounding_box() for key in "23A"]
        assert keys[1]["x"] - keys[0]["x"] - keys[0]["width"] >= GAP_PX
        assert keys[2]["y"] - keys[0]["y"] - keys[0]["height"] >= GAP_PX


def test_pairing_pages_hold_the_rules(place, pages):
    """Asked for, with an error, revoked, and paired; contrast 7:1, since a kiosk shows it."""
    audit = Audit(enhanced=True)
    with place.clinic() as clinic:
        for device in devices.all_devices(clinic):
            if device.revoked_at is None:
                devices.revoke_device(clinic, device.id, STAFF)
    page = place.paired(
        pages, DeviceKind.DISPLAY, "/display", width=1080, height=1920, reduced_motion="reduce"
    )
    for lang in ("id", "en"):
        for asked in ("kiosk", "display"):
            page.goto(f"{place.server.url}/pair?for={asked}&lang={lang}")
            audit.look(page, f"for {asked}", lang)
        page.locator(".pr-go").click()
        expect(page.locator(".error-summary")).to_be_visible()
        audit.look(page, "nothing typed", lang)
    with place.clinic() as clinic:
        (device,) = [one for one in devices.all_devices(clinic) if one.revoked_at is None]
        devices.revoke_device(clinic, device.id, STAFF)
    # Asked beside the page: one that shows the TV would leave by itself while it is sent away.
    url = f"{place.server.url}/display"
    until(lambda: "pr-gone" in page.request.get(url).text())
    for lang in ("id", "en"):
        page.goto(f"{url}?lang={lang}")
        expect(page.locator(".pr-gone")).to_be_visible()
        audit.look(page, "revoked", lang)
    assert audit.found == {}


def test_office_pages_hold_the_rules(place, pages):
    """The list, a new device with errors, its code, one device, and the question."""
    audit = Audit()
    with place.clinic() as clinic:
        device = pair_machine(clinic, DeviceKind.KIOSK).device
    page = place.admin(pages, "/admin/devices")
    for lang in ("id", "en"):
        page.goto(f"{place.server.url}/me")
        page.check(f"#lang-{lang}")
        page.locator(".account-save").click()
        expect(page.locator("html")).to_have_attribute("lang", lang)
        page.goto(f"{place.server.url}/admin/devices")
        audit.look(page, "list", lang)
        page.goto(f"{place.server.url}/admin/devices/add?kind=counter")
        page.locator(".of-form button").click()
        expect(page.locator(".error-summary li")).to_have_count(2)
        audit.look(page, "errors", lang)
        page.fill("#name", "PC 1")
        page.select_option("#counter", "1")
        page.locator(".of-form button").click()
        expect(page.locator(".dv-code-text")).to_be_visible()
        audit.look(page, "code", lang)
        page.goto(f"{place.server.url}/admin/devices/{device.id}")
        audit.look(page, "device", lang)
        page.locator(f'a[href="/admin/devices/{device.id}/revoke"]').click()
        audit.look(page, "revoke", lang)
    assert audit.found == {}
