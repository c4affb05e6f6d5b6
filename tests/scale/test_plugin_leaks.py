"""
A plugin that goes wrong all day takes no memory and no thread with it.

The clinic with its server runs in a process of its own, this file, which stops at marks so that
its memory and threads can be read from outside.
"""

import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.api import Call, Head, LineHeads, Permission, PluginRoute, TextAnswer, hookimpl
from puskesmas_queue.app import make_app
from puskesmas_queue.domain.events import Fact
from puskesmas_queue.domain.line import Ratio, RatioState
from puskesmas_queue.domain.tickets import Source
from puskesmas_queue.storage import migrate
from scale.readings import ProcessReading, process_reading
from support.clinics import make_clinic, make_config
from support.desk import general

ROOT = Path(__file__).resolve().parents[2]
NAME = "faulty"
WARM = 2_000
"""So many go wrong beforehand: caches, pools and the memory of the database fill up."""
GROWTH_KB, SOAK_GROWTH_KB = 4_000, 12_000
"""Memory that Python keeps for later comes and goes by 8 MB in minutes; 120 bytes each are more."""
THREADS = 3
"""Further ones of the pools, which are made when so many are busy at once."""
LEAKED = 8_000

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def readings(folder: Path, count: int, *options: str) -> tuple[ProcessReading, ProcessReading]:
    """Let so many things go wrong; read what the process takes when warm and at the end."""
    path, log = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")]), folder / "errors.txt"
    found = []
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, __file__, str(folder), str(count), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for mark in ("warm", "over"):
                said = process.stdout.readline().strip()
                assert said == mark, log.read_text()[-3000:]
                found.append(process_reading(process.pid))
                process.stdin.write("\n")
                process.stdin.flush()
            assert process.wait(60) == 0, log.read_text()[-3000:]
        finally:
            process.kill()
    return found[0], found[1]


def test_memory_and_threads_stay_as_they_are(tmp_path, is_soak):
    """Decisions, vetoes, facts and pages raise and answer nonsense, each time with other words."""
    warm, over = readings(tmp_path, 100_000 if is_soak else 2_000)

    assert over.memory_kb - warm.memory_kb < (SOAK_GROWTH_KB if is_soak else GROWTH_KB)
    assert over.threads - warm.threads <= THREADS
    assert over.files - warm.files <= THREADS


def test_a_leak_would_be_seen(tmp_path):
    """A few kilobytes each time are more than the limit, of the short run as well."""
    warm, over = readings(tmp_path, 2_000, "--leak")

    assert over.memory_kb - warm.memory_kb > GROWTH_KB


# The process


def faulty(leaked: list[bytes] | None) -> object:
    """Return a plugin that goes wrong in another way at each call."""
    turns = itertools.count()

    def go_wrong(*_: Any) -> Any:
        turn = next(turns)
        if leaked is not None:
            leaked.append(bytes(LEAKED))
        if turn % 2:
            raise ValueError(f"turn {turn}")
        return {"nonsense": turn}

    hooks = (
        "format_ticket_number", "choose_lane", "estimate_wait", "format_announcement",
        "check_ticket_request", "ticket_issued",
    )  # fmt: skip
    members: dict[str, Any] = {hook: staticmethod(hookimpl(_copy(go_wrong))) for hook in hooks}
    pages = [
        PluginRoute("/wrong", go_wrong, Permission.PUBLIC),
        PluginRoute("/right", lambda request, ctx: TextAnswer("right"), Permission.PUBLIC),
    ]
    members["register_routes"] = staticmethod(hookimpl(lambda: pages))
    return type("Faulty", (), members)()


def _copy(go_wrong: Any) -> Any:
    def implementation() -> Any:
        return go_wrong()

    return implementation


def main(folder: Path, count: int, *, is_leaking: bool) -> None:
    """Serve a clinic whose plugin goes wrong, `count` times once warm; stop then and at the end."""
    url = f"sqlite:///{folder / 'clinic.db'}"
    migrate.upgrade(url)
    plugin = faulty([] if is_leaking else None)
    clinic = make_clinic(make_config(url, folder), plugins=[(NAME, plugin)])
    hooks, now = clinic.hooks, clinic.clock.now()
    # It is not about time: on a busy machine one that had no turn would be switched off.
    hooks._deadline_s = 60.0
    at = int(now.timestamp() * 1_000_000)
    heads = LineHeads(Head(at, 0), Head(at, 1), Ratio("ratio", 2, 1), RatioState())

    with TestClient(make_app(clinic), client=("127.0.0.1", 1)) as browser:

        def tell(turn: int) -> None:
            fact = Fact(f"soak-{turn}", "ticket_issued", now, "main", None, None, 1)
            hooks.tell(NAME, fact, {"ticket": SimpleNamespace(number=f"A-{turn}")}, now)

        def ask(turn: int) -> None:
            status = browser.get(f"/x/{NAME}/wrong", headers={"x-turn": str(turn)}).status_code
            assert status == 503, status

        asks = (
            lambda turn: hooks.format_ticket_number("A", turn, now.date(), now),
            lambda turn: hooks.choose_lane(heads, now),
            lambda turn: hooks.estimate_wait(turn, (60.0,), 1, now),
            lambda turn: hooks.format_announcement(Call("A-1", "A", turn, 1, "id"), now),
            lambda turn: hooks.objections(general(), Source.KIOSK, now),
            tell,
            ask,
        )
        for mark, turns in (("warm", range(WARM)), ("over", range(WARM, WARM + count))):
            for turn in turns:
                asks[turn % len(asks)](turn)
            clinic.faults.flush(60)
            # What nobody holds is no leak, whenever it would have been collected.
            gc.collect()
            print(mark, flush=True)
            input()
        assert NAME not in hooks.switched_off
        assert browser.get(f"/x/{NAME}/right").text == "right"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), is_leaking="--leak" in sys.argv)
