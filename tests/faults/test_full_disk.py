"""A disk that is really full: no number is invented, none is lost, and all comes back by itself."""

import contextlib
import re
import resource
import secrets
import subprocess
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.services.line import today
from puskesmas_queue.storage.tickets import all_of_day
from scale.crowd import make_open_clinic, paired_kiosks
from support.server import running

VISIT = {"lane": "general", "payment": "bpjs", "unit": "umum"}
OWN = {"sec-fetch-site": "same-origin"}
SMALL_MB = 6


class TinyDisk:
    """A file system in memory that is filled and emptied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self, process_id: int) -> None:
        """Leave not one byte."""
        with self._filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass

    def free(self, process_id: int) -> None:
        """Make room again."""
        self._filling.unlink()


class DeadDisk:
    """A file system that takes not one byte more, anywhere: what a process may write ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, process_id: int) -> None:
        """Refuse every write."""
        _, hard = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (1, hard))

    def free(self, process_id: int) -> None:
        """Take writes again."""
        _, hard = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(params=["full", "dead"])
def disk(tmp_path, request):
    """A place for a clinic that can be full; the second stands in where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "tmpfs", str(folder)]
    try:
        is_mounted = (
            request.param == "full"
            and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
    except OSError:
        is_mounted = False
    if not is_mounted:
        yield DeadDisk(folder)
        return
    yield TinyDisk(folder)
    subprocess.run(["umount", str(folder)], check=True)


def until(wanted: int, url: str) -> str:
    """Wait until `/readyz` answers so; return what it says."""
    deadline = time.monotonic() + 60
    while True:
        answer = httpx.get(f"{url}/readyz", timeout=10)
        if answer.status_code == wanted:
            return answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_full_disk_gives_no_number_and_recovers_by_itself(disk, tmp_path):
    config, _ = make_open_clinic(disk.folder, "sqlite:///data/puskesmas.db", 3)
    cookies = paired_kiosks(config, 1)[0]
    with (
        running("serve", "--config", config.path, "--port", 0, folder=tmp_path) as server,
        httpx.Client(base_url=server.url, headers=OWN, cookies=cookies, timeout=20) as kiosk,
    ):

        def take() -> httpx.Response:
            return kiosk.post("/kiosk/tickets", data={**VISIT, "f": secrets.token_urlsafe(15)})

        codes = [code_of(take()) for _ in range(3)]
        assert "null" in until(200, server.url)
        disk.fill(server.process.pid)
        refused = [take() for _ in range(20)]

        given = [one for one in refused if one.status_code == 303]
        codes += [code_of(one) for one in given]
        last = refused[-1]
        assert last.status_code == 503
        assert "Silakan ke petugas." in last.text
        assert "database is not writable" in until(503, server.url)
        assert kiosk.get("/kiosk").status_code == 200
        ugd = kiosk.post(
            "/kiosk/emergency", data={"f": secrets.token_urlsafe(15)}, follow_redirects=True
        )
        assert "LANGSUNG KE UGD" in ugd.text
        disk.free(server.process.pid)

        until(200, server.url)
        codes += [code_of(take()) for _ in range(3)]
    clinic = open_clinic(config)
    try:
        stored = clinic.db.read(lambda tx: all_of_day(tx, today(clinic)))
    finally:
        clinic.close()
    general = [one for one in stored if one.unit == "umum"]
    assert sorted(one.code for one in general) == sorted(codes)
    assert sorted(one.sequence for one in general) == list(range(1, len(codes) + 1))


def code_of(answer) -> str:
    """Return the code of a number that was given."""
    found = re.match(r"/kiosk/ticket/(\w+)", answer.headers.get("location", ""))
    assert found, (answer.status_code, answer.text[:300])
    return found[1]
