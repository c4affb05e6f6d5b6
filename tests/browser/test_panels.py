"""A plugin's panel at the counter: what it shows of a fact comes by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.hall import Hall
from support.chromium import Pages
from support.distributions import shelf_on_path
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

CODE = """
import time

from puskesmas_queue.api import Panel, TextAnswer, hookimpl

TOLD = {}


@hookimpl
def ticket_called(fact, ticket):
    time.sleep(0.6)
    TOLD[ticket.id] = fact.counter


def show(request, ctx):
    told = TOLD.get(request.ticket.id, "belum")
    text = f"loket {request.counter}, diberi tahu: {told}"
    return TextAnswer(f"<p>{text}</p><input aria-label='Catatan'>", "text/html")


@hookimpl
def register_panels():
    return [Panel("counter.ticket", "told", "Kabar", show)]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A demo with that plugin."""
    shelf, demo = tmp_path / "shelf", tmp_path / "demo"
    shelf.mkdir()
    with shelf_on_path(shelf) as plugins:
        plugins.install("slow_news", CODE)
    env = {"PYTHONPATH": str(shelf)}
    start = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", demo)
    with running(*start, folder=tmp_path):
        pass
    done = run_command(
        "plugin", "enable", "slow_news", "--config", demo / "puskesmas.toml", env=env
    )
    assert done.returncode == 0, done.stderr
    with running(*start, folder=tmp_path, env=env) as started:
        yield started


def test_a_panel_shows_what_its_plugin_was_told_after_the_call(server: Server, pages: Pages):
    """The page comes before the fact; the panel is asked again until the fact was told."""
    hall = Hall(server, pages)
    counter = hall.counter(2, "siti")
    hall.arrive("general", 2)
    asked: list[str] = []
    counter.on("request", lambda one: asked.append(one.url) if "/panels/" in one.url else None)

    counter.keyboard.press("F2")

    panel = counter.locator(".panel-body")
    expect(panel).to_contain_text("loket 2, diberi tahu: 2")
    times = len(asked)
    counter.wait_for_timeout(1500)
    assert 2 <= times == len(asked), "it is left alone once everything was told"


def test_a_panel_in_which_somebody_types_is_left_alone(server: Server, pages: Pages):
    """What was typed stays."""
    hall = Hall(server, pages)
    counter = hall.counter(1, "siti")
    hall.arrive("general")
    counter.keyboard.press("F2")
    note = counter.get_by_label("Catatan")
    note.focus()

    note.press_sequentially("sebentar", delay=150)
    counter.wait_for_timeout(800)

    assert note.input_value() == "sebentar"
    assert note.evaluate("one => one === document.activeElement")
