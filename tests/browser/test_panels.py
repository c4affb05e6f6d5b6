"""A plugin's panel at the counter: what it shows of a fact comes by itself."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Response, Route, expect

from browser.hall import Hall
from support.chromium import Pages
from support.distributions import shelf_on_path
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

CODE = """
import time
from pathlib import Path

from puskesmas_queue.api import Panel, TextAnswer, hookimpl

TOLD = {{}}


@hookimpl
def ticket_called(fact, ticket):
    while not Path({told!r}).exists():
        time.sleep(0.02)
    TOLD[ticket.id] = fact.counter


def show(request, ctx):
    told = TOLD.get(request.ticket.id, "belum")
    text = f"loket {{request.counter}}, diberi tahu: {{told}}"
    return TextAnswer(f"<p>{{text}}</p><input aria-label='Catatan'>", "text/html")


@hookimpl
def register_panels():
    return [Panel("counter.ticket", "told", "Kabar", show)]
"""
"""A plugin that hears of a call once a file is there."""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """That file."""
    return tmp_path / "told"


@pytest.fixture
def server(tmp_path: Path, told: Path) -> Iterator[Server]:
    """A demo with that plugin."""
    shelf, demo = tmp_path / "shelf", tmp_path / "demo"
    shelf.mkdir()
    with shelf_on_path(shelf) as plugins:
        plugins.install("slow_news", CODE.format(told=str(told)))
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


def test_a_panel_shows_what_its_plugin_was_told_after_the_call(
    server: Server, pages: Pages, told: Path
):
    """The page comes before the fact; the panel is asked again until the fact was told."""
    hall = Hall(server, pages)
    counter = hall.counter(2, "siti")
    hall.arrive("general", 2)
    answers: list[str | None] = []

    def note(answer: Response) -> None:
        if "/panels/" in answer.url:
            answers.append(answer.headers.get("x-panel-again"))

    counter.on("response", note)

    counter.keyboard.press("F2")

    panel = counter.locator(".panel-body")
    expect(panel).to_contain_text("loket 2, diberi tahu: belum")
    told.touch()
    expect(panel).to_contain_text("loket 2, diberi tahu: 2")
    # The plugin may know before the server has noted that it was told.
    deadline = time.monotonic() + 30
    while answers[-1] == "1" and time.monotonic() < deadline:
        counter.wait_for_timeout(50)
    times = len(answers)
    counter.wait_for_timeout(1500)
    assert 2 <= times == len(answers), "it is left alone once everything was told"


def test_a_panel_in_which_somebody_types_is_left_alone(server: Server, pages: Pages, told: Path):
    """What was typed stays, also where the panel was asked for again just before."""
    hall = Hall(server, pages)
    counter = hall.counter(1, "siti")
    hall.arrive("general")
    asked: list[Route] = []

    def hold_the_second(route: Route) -> None:
        asked.append(route)
        if len(asked) != 2:
            route.continue_()

    counter.route("**/panels/**", hold_the_second)
    counter.keyboard.press("F2")
    note = counter.get_by_label("Catatan")
    expect(note).to_be_visible()
    deadline = time.monotonic() + 30
    while len(asked) < 2 and time.monotonic() < deadline:
        counter.wait_for_timeout(20)
    note.focus()
    note.press_sequentially("seben")
    told.touch()
    with counter.expect_response("**/panels/**"):
        asked[1].continue_()
    note.press_sequentially("tar", delay=150)
    counter.wait_for_timeout(800)

    assert note.input_value() == "sebentar"
    assert note.evaluate("one => one === document.activeElement")
