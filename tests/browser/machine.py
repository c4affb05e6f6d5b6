"""A server that can hang, die and come back, and pages that tell when they noticed."""

import os
import secrets
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx2 as httpx
from playwright.sync_api import Page, Route

from support.server import Server, run_command, running
from support.sockets import free_port

ANSWERS_WITHIN_S = 60
RUNNING_TEXT = "Siapkan KTP dan kartu BPJS Anda. Perhatikan nomor di layar."
USUAL_MS = 120
"""Between two looks of `WATCH` at the clock on a machine that has time for them."""

WATCH = """
window.connection = [];
window.looks = [Date.now()];
setInterval(() => window.looks.push(Date.now()), 100);
new MutationObserver(() => {
  const isSaid = [...document.body.querySelectorAll("[data-lost]")].some(
    (element) => element.checkVisibility());
  const before = window.connection.at(-1)?.said ?? false;
  if (isSaid !== before) window.connection.push({said: isSaid, at: Date.now()});
}).observe(document, {attributes: true, subtree: true});
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    this.addEventListener("beat", () => { window.beats = (window.beats ?? 0) + 1; });
  }
};
"""


def now_ms() -> float:
    """Return this computer's time as its pages have it."""
    return time.time() * 1000


@dataclass
class Machine:
    """
    The demo of one folder, always on one port.

    `stop_time` and `go_on` are SIGSTOP and SIGCONT: the port is open and nobody answers. After
    `kill` nobody listens there until `restart`.
    """

    folder: Path
    server: Server = field(init=False)
    _runs: ExitStack = field(default_factory=ExitStack)

    def start(self, port: int | None = None) -> None:
        """Switch the server on; a folder that holds a demo goes on with it."""
        port = free_port() if port is None else port
        self.server = self._runs.enter_context(
            running(
                "demo",
                "--no-plugins",
                "--port",
                port,
                "--json",
                "--dir",
                self.folder / "demo",
                folder=self.folder,
            )
        )

    def stop_time(self) -> float:
        """Let the server hang; returns when, in a page's milliseconds."""
        os.kill(self.server.process.pid, signal.SIGSTOP)
        return now_ms()

    def go_on(self) -> float:
        """Let a server that hangs go on."""
        at = now_ms()
        os.kill(self.server.process.pid, signal.SIGCONT)
        return at

    def kill(self) -> float:
        """Take the server away (SIGKILL)."""
        at = now_ms()
        self.server.kill()
        return at

    def restart(self, page: Page) -> float:
        """
        Switch the server on where it was; returns when it first answered.

        Playwright hands on in this thread only what a test has a route for: it has to be kept
        going, or the page would stand still for as long as the server starts.
        """
        port = httpx.URL(self.server.url).port
        starting = threading.Thread(target=self.start, args=(port,))
        starting.start()
        while starting.is_alive():
            page.wait_for_timeout(20)
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.server.url}/healthz", timeout=2).is_success:
                    return now_ms()
            except httpx.TransportError:
                pass
            page.wait_for_timeout(20)
        raise RuntimeError("the server came back and does not answer")

    def close(self) -> None:
        """End the server, also one that hangs."""
        if self.server.process.poll() is None:
            self.go_on()
        self._runs.close()


def set_setting(server: Server, key: str, value: str) -> None:
    """Change a setting beside a running demo, as an administrator would."""
    # The server reads all settings anew, so that it knows this one as soon as it knows a later one.
    mark = f"{RUNNING_TEXT} {secrets.randbelow(10**12)}"
    for name, text in ((key, value), ("display.running_text", mark)):
        done = run_command("settings", "set", name, text, "--config", server.told["config"])
        assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while mark not in httpx.get(server.pages["display"], timeout=30).text:
        assert time.monotonic() < deadline, "the server does not see what another process set"
        time.sleep(0.1)


def watched(page: Page) -> Page:
    """Let a page note when it says that its server is away, and when it no longer does."""
    page.add_init_script(WATCH)
    page.reload()
    page.wait_for_load_state("load")
    return page


def after_a_beat(page: Page) -> None:
    """Wait until a watched page has just heard its server: whatever is lost now is noticed last."""
    page.wait_for_function(
        "before => (window.beats ?? 0) > before", arg=page.evaluate("window.beats ?? 0")
    )


def said_at(page: Page, *, lost: bool, limit_s: float = 60) -> float:
    """Wait until a watched page says that its server is away, or no longer; returns when."""
    page.wait_for_function(
        "lost => (window.connection.at(-1)?.said ?? false) === lost",
        arg=lost,
        timeout=limit_s * 1000,
    )
    at: float = page.evaluate("window.connection.at(-1)?.at ?? 0")
    return at


def on_time(page: Page, since: float, at: float) -> float:
    """
    Return how long something took in a watched page, ms, without what the page itself was late.

    Where the machine is too busy to let a page look at its clock, its watchdog is as late as that.

    Args:
        page: Where it was waited for.
        since: When that began, in the page's milliseconds.
        at: When it ended.
    """
    looks = [since, *(look for look in page.evaluate("window.looks") if since < look < at), at]
    return at - since - sum(max(0, two - one - USUAL_MS) for one, two in pairwise(looks))


def allowed_s(promised_s: float, page_s: float) -> float:
    """
    Return how long something may take here: what was promised, and more on a slow machine.

    Args:
        promised_s: Where a page comes within a quarter of a second.
        page_s: How long one took here meanwhile.
    """
    return promised_s + max(0.0, 4 * page_s - 1)


def lose_answers(page: Page, url: str, count: int = 1) -> list[str]:
    """
    Let requests reach the server and drop what it answers.

    Args:
        page: Whose requests.
        url: Playwright's pattern of them.
        count: How many answers are lost; those after them arrive.

    Returns:
        The bodies that were sent, each time the page asked.
    """
    sent: list[str] = []

    def drop(route: Route) -> None:
        sent.append(route.request.post_data or "")
        if len(sent) > count:
            route.fallback()
            return
        route.fetch(max_redirects=0)
        route.abort("connectionreset")

    page.route(url, drop)
    return sent
