"""Kiosks and counters as threads that talk HTTP to real server processes, and never give up."""

import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from puskesmas_queue.cli.context import command_actor
from puskesmas_queue.cli.init import Wishes, configuration, make_clinic
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.services.accounts import add_user
from puskesmas_queue.services.options import set_option
from puskesmas_queue.settings import CONFIG_NAME, Config, build_config, load_config
from puskesmas_queue.simulators.client import LOST, Client
from puskesmas_queue.storage.tables import counters
from support.machines import hall_cookies
from support.server import command
from support.sockets import free_port

START_S = 90
MOST_KIOSKS = 32
KIOSKS_NAME = "kiosks.json"
LATE_HOUR = 22
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0"
SERVE_FORM = re.compile(r"/loket/tickets/(\d+)/serve")
VISITS = (
    {"lane": "general", "payment": "bpjs", "unit": "umum"},
    {"lane": "general", "payment": "umum", "unit": "gigi"},
    {"lane": "priority", "reason": "lansia", "payment": "bpjs", "unit": "umum"},
    {"lane": "general", "payment": "bpjs", "unit": "kia"},
)


def make_open_clinic(folder: Path, database: str, counter_count: int) -> tuple[Config, list[str]]:
    """
    Make a clinic that closes hours from now, with counters and an account each; return passwords.

    Its kiosks are paired already: `paired_kiosks`.
    """
    zone = "Asia/Jakarta"
    if datetime.now(ZoneInfo(zone)).hour >= LATE_HOUR:
        # Midnight, when numbers begin anew, is over there.
        zone = "Asia/Jayapura"
    text = configuration(Wishes("klasik", "Puskesmas Ramai", zone, "admin", database))
    config = build_config(folder / CONFIG_NAME, tomllib.loads(text), {})
    make_clinic(config, text, "klasik", "admin")
    config = load_config(folder / CONFIG_NAME, {})
    clinic = open_clinic(config)
    try:
        for key, value in (("queue.reset_time", "00:00"), ("queue.operating_end", "23:59")):
            set_option(clinic, key, value, command_actor())
        rows = [
            {"clinic_id": clinic.id, "number": number, "zone": "main"}
            for number in range(3, counter_count + 1)
        ]
        clinic.db.write(lambda tx: tx.conn.execute(counters.insert(), rows))
        passwords = [
            add_user(clinic, f"loket{n}", command_actor(), role=Role.PETUGAS_LOKET, name=f"L{n}")
            for n in range(1, counter_count + 1)
        ]
        kiosks = [hall_cookies(clinic, [DeviceKind.KIOSK]) for _ in range(MOST_KIOSKS)]
    finally:
        clinic.close()
    (folder / KIOSKS_NAME).write_text(json.dumps(kiosks))
    return config, passwords


def paired_kiosks(config: Config, count: int) -> list[dict[str, str]]:
    """Return the cookies of so many kiosks of a clinic that `make_open_clinic` made."""
    found: list[dict[str, str]] = json.loads((config.folder / KIOSKS_NAME).read_text())
    return found[:count]


class Fleet:
    """
    `puskesmas-queue serve` on one port, killed and started again at will.

    Args:
        config: The clinic.
        workers: How many server processes.
        make: Writes the command that serves on a port; else `serve`.
    """

    def __init__(
        self, config: Config, workers: int, make: Callable[[int], list[str]] | None = None
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = config.folder / "server.log"
        self._command = (
            make(self.port)
            if make is not None
            else command(
                "serve", "--config", config.path, "--port", self.port, "--workers", workers
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a process group of its own and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self._log.read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End every process of it at once, without telling any."""
        assert self._process is not None
        _kill_group(self._process)

    def stop(self) -> None:
        """End it as Ctrl+C would."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            _kill_group(self._process)

    def _is_ready(self) -> bool:
        with closing(Browser(self.port)) as browser:
            try:
                return browser.ask("GET", "/readyz")[0] == 200
            except LOST:
                return False


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Browser:
    """One browser: cookies, and one connection that is kept for as long as it lasts."""

    def __init__(self, port: int, machine: Mapping[str, str] | None = None) -> None:
        self._client = Client(f"http://127.0.0.1:{port}", AGENT, machine)

    def ask(
        self, method: str, path: str, form: Mapping[str, str] | None = None, *, htmx: bool = False
    ) -> tuple[int, str, str]:
        """
        Send one request.

        Returns:
            Status, where it redirects to, and the text.

        Raises:
            OSError, HTTPException: Nobody knows whether it was done.
        """
        answer = self._client.ask(method, path, form, htmx=htmx)
        return answer.status, answer.location, answer.text

    def close(self) -> None:
        """Give up the connection; the next request makes a new one."""
        self._client.close()

    def insist(
        self, path: str, form: Mapping[str, str], *, until: float, htmx: bool = False
    ) -> tuple[int, str, str]:
        """Send the same form again and again until a server answers it."""
        while True:
            try:
                answer = self.ask("POST", path, form, htmx=htmx)
                if answer[0] < 500:
                    return answer
                trouble = f"{answer[0]}: {answer[2][:300]}"
            except LOST as error:
                trouble = repr(error)
            if time.monotonic() > until:
                raise AssertionError(f"{path} was never answered: {trouble}")
            time.sleep(0.05)


@dataclass
class Crowd:
    """
    Kiosks that issue and counters that call.

    `given` holds the code of every acknowledged ticket by its idempotency key, `served` the
    ids that each counter began to serve; `faults` is what went wrong in a thread.
    """

    port: int
    tickets: int
    limit_s: float
    given: dict[str, str] = field(default_factory=dict)
    served: dict[int, list[int]] = field(default_factory=dict)
    faults: list[BaseException] = field(default_factory=list)
    _left: "itertools.count[int]" = field(default_factory=itertools.count)
    _threads: list[threading.Thread] = field(default_factory=list)
    _until: float = 0.0

    def come(self, kiosks: list[dict[str, str]], passwords: list[str]) -> None:
        """
        Let everybody begin; counters first, so that there is calling from the first ticket.

        Args:
            kiosks: The cookies of each.
            passwords: Of the counters.
        """
        self._until = time.monotonic() + self.limit_s
        opened = threading.Barrier(len(passwords) + 1, timeout=START_S)
        for number, password in enumerate(passwords, 1):
            self._start(partial(self._counter, number=number, password=password, opened=opened))
        opened.wait()
        for machine in kiosks:
            self._start(self._kiosk, machine)

    def wait_for(self, tickets: int) -> None:
        """Wait until so many tickets were acknowledged."""
        while len(self.given) < tickets and not self.faults and time.monotonic() < self._until:
            time.sleep(0.01)

    def go_home(self) -> None:
        """Wait for all threads."""
        for thread in self._threads:
            thread.join(self.limit_s + START_S)
        assert not any(thread.is_alive() for thread in self._threads)

    @property
    def _is_over(self) -> bool:
        return (
            len(self.given) >= self.tickets or bool(self.faults) or time.monotonic() > self._until
        )

    def _client(self, machine: Mapping[str, str] | None) -> Any:
        """Make what one of them talks through; others may talk in another way."""
        return Browser(self.port, machine)

    def _start(self, work: Callable[[Any], None], machine: Mapping[str, str] | None = None) -> None:
        def run() -> None:
            with closing(self._client(machine)) as client:
                try:
                    work(client)
                except BaseException as error:
                    self.faults.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _kiosk(self, browser: Browser) -> None:
        while (number := next(self._left)) < self.tickets and not self.faults:
            key = secrets.token_urlsafe(15)
            form = {"f": key, **VISITS[number % len(VISITS)]}
            status, location, text = browser.insist("/kiosk/tickets", form, until=self._until)
            found = re.fullmatch(r"/kiosk/ticket/([A-Z0-9]+)\?print=1", location)
            assert found is not None, (status, location, text[:300])
            self.given[key] = found[1]

    def _counter(
        self, browser: Browser, number: int, password: str, opened: threading.Barrier
    ) -> None:
        login = {"username": f"loket{number}", "password": password}
        assert browser.ask("POST", "/login", login)[0] == 303
        assert browser.ask("POST", "/loket/open", {"counter": str(number)})[0] == 303
        opened.wait()
        served = self.served.setdefault(number, [])
        while not self._is_over:
            # A call whose answer was lost is found on the page of the next try: still to serve.
            _, _, text = browser.insist("/loket/call-next", {}, until=self._until, htmx=True)
            found = SERVE_FORM.search(text)
            if found is None:
                time.sleep(0.02)
                continue
            path = f"/loket/tickets/{found[1]}/serve"
            status, _, text = browser.insist(path, {}, until=self._until, htmx=True)
            assert status == 200, (status, text[:300])
            served.append(int(found[1]))
