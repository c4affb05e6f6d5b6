"""Ways through the pages that several tests take."""

import re
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, expect

from browser.hall import Hall


def still(hall: Hall, path: str, **options: Any) -> Page:
    """Open a page on which nothing moves."""
    return hall.pages.open(f"{hall.server.url}{path}", reduced_motion="reduce", **options)


def log_in(hall: Hall, username: str, **options: Any) -> Page:
    """Open a page and log in there."""
    page = still(hall, "/login", **options)
    login = next(row for row in hall.server.told["logins"] if row["username"] == username)
    page.fill("[name=username]", login["username"])
    page.fill("[name=password]", login["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/(loket|dashboard|me)$"))
    return page


def open_counter(desk: Page, number: int) -> None:
    """Choose a counter and wait until its page hears keys."""
    desk.locator(f'form[action="/loket/open"] button >> nth={number - 1}').click()
    expect(desk.locator("body[data-counter]")).to_have_attribute("data-counter", str(number))
    desk.wait_for_load_state("load")


def close_counter(desk: Page) -> None:
    """Leave the counter: a call that is still open there would be the next day's first refusal."""
    desk.locator('form[action="/loket/close"] button').click()
    expect(desk.locator("body[data-counter]")).to_have_count(0)


def speak(page: Page, lang: str) -> None:
    """Choose the language of a user's pages."""
    page.goto(re.sub(r"(//[^/]+)/.*", r"\1/me", page.url))
    page.check(f"#lang-{lang}")
    with page.expect_navigation():
        page.locator(".account-save").click()
    expect(page.locator("html")).to_have_attribute("lang", lang)


def kiosk_pages(page: Page, url: str, lang: str) -> Iterator[str]:
    """Lead a kiosk through all of its pages; yields the name of each."""
    suffix = "" if lang == "id" else "?lang=en"
    page.goto(f"{url}/kiosk{suffix}")
    yield "start"
    page.locator('a[href*="/kiosk/help"]').click()
    page.locator("#page[data-page=help]").wait_for()
    yield "help"
    page.locator(".k-back").click()
    page.locator('a[href*="/kiosk/new"]').first.click()
    page.locator("#page[data-page=category]").wait_for()
    yield "category"
    page.locator('a[href*="/kiosk/reason"]').click()
    page.locator("#page[data-page=reason]").wait_for()
    yield "reason"
    page.locator('a[href*="reason=lansia"]').click()
    page.locator("#page[data-page=payment]").wait_for()
    yield "payment"
    page.locator('a[href*="payment=bpjs"]').click()
    page.locator("#page[data-page=unit]").wait_for()
    yield "unit"
    page.evaluate("document.querySelector('[data-idle]').showModal()")
    yield "idle"
    page.keyboard.press("Escape")
    page.locator("[data-unit=umum]").click()
    page.locator("#page[data-page=ticket]").wait_for()
    expect(page.locator("[data-countdown]")).to_be_visible()
    yield "ticket"
    page.go_back()
    page.locator("[data-unit=gigi]").click()
    page.locator(".k-note").wait_for()
    expect(page.locator("[data-countdown]")).to_be_visible()
    yield "already"
    page.goto(f"{url}/kiosk{suffix}")
    page.locator(".k-tile-danger").click()
    page.locator("#page[data-page=emergency]").wait_for()
    yield "emergency"
