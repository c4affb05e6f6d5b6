"""`demo`: what it promises on its first line, and that it is there."""

import json
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2 as httpx

from support.server import run_command, running

WIB = ZoneInfo("Asia/Jakarta")


def test_the_first_line_says_where_everything_is(server):
    told = server.told

    assert set(told) == {"url", "pages", "logins", "simulators", "config", "dir"}
    assert set(told["pages"]) == {"kiosk", "display", "loket", "dashboard", "demo"}
    assert {"admin", "petugas_loket"} <= {login["role"] for login in told["logins"]}
    for name, page in told["pages"].items():
        answer = httpx.get(page, timeout=30)
        needs_login = name in ("loket", "dashboard")
        assert answer.status_code == (303 if needs_login else 200), name


def test_its_clock_starts_at_half_past_seven(server):
    now = datetime.fromtimestamp(beat(f"{server.url}/live/display-main")["now"] / 1000, WIB)

    assert now.strftime("%H:%M") in ("07:30", "07:31")
    # It may have begun before midnight.
    today = datetime.now(WIB)
    assert now.date() in {today.date(), (today - timedelta(minutes=5)).date()}


def test_the_same_folder_goes_on(tmp_path):
    command = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", tmp_path / "demo")
    with running(*command, folder=tmp_path) as first:
        logins = first.told["logins"]

    with running(*command, folder=tmp_path) as second:
        assert second.told["logins"] == logins


def test_a_demo_that_ended_at_once_begins_again(tmp_path):
    """A command after it has the demo's time too, and the next run does not go on from tonight."""
    command = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", tmp_path / "demo")
    with running(*command, folder=tmp_path) as first:
        first.kill()
    done = run_command(
        "settings", "set", "display.voice", "false", "--config", first.told["config"]
    )
    assert done.returncode == 0, done.stderr

    with running(*command, folder=tmp_path) as second:
        now = datetime.fromtimestamp(beat(f"{second.url}/live/display-main")["now"] / 1000, WIB)
        assert now.strftime("%H:%M") in ("07:30", "07:31")


def test_a_setting_changed_beside_it_stops_nothing(server):
    """The command has the demo's time: the clock guard sees nothing from the future."""
    moved = {"at": "2026-02-26T08:00:00"}
    assert httpx.post(f"{server.url}/demo/clock", json=moved, timeout=30).is_success
    done = run_command(
        "settings", "set", "display.voice", "false", "--config", server.told["config"]
    )
    assert done.returncode == 0, done.stderr

    deadline = time.monotonic() + 60
    while 'data-voice="0"' not in httpx.get(server.told["pages"]["display"], timeout=30).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert httpx.get(f"{server.url}/readyz", timeout=30).json() == {"ready": True, "why": None}
    assert httpx.post(f"{server.url}/demo/arrivals", json={"count": 1}, timeout=30).is_success


def test_a_folder_with_something_else_is_refused(run, refused, clinic_folder):
    refused(run("demo", "--port", 0, "--dir", clinic_folder), "no demo")


def beat(url: str) -> dict[str, Any]:
    """Return the first beat of a live stream."""
    with httpx.stream("GET", url, timeout=30) as stream:
        lines = stream.iter_lines()
        for line in lines:
            if line == "event: beat":
                return json.loads(next(lines).removeprefix("data: "))
    raise AssertionError("the stream ended")
