"""A hall to act in: the kiosk, the counters and the TV of a running demo."""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
from playwright.sync_api import Page, Response, expect

from support.chromium import Pages
from support.server import Server

PATIENCE_S = 30
UNITS = {"umum": "Poli Umum", "gigi": "Poli Gigi"}


@dataclass
class Hall:
    """What a tester does, by name."""

    server: Server
    pages: Pages

    def demo(self, path: str, **values: Any) -> dict[str, Any]:
        """Use a route of the demo as a program would."""
        answer = httpx.post(f"{self.server.url}/demo/{path}", json=values, timeout=PATIENCE_S)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def advance(self, seconds: float) -> None:
        """Move the clinic's clock on."""
        self.demo("clock", advance_s=seconds)

    def at(self, hour: str) -> None:
        """Let it be a time of the clinic's day, `07:00`."""
        self.demo("clock", at=f"{self.day()}T{hour}:00+07:00")

    def day(self) -> str:
        """Return the clinic's date, `2026-02-26`."""
        now: str = self.demo("clock", advance_s=0)["now"]
        return now[:10]

    def arrive(self, lane: str, count: int = 1, unit: str = "umum") -> list[str]:
        """Let people take numbers."""
        numbers: list[str] = self.demo("arrivals", count=count, lane=lane, unit=unit)["numbers"]
        return numbers

    def announced(self) -> list[dict[str, Any]]:
        """List what was announced, newest first."""
        answer = httpx.get(f"{self.server.url}/demo/announced", timeout=PATIENCE_S)
        found: list[dict[str, Any]] = answer.json()["announced"]
        return found

    def kiosk(self, **options: Any) -> Page:
        """Open a kiosk, portrait."""
        return self.pages.open(self.server.pages["kiosk"], width=1080, height=1920, **options)

    def tv(self) -> Page:
        """Open the TV and wait until it is live."""
        page = self.pages.open(self.server.pages["display"], width=1920, height=1080)
        expect(page.locator(".tv-head")).to_be_visible()
        return page

    def counter(self, number: int, username: str) -> Page:
        """Log in and open a counter."""
        page = self.pages.open(self.server.pages["loket"])
        login = next(row for row in self.server.told["logins"] if row["username"] == username)
        page.fill("[name=username]", login["username"])
        page.fill("[name=password]", login["password"])
        page.keyboard.press("Enter")
        page.get_by_role("button", name=f"Buka loket {number}").click()
        expect(page.locator("body[data-counter]")).to_have_attribute("data-counter", str(number))
        # The page's scripts have run then: keys are heard.
        page.wait_for_load_state("load")
        return page


def take(page: Page, lane: str, payment: str, unit: str) -> str:
    """Answer the kiosk's questions and return the number; `lane` may name a reason."""
    page.locator('a[href*="/kiosk/new"]').first.click()
    page.get_by_role("link", name=re.compile("Prioritas" if lane != "umum" else "umum")).click()
    if lane != "umum":
        page.locator(f'a[href*="reason={lane}"]').click()
    page.locator(f'a[href*="payment={payment}"]').click()
    page.get_by_role("button", name=re.compile(UNITS[unit])).click()
    page.wait_for_url("**/kiosk/ticket/*")
    return page.locator(".k-result-number").inner_text()


def called(page: Page) -> str:
    """Return the number in the centre of a counter page."""
    return page.locator("#lk-desk article .number").first.inner_text()


def call(desk: Page) -> None:
    """Call the next number and serve whoever comes, at once."""
    before = desk.locator("#lk-desk").inner_text()
    desk.keyboard.press("F2")
    desk.wait_for_function(
        "before => document.querySelector('#lk-desk').innerText !== before", arg=before
    )
    expect(desk.locator("#lk-desk [data-key=F6]")).to_be_enabled()
    desk.keyboard.press("F6")
    expect(desk.locator("#lk-desk [data-key=End]")).to_be_enabled()


def states(hall: Hall, count: int) -> list[tuple[str, str]]:
    """Return number and state of the latest announcements, in order."""
    return [(one["number"], one["state"]) for one in reversed(hall.announced()[:count])]


def until_spoken(hall: Hall, page: Page, count: int, limit_s: float = 60) -> None:
    """Wait until the latest `count` announcements were all spoken to their end."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        latest = [state for _, state in states(hall, count)]
        if len(latest) == count and set(latest) == {"spoken"}:
            page.evaluate("0")  # what the page told this process meanwhile is here then
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not spoken: {states(hall, count)}")


def wake_sound(tv: Page) -> None:
    """Give a TV the click that browsers want; the server knows then that it can be heard."""

    def is_audible(answer: Response) -> bool:
        told = answer.request.post_data or ""
        return answer.url.endswith("/display/heartbeat") and "voice=1" in told

    with tv.expect_response(is_audible):
        tv.mouse.click(400, 400)
    expect(tv.locator("[data-sound]")).to_be_hidden()


def leave(*desks: Page) -> None:
    """Close the counters, so that the next test finds nobody called there."""
    for desk in desks:
        desk.locator('form[action="/loket/close"] button').click()
        expect(desk.locator("body[data-counter]")).to_have_count(0)
