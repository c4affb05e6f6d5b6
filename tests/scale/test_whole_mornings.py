"""
Whole simulated mornings: eight hours with open pages, and the server killed again and again.

Small here; with `--soak` eight hours at sixty times the speed of time, and a hundred kills.
"""

import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from statistics import median

import pytest

from puskesmas_queue.domain.tickets import OPEN
from puskesmas_queue.settings import CONFIG_NAME, load_config
from puskesmas_queue.simulators.driver import Wishes, play_day
from puskesmas_queue.simulators.http_hall import HttpHall, Pace, look_at, told_by
from puskesmas_queue.simulators.morning import Customs, clock, plan_morning
from puskesmas_queue.simulators.play import Play
from scale.crowd import Fleet
from scale.readings import PageReading, ProcessReading, page_reading, process_reading
from support.server import command, running

pytestmark = pytest.mark.soak

FIRST_HOUR, LAST_HOUR = 6, 14
LOOK_EVERY_S = 600.0
SLOW_S = 60.0
"""An answer that takes so long is a fault on any machine."""
LATE = {"files": 6, "sockets": 1, "threads": 4}
"""Readers of the database and threads are first made when so many are busy at once."""
ROOM = {"nodes": 80}
"""A TV with full lanes has more rows than with empty ones: two lanes of four, with marks."""
EIGHT_HOURS = replace(
    Customs(),
    arrivals=((clock(6), 0.0), (clock(13, 50), 1.0)),
    opens_s=clock(6),
    break_from_s=clock(9, 45),
    closes_s=clock(LAST_HOUR),
    last_closes_s=clock(LAST_HOUR, 20),
)


@dataclass(frozen=True)
class Size:
    """
    How much is played, and by which share memory may grow.

    `grows` is the server's share, `page_grows` a page's: what Chromium compiles on the way is much
    for a page that is a minute old.

    The three counters keep up with so many patients: a line that grew would need more memory.
    """

    warm_up: int
    warm_up_speed: float | None
    patients: int
    speed: float | None
    grows: float
    page_grows: float
    kills: int
    patients_killed: int


@pytest.fixture
def size(is_soak: bool) -> Size:
    if is_soak:
        return Size(
            warm_up=150,
            warm_up_speed=120.0,
            patients=360,
            speed=60.0,
            grows=0.05,
            page_grows=0.05,
            kills=100,
            patients_killed=120,
        )
    return Size(
        warm_up=40,
        warm_up_speed=None,
        patients=60,
        speed=None,
        grows=0.05,
        page_grows=0.25,
        kills=2,
        patients_killed=20,
    )


@pytest.fixture
def report_figures(is_soak: bool, capsys):
    """Tells what a long run measured."""

    def report(looks: "Looks") -> None:
        if not is_soak:
            return
        with capsys.disabled():
            for name in ("server", "display", "kiosk"):
                for hour, readings in sorted(getattr(looks, name).items()):
                    print(f"\n{name} {hour:02}:00", readings[len(readings) // 2], end="")
            print()

    return report


@dataclass
class Looks:
    """What was read at a moment of the morning, by its hour."""

    server: dict[int, list[ProcessReading]] = field(default_factory=dict)
    display: dict[int, list[PageReading]] = field(default_factory=dict)
    kiosk: dict[int, list[PageReading]] = field(default_factory=dict)


class WatchedHall(HttpHall):
    """A demo's hall that lets somebody look in regularly; the morning waits meanwhile."""

    def watch(self, asked: "queue.Queue[float | None]", seen: threading.Semaphore) -> None:
        self.asked, self.seen, self.next_look_s = asked, seen, clock(FIRST_HOUR)

    def at(self, at_s: float) -> None:
        while self.next_look_s <= min(at_s, clock(LAST_HOUR)):
            super().at(self.next_look_s)
            self.asked.put(self.next_look_s)
            self.seen.acquire()
            self.next_look_s += LOOK_EVERY_S
        super().at(at_s)


@pytest.mark.browser
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(1500)
def test_eight_hours_leave_nothing_behind(pages, tmp_path: Path, size: Size, report_figures):
    """
    Memory and files of the server, heap and nodes of the TV: the last hour is as the second.

    A day before has warmed up what is compiled and kept when it is first needed.
    """
    with running(
        "demo",
        "--no-plugins",
        "--port",
        0,
        "--json",
        "--dir",
        tmp_path / "demo",
        "--counters",
        3,
        folder=tmp_path,
    ) as server:
        said: list[str] = []
        display = pages.open(server.pages["display"], width=1920, height=1080)
        kiosk = pages.open(server.pages["kiosk"], width=1080, height=1920)
        for page in (display, kiosk):
            page.on(
                "console", lambda line: said.append(line.text) if line.type == "error" else None
            )
        looks = Looks()

        def look(at_s: float) -> None:
            hour = int(at_s // 3600)
            looks.server.setdefault(hour, []).append(process_reading(server.process.pid))
            looks.display.setdefault(hour, []).append(page_reading(display))
            looks.kiosk.setdefault(hour, []).append(page_reading(kiosk))

        day, problems = play_eight_hours(server.url, size, look, display)
        tickets = told_by(server.url, f"/demo/tickets?date={day}")["tickets"]
        shown = display.locator("body").inner_text()

    report_figures(looks)
    assert problems == []
    assert said == []
    assert len(tickets) >= size.patients
    assert not any(one["status"] in OPEN for one in tickets)
    assert "Terputus" not in shown
    second, last = FIRST_HOUR + 1, LAST_HOUR - 1
    for what in ("memory_kb", "files", "sockets", "threads"):
        before, after = (middle(looks.server[hour], what) for hour in (second, last))
        most = before * (1 + size.grows) if what == "memory_kb" else before + LATE[what]
        assert after <= most, (what, before, after)
    for what in ("heap_bytes", "nodes", "listeners", "documents"):
        before, after = (middle(looks.display[hour], what) for hour in (second, last))
        assert after <= before * (1 + size.page_grows) + ROOM.get(what, 1), (what, before, after)
    for what in ("nodes", "listeners", "documents"):
        before, after = (middle(looks.kiosk[hour], what) for hour in (second, last))
        assert after <= before * (1 + size.page_grows) + 1, (what, before, after)


def middle(readings, what: str) -> float:
    return median(getattr(one, what) for one in readings)


def play_eight_hours(url: str, size: Size, look, page) -> tuple[str, list[str]]:
    """Play in a thread of its own: the browser may be asked from this one only."""
    asked: queue.Queue[float | None] = queue.Queue()
    seen = threading.Semaphore(0)
    days: list[str] = []
    problems: list[str] = []

    def play() -> None:
        try:
            before = Wishes(
                patients=size.warm_up, seed=4, pace=pace_of(size.warm_up_speed), slow_s=SLOW_S
            )
            problems.extend(play_day(url, before).problems)
            demo = look_at(url)
            day = demo.now.date() + timedelta(days=1)
            days.append(day.isoformat())
            hall = WatchedHall(url, day, demo, pace_of(size.speed), slow_s=SLOW_S)
            hall.watch(asked, seen)
            plan = plan_morning(5, size.patients, hall.counters, demo.units, EIGHT_HOURS)
            hall.jump_to(datetime.combine(day, time_of_day(5, 58), demo.now.tzinfo))
            problems.extend(Play(plan, hall).run().problems)
            hall.go_home()
            after = datetime.combine(day + timedelta(days=1), time_of_day(0, 1), demo.now.tzinfo)
            hall.jump_to(after)
            time.sleep(4)
            hall.hang_up()
            problems.extend(hall.meter.problems)
        except BaseException as error:
            problems.append(repr(error))
        finally:
            asked.put(None)

    thread = threading.Thread(target=play)
    thread.start()
    while True:
        try:
            at_s = asked.get_nowait()
        except queue.Empty:
            page.wait_for_timeout(50)
            continue
        if at_s is None:
            break
        look(at_s)
        seen.release()
    thread.join()
    return "".join(days), problems


def pace_of(speed: float | None) -> Pace | None:
    return None if speed is None else Pace(speed)


@pytest.mark.timeout(1500)
def test_nothing_is_lost_however_often_the_server_dies(tmp_path: Path, size: Size):
    """Killed in the middle of mornings: every number that was given is there and ends."""
    folder = tmp_path / "demo"
    with demo_to_kill(folder) as fleet:
        killed = 0
        wanted = 0
        while killed < size.kills:
            wanted += 1
            stop = threading.Event()
            killer = Killer(fleet, stop, size.kills - killed)
            killer.start()
            try:
                played = play_day(
                    fleet.url,
                    Wishes(patients=size.patients_killed, seed=wanted, patience_s=300, slow_s=300),
                )
            finally:
                stop.set()
                killer.join()
            killed += killer.kills
            assert killer.faults == []
            assert played.problems == []
            assert played.meter.retries >= killer.kills
            assert len(played.tickets) == len(played.morning.visits)
    assert killed == size.kills


@contextmanager
def demo_to_kill(folder: Path) -> Iterator[Fleet]:
    """A demo on one port that can be killed and started again."""
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder, folder=folder.parent
    ):
        pass
    config = load_config(folder / CONFIG_NAME, {})
    fleet = Fleet(
        config,
        1,
        lambda port: command("demo", "--no-plugins", "--port", port, "--dir", folder, "--json"),
    )
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()


class Killer(threading.Thread):
    """Kills the server a moment after it came back, as often as it may, until the morning ends."""

    def __init__(self, fleet: Fleet, stop: threading.Event, most: int) -> None:
        super().__init__()
        self.kills = 0
        self.faults: list[BaseException] = []
        self._fleet, self._stop_now, self._most = fleet, stop, most

    def run(self) -> None:
        try:
            # An odd pause: it meets another step of the morning each time.
            while self.kills < self._most and not self._stop_now.wait(
                0.9 + 0.37 * (self.kills % 5)
            ):
                self._fleet.kill()
                self.kills += 1
                self._fleet.start()
        except BaseException as error:
            self.faults.append(error)
