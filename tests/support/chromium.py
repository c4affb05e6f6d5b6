"""A browser that sees this machine only."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from support.sockets import is_local

GIVEN = "PUSKESMAS_TEST_CHROMIUM"
"""Path of the browser, where it is not called chromium."""
HOW = "install chromium (Debian: apt install chromium)"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1",
)  # fmt: skip
"""The last one: whatever a page asks for, no other machine is found."""
PATIENCE_MS = 30_000
"""How long is waited for what a page should show: a busy machine is no fault of the page."""
NO_PRINTER = "window.print = () => undefined"
"""No browser here has a printer: newer ones wait at it, and then print no PDF for a test either."""
LOCAL_SCHEMES = ("about", "blob", "data")


def find_chromium() -> str | None:
    """Return the browser's path, None where there is none."""
    given = os.environ.get(GIVEN)
    if given:
        return given
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def launched(program: str) -> Iterator[Browser]:
    """
    Run the browser.

    Playwright's event loop stays in this thread until the end, so nothing may keep a browser
    open beside tests that run a loop of their own.
    """
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=list(FLAGS), headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Pages:
    """
    Opens pages, each in a browser profile of its own, as other devices would be.

    `outside` are the addresses of other machines that pages asked for; `faults` are exceptions
    and policy violations in pages. A test that leaves one in either fails.
    """

    browser: Browser
    outside: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, url: str = "", *, width: int = 1366, height: int = 768, **options: Any) -> Page:
        """
        Open a page at a screen size.

        Args:
            url: Where to go; nowhere yet if empty.
            width: Screen width, CSS pixels.
            height: Screen height, CSS pixels.
            options: What else `Browser.new_context` takes, `java_script_enabled=False` say.
        """
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, service_workers="block", **options
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        context.add_init_script(NO_PRINTER)
        # Not a route: that would have each request of a page wait for this thread's next turn.
        context.on("request", self._note)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("console", self._listen)
        page = context.new_page()
        if url:
            page.goto(url)
        return page

    def close(self) -> None:
        """Close every page that was opened."""
        for context in self.contexts:
            for page in context.pages:
                # A request that still waits for a test's route could keep the browser from closing.
                page.unroute_all(behavior="ignoreErrors")
            context.close()

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in LOCAL_SCHEMES or is_local((parts.hostname or "", parts.port)):
            return
        self.outside.append(request.url)

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.faults.append(message.text)


def screenshot(page: Page, folder: Path, name: str) -> Path:
    """Keep a picture of a page as it is, for people to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    return path
