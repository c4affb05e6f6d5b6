"""
The hub: each live topic is rendered once per change and sent to all as the same bytes.

A reader that comes gets the present state first, so nothing ever needs to be replayed; one that
is slow skips to the latest. Lives in the event loop; commits tell it from other threads.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.live.reader import Reader, body
from puskesmas_queue.services.devices import DEVICES_TOPIC

BEAT_S = 2.0
"""Pages that miss two of these say so; EventSource cannot see comment pings."""
RENDER_GAP_S = 0.05
"""A topic is rendered at most so often: while 30 people take numbers, one picture shows all."""
REFRESH_S = 20.0
"""Topics are looked at so often without a change, since opening hours and clocks move too."""
CHECK_S = 60.0
"""Machines that read are looked at so often without a change, which shows that they are there."""
SLICE = 200
"""So many readers are sent to before other work of the event loop has its turn."""
Check = Callable[[], Awaitable[bool]]
"""Says whether a reader may still read."""
log = logging.getLogger(__name__)


class Topic:
    """One live topic: its latest bytes and who reads it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: str | None = None
        self.message = b""
        self.readers: set[Reader] = set()
        self.newcomers: set[Reader] = set()
        """Readers that came before there was anything to send."""
        self.is_stale = True
        self.task: asyncio.Task[None] | None = None


class Hub:
    """
    Live topics of one clinic.

    Args:
        render: Makes a topic's data; sync, runs in the hub's own threads.
        depends_on: Says which stored topics a live topic shows.
        now_ms: The clinic's clock, milliseconds since the epoch.
        asset_version: Screens reload when it changes.
    """

    def __init__(
        self,
        render: Callable[[str], str],
        depends_on: Callable[[str], frozenset[str]],
        now_ms: Callable[[], int],
        asset_version: str,
    ) -> None:
        self._render = render
        self._depends_on = depends_on
        self._now_ms = now_ms
        self._asset_version = asset_version
        self._topics: dict[str, Topic] = {}
        self._readers: set[Reader] = set()
        self._checks: dict[Reader, Check] = {}
        self._checking: asyncio.Task[None] | None = None
        self._must_check = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat_task: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="hub")
        self.renders = 0
        """How many times a topic was rendered, for tests and metrics."""

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def streams_by_kind(self) -> dict[str, int]:
        """Count the streams that show each kind of topic; from any thread."""
        found: dict[str, int] = {}
        for topic in list(self._topics.values()):
            kind = topic.name.partition("-")[0]
            found[kind] = found.get(kind, 0) + len(topic.readers)
        return found

    def start(self) -> None:
        """Begin, inside the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._beat_task = asyncio.create_task(self._beats())

    async def stop(self) -> None:
        """End all tasks; streams end with the server."""
        tasks = [topic.task for topic in self._topics.values()]
        tasks += [self._beat_task, self._checking]
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
        self._loop = None
        self._threads.shutdown(wait=False)

    def touched(self, versions: dict[str, int]) -> None:
        """Hear of a commit, from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._touch, frozenset(versions))

    def end_all(self) -> None:
        """End every stream: the server stops."""
        for reader in list(self._readers):
            reader.end()

    def add(self, reader: Reader, names: Iterable[str], check: Check | None = None) -> None:
        """
        Send topics to one more reader, the present state first.

        Args:
            reader: Who reads.
            names: Live topics; unknown ones must have been refused before.
            check: Asked at once when a device was changed; None where everybody may read.
        """
        self._readers.add(reader)
        if check is not None:
            self._checks[reader] = check
        known = [self._beat()]
        stale = []
        for name in names:
            topic = self._topics.setdefault(name, Topic(name))
            topic.readers.add(reader)
            if topic.is_stale or not topic.message:
                topic.newcomers.add(reader)
                stale.append(topic)
            else:
                known.append(topic.message)
        reader.put("beat", body(b"".join(known)))
        for topic in stale:
            self._refresh(topic)

    def remove(self, reader: Reader, names: Iterable[str]) -> None:
        """Forget a reader that went away."""
        reader.close()
        self._readers.discard(reader)
        self._checks.pop(reader, None)
        for name in names:
            topic = self._topics.get(name)
            if topic is not None:
                topic.readers.discard(reader)
                topic.newcomers.discard(reader)
                if not topic.readers:
                    topic.is_stale = True

    def _touch(self, stored: frozenset[str]) -> None:
        if DEVICES_TOPIC in stored:
            self._check_all()
        for topic in self._topics.values():
            if stored & self._depends_on(topic.name):
                topic.is_stale = True
                if topic.readers:
                    self._refresh(topic)

    def _check_all(self) -> None:
        self._must_check = True
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_readers())

    async def _check_readers(self) -> None:
        """End the streams of machines that were revoked, and of whoever else may read no more."""
        while self._must_check:
            self._must_check = False
            for reader, check in list(self._checks.items()):
                await end_refused(check, reader)

    def _refresh(self, topic: Topic) -> None:
        topic.is_stale = True
        if topic.task is None or topic.task.done():
            topic.task = asyncio.create_task(self._keep_fresh(topic))

    async def _keep_fresh(self, topic: Topic) -> None:
        loop = asyncio.get_running_loop()
        while topic.is_stale and topic.readers:
            topic.is_stale = False
            self.renders += 1
            try:
                data = await loop.run_in_executor(self._threads, self._render, topic.name)
            except QueueError as error:
                log.warning("live topic %s: %s", topic.name, error)
                topic.is_stale = True
                await asyncio.sleep(1)
                continue
            except Exception:
                log.exception("live topic %s could not be rendered", topic.name)
                topic.is_stale = True
                await asyncio.sleep(5)
                continue
            message = encode(topic.name, data)
            is_new = data != topic.data
            topic.data, topic.message = data, message
            wanting, topic.newcomers = topic.readers if is_new else topic.newcomers, set()
            await _broadcast(topic.name, message, wanting)
            await asyncio.sleep(RENDER_GAP_S)

    async def _beats(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(BEAT_S)
            rounds += 1
            await _broadcast("beat", self._beat(), self._readers)
            if rounds % max(1, round(CHECK_S / BEAT_S)) == 0:
                self._check_all()
            if rounds % max(1, round(REFRESH_S / BEAT_S)) == 0:
                for topic in list(self._topics.values()):
                    if topic.readers:
                        self._refresh(topic)
                    else:
                        del self._topics[topic.name]

    def _beat(self) -> bytes:
        return encode("beat", json.dumps({"now": self._now_ms(), "v": self._asset_version}))


async def end_refused(check: Check, reader: Reader) -> bool:
    """
    End a stream that may not be read any more, or of which nobody can say.

    The first is told to the page, which shows nothing from then on and asks what it may show.

    Returns:
        Whether it was ended.
    """
    try:
        if await check():
            return False
        reader.put("gone", body(encode("gone", "")))
    except QueueError as error:
        log.warning("a live stream is ended: %s", error)
    reader.end()
    return True


async def _broadcast(name: str, data: bytes, readers: Iterable[Reader]) -> None:
    """Send the same bytes to all of them."""
    message = body(data)
    for place, reader in enumerate(list(readers), 1):
        reader.put(name, message)
        if place % SLICE == 0:
            await asyncio.sleep(0)


def encode(event: str, data: str) -> bytes:
    """Write one server-sent event."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {event}\n{lines}\n".encode()
