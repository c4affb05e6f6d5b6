"""A morning in a real demo over HTTP, by the command, by the demo itself, and what is refused."""

import json
import re
import time
from datetime import date, timedelta

import httpx2 as httpx
import pytest
from click.testing import CliRunner

from puskesmas_queue.cli import main
from puskesmas_queue.domain.access import SYSTEM, Actor, Role
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.domain.tickets import OPEN, Lane
from puskesmas_queue.services import counters, sessions
from puskesmas_queue.simulators.driver import DAILY_AGENT, Wishes, play_day
from puskesmas_queue.simulators.http_hall import look_at
from puskesmas_queue.simulators.report import make_report
from support.clinics import MORNING
from support.desk import STAFF
from support.server import running


def simulate(*arguments):
    return CliRunner().invoke(main, ["simulate", "day", *map(str, arguments)])


def test_the_figures_are_what_the_people_know(server):
    """The server's own times against each visitor's watch; no ticket is left open."""
    played = play_day(server.url, Wishes(patients=60, seed=11, slow_s=60))

    assert played.problems == []
    assert len(played.tickets) == len(played.morning.visits) == len(played.journal.people)
    assert not any(one["status"] in OPEN for one in played.tickets)
    report = make_report(played.day, played.tickets, played.events)
    for lane, one in report.lanes.items():
        waits_s = sorted(
            person.called_s - person.issued_s
            for person in played.journal.people.values()
            if person.lane is lane and person.called_s is not None
        )
        told_s = sorted(wait.minutes * 60 for wait in report.waits if wait.lane is lane)
        assert one.waits.count == len(waits_s)
        # The server's clock runs on between two moves; on a slow machine that adds up.
        assert told_s == pytest.approx(waits_s, abs=20)
    for number, counter in report.counters.items():
        assert counter.open_s == pytest.approx(played.journal.open_s[number], abs=30)
        assert counter.busy_s == pytest.approx(played.journal.busy_s[number], rel=0.1)
        assert 0 < counter.utilisation <= 1
    served = sum(counter.served for counter in report.counters.values())
    assert served == report.outcomes["completed"] - emergencies(played)


def emergencies(played):
    return sum(person.lane is Lane.EMERGENCY for person in played.journal.people.values())


def test_the_command_keeps_its_report(server, tmp_path):
    folder = tmp_path / "out"

    first = simulate(
        "--url", server.url, "--patients", 25, "--seed", 3, "--output", folder, "--json"
    )
    second = simulate(
        "--url", server.url, "--patients", 25, "--seed", 3, "--counters", 1, "--speed", 3600
    )

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    report = json.loads(first.stdout)
    assert json.loads((folder / "report.json").read_text()) == report
    assert report["patients"] == 25
    assert report["problems"] == []
    assert sum(one["waits_min"]["count"] for one in report["lanes"].values()) >= 20
    assert report["latency_ms"]["call"]["p99"] >= report["latency_ms"]["call"]["p50"] > 0
    assert set(report["counters"]) == {"1", "2"}
    assert (folder / "chart.svg").read_text().startswith("<svg")
    text = (folder / "report.txt").read_text()
    assert "Problems           none" in text
    # The next morning is the next day's, with the same people and one counter.
    assert date.fromisoformat(report["day"]) + timedelta(days=1) == look_at(
        server.url
    ).now.date() - timedelta(days=1)
    assert "25 patients, 1 counter\n" in second.stdout
    # Half past six to one o'clock at 3,600 times the speed of time.
    assert int(re.search(r"requests in (\d+) s", second.stdout)[1]) >= 6


def test_without_an_address_it_has_a_demo_of_its_own():
    answer = simulate("--patients", 4, "--counters", 4, "--json")

    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    assert report["patients"] == 4
    assert set(report["counters"]) == {"1", "2", "3", "4"}


def test_what_is_no_demo_is_refused(server):
    answer = simulate("--url", f"{server.url}/", "--counters", 3, "--patients", 1)
    assert answer.exit_code == 1
    assert "has 2 counters with a login" in answer.output
    for url in ("http://192.0.2.1:8000", "https://127.0.0.1", "127.0.0.1:8000", "http://clinic"):
        answer = simulate("--url", url)
        assert answer.exit_code == 2, url
    with pytest.raises(SetupError, match="nothing answers"):
        play_day("http://127.0.0.1:9", Wishes(patience_s=0.1))


def test_the_demo_plays_its_own_day(tmp_path):
    """People come and are called by themselves, and nobody else's counter is taken for ever."""
    folder = tmp_path / "demo"
    command = ("demo", "--no-plugins", "--port", 0, "--json", "--dir", folder)
    with running(*command, "--day", "--speed", 600, folder=tmp_path) as server:
        hall = look_at(server.url)
        day = hall.now.date().isoformat()
        ends = time.monotonic() + 120
        while True:
            tickets = httpx.get(f"{server.url}/demo/tickets?date={day}").json()["tickets"]
            if sum(one["status"] == "completed" for one in tickets) >= 5:
                break
            assert time.monotonic() < ends, tickets
            time.sleep(0.2)
        server.kill()

    with running(*command, folder=tmp_path) as server:
        events = httpx.get(f"{server.url}/demo/events?date={day}").json()["events"]
    at_counters = [one["kind"] for one in events if one["kind"].startswith("counter_")]
    assert at_counters.count("counter_opened") == at_counters.count("counter_closed") == 2


def test_a_program_leaves_its_counters_to_the_next(sqlite_clinic):
    """Sessions that a killed demo left behind end; those of people stay."""
    from puskesmas_queue.services.accounts import add_user
    from puskesmas_queue.services.sessions import login

    password = add_user(sqlite_clinic, "ani", SYSTEM, role=Role.PETUGAS_LOKET, name="Ani")
    for number, agent in ((1, DAILY_AGENT), (2, "Firefox")):
        actor = Actor("device", name="x", device="d" * 22, user_agent=agent)
        told = login(sqlite_clinic, "ani", password, actor)
        counters.open_counter(sqlite_clinic, number, told.principal.session_hash, STAFF)

    assert sessions.end_sessions_of_program(sqlite_clinic, DAILY_AGENT, SYSTEM) == 1
    assert [one.state for one in counters.all_counters(sqlite_clinic)] == ["closed", "open"]


def test_a_day_is_asked_for_by_its_date(server):
    httpx.post(f"{server.url}/demo/arrivals", json={"count": 2})
    now = look_at(server.url).now

    for name in ("tickets", "events"):
        rows = httpx.get(f"{server.url}/demo/{name}?date={now.date()}").json()[name]
        other = httpx.get(f"{server.url}/demo/{name}?date={MORNING.date()}").json()[name]
        assert len([one for one in rows if one["number"]]) == 2
        assert other == []
        assert httpx.get(f"{server.url}/demo/{name}?date=tomorrow").status_code == 422
