"""Two processes on PostgreSQL: what one commits, readers of the other see, cut off or not."""

import asyncio
import threading
import time
from contextlib import closing
from statistics import median

import psycopg
import pytest

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.live.hub import CHECK_S, Hub
from puskesmas_queue.live.listen import Listener
from puskesmas_queue.live.reader import Reader
from puskesmas_queue.services import devices
from puskesmas_queue.services.calling import call_next, serve
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.services.topics import line_topic, speech_topic
from puskesmas_queue.storage.transaction import channel
from support.clinics import make_clinic, make_config
from support.desk import KIOSK, STAFF, general, open_all
from support.machines import pair_machine

pytestmark = pytest.mark.postgres

CUTS = 20
AT_MOST_S, PATIENCE_S = 2.0, 60.0
"""A reader waits so long for a change whatever happened to the connection; on a busy machine."""


@pytest.fixture
def writer(postgres_url, clock, tmp_path):
    """The process that commits."""
    opened = make_clinic(make_config(postgres_url, tmp_path), clock)
    yield opened
    opened.close()


@pytest.fixture
def reader(writer, clock):
    """The process that listens; nothing but PostgreSQL joins the two."""
    opened = open_clinic(writer.config, clock)
    listener = Listener(opened)
    listener.start()
    yield opened
    listener.stop()
    opened.close()


def cut_off(url: str) -> int:
    """End every connection that listens; return how many."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        ).fetchall()
    return len(found)


def until_same(reader, versions: dict[str, int]) -> float:
    """Wait until the reader knows of these versions; return how long it took, seconds."""
    started = time.monotonic()
    while any(reader.versions.get(topic, 0) < version for topic, version in versions.items()):
        assert time.monotonic() - started < PATIENCE_S, (versions, reader.versions)
        time.sleep(0.005)
    return time.monotonic() - started


def test_a_listener_that_is_cut_off_loses_nothing(writer, reader, postgres_url):
    """20 times, while numbers are given and called: each last version arrives, and in time."""
    told: list[dict[str, int]] = []
    reader.listen(told.append)
    open_all(writer, 1)
    for _ in range(CUTS + 5):
        issue_ticket(writer, general(), KIOSK)
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            issue_ticket(writer, general("gigi"), KIOSK)
            time.sleep(0.01)

    busy = threading.Thread(target=go_on)
    busy.start()
    cuts, waits = 0, []
    try:
        for _ in range(CUTS):
            cuts += cut_off(postgres_url)
            ticket = call_next(writer, 1, STAFF)
            serve(writer, ticket.id, STAFF, 1)
            waits.append(until_same(reader, dict(writer.versions)))
    finally:
        is_over.set()
        busy.join()

    # What was committed last of all, with nothing after it that could tell of it too.
    until = time.monotonic() + PATIENCE_S
    while cut_off(postgres_url) == 0:
        # It was not back yet from the last time.
        assert time.monotonic() < until
        time.sleep(0.005)
    call_next(writer, 1, STAFF)
    waits.append(until_same(reader, dict(writer.versions)))
    assert cuts >= CUTS * 3 // 4
    assert median(waits) < AT_MOST_S
    for topic in (line_topic("main"), speech_topic("main")):
        heard = [versions[topic] for versions in told if topic in versions]
        assert heard == sorted(heard)
        assert heard[-1] == writer.versions[topic]


def test_what_is_no_version_says_nothing(writer, reader, postgres_url):
    """A stranger's message neither stops the listener nor moves a version."""
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        for payload in ("", "hello", "line:main:x", f"line:main:{'9' * 9}x"):
            connection.execute("SELECT pg_notify(%s, %s)", [channel(writer.id), payload])
    issue_ticket(writer, general(), KIOSK)

    until_same(reader, dict(writer.versions))


def test_a_device_revoked_in_one_process_goes_dark_in_another(writer, reader):
    """Its stream ends as soon as the message of the commit is there."""
    token = pair_machine(writer, DeviceKind.DISPLAY).token
    until_same(reader, dict(writer.versions))

    async def run() -> None:
        hub = Hub(lambda name: "", lambda name: frozenset(), lambda: 0, "v1")
        reader.listen(hub.touched)
        hub.start()
        ended = asyncio.Event()

        async def send(message) -> None: ...

        async def may_read() -> bool:
            return await asyncio.to_thread(devices.device_of, reader, token) is not None

        hub.add(Reader(send, ended.set), ["display-main"], may_read)
        (device,) = devices.all_devices(writer)
        await asyncio.sleep(0.1)
        assert not ended.is_set()
        await asyncio.to_thread(devices.revoke_device, writer, device.id, STAFF)
        try:
            # Long before all readers are looked through.
            async with asyncio.timeout(CHECK_S / 2):
                await ended.wait()
        finally:
            await hub.stop()

    asyncio.run(run())
