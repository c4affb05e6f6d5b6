"""The hub: one rendering for all, the present state first, a slow reader skips to the latest."""

import asyncio
import json
import threading
from functools import partial

from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.live import hub as hub_module
from puskesmas_queue.live import reader as reader_module
from puskesmas_queue.live import stream as stream_module
from puskesmas_queue.live.hub import Hub, encode
from puskesmas_queue.live.reader import Reader
from puskesmas_queue.live.stream import LiveStream
from puskesmas_queue.services.devices import DEVICES_TOPIC
from support.loops import play as impatiently


class Stage:
    """A hub whose topics show a counter."""

    def __init__(self) -> None:
        self.value = 0
        self.renders = 0
        self.failures = 0
        self.gate = threading.Event()
        self.gate.set()
        self.hub = Hub(self.render, lambda name: frozenset({"line:main"}), lambda: 1234, "v1")

    def render(self, name: str) -> str:
        self.gate.wait(60)
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("busy")
        self.renders += 1
        return f"{name}={self.value}"

    def change(self) -> None:
        self.value += 1
        self.hub.touched({"line:main": self.value})


class Screen:
    """A reader of one topic; `takes` is cleared while it takes nothing."""

    def __init__(self, stage: Stage, names: tuple[str, ...] = ("display-main",)) -> None:
        self.hub, self.names = stage.hub, names
        self.messages: list[bytes] = []
        self.is_ended = False
        self.takes = asyncio.Event()
        self.takes.set()
        self.reader = Reader(self.send, self.end)
        self.hub.add(self.reader, names)

    async def send(self, message) -> None:
        await self.takes.wait()
        self.messages.append(message["body"])

    def end(self) -> None:
        self.is_ended = True

    def leave(self) -> None:
        self.hub.remove(self.reader, self.names)

    async def until(self, text: str) -> bytes:
        """Wait for a message that holds this; return it."""
        async with asyncio.timeout(30):
            while True:
                for message in self.messages:
                    if text.encode() in message:
                        return message
                await asyncio.sleep(0.005)


def play(scene, runner=asyncio.run) -> None:
    async def run() -> None:
        stage = Stage()
        stage.hub.start()
        try:
            await scene(stage)
        finally:
            stage.gate.set()
            await stage.hub.stop()

    runner(run())


def test_a_new_reader_gets_a_beat_and_the_present_state():
    """Nothing needs to be replayed."""

    async def scene(stage: Stage) -> None:
        stage.value = 7
        screen = Screen(stage)
        await screen.until("display-main=7")
        assert screen.messages[0] == b'event: beat\ndata: {"now": 1234, "v": "v1"}\n\n'
        # What is known already comes with the beat, in one piece.
        assert b"display-main=7" in Screen(stage).messages[0]

    play(scene)


def test_all_readers_share_one_rendering_and_its_bytes():
    """A thousand screens, one change: one rendering, one message."""

    async def scene(stage: Stage) -> None:
        screens = [Screen(stage) for _ in range(1000)]
        await asyncio.gather(*(screen.until("=0") for screen in screens))
        before, counted = stage.renders, stage.hub.renders
        stage.change()
        messages = await asyncio.gather(*(screen.until("=1") for screen in screens))
        assert stage.renders == before + 1
        assert stage.hub.renders == counted + 1
        assert len({id(message) for message in messages}) == 1

    play(scene)


def test_a_reader_that_keeps_up_costs_no_task():
    """Thousands of phones are no thousands of tasks."""

    async def scene(stage: Stage) -> None:
        before = len(asyncio.all_tasks())
        screens = [Screen(stage) for _ in range(500)]
        stage.change()
        await asyncio.gather(*(screen.until("=1") for screen in screens))
        assert len(asyncio.all_tasks()) <= before + 1

    play(scene)


def test_a_slow_reader_skips_to_the_latest():
    """What was not sent yet is replaced, not queued, and nobody else waits for it."""

    async def scene(stage: Stage) -> None:
        slow, quick = Screen(stage), Screen(stage)
        await slow.until("=0")
        slow.takes.clear()
        for _ in range(5):
            stage.change()
            await quick.until(f"={stage.value}")
        assert slow.reader.is_slow
        slow.takes.set()
        last = await slow.until("=5")
        assert last.count(b"event: display-main") == 1
        # The one that was being sent, and the latest.
        assert [message for message in slow.messages if b"display" in message][-2:] == [
            encode("display-main", "display-main=1"), last,
        ]  # fmt: skip
        await asyncio.sleep(0.01)
        assert not slow.reader.is_slow
        stage.change()
        await slow.until("=6")

    play(scene)


def test_a_reader_that_never_reads_is_let_go(monkeypatch):
    """What waits for it is bounded meanwhile, and it ends once."""
    monkeypatch.setattr(reader_module, "SEND_TIMEOUT_S", 0.2)

    async def scene(stage: Stage) -> None:
        screen = Screen(stage, ("display-main", "speech-main"))
        await screen.until("=0")
        screen.takes.clear()
        async with asyncio.timeout(30):
            while not screen.is_ended:
                stage.change()
                await asyncio.sleep(0.05)
                assert len(screen.reader._pending or ()) <= 3
        sent = len(screen.messages)
        screen.takes.set()
        stage.change()
        await asyncio.sleep(0.1)
        assert len(screen.messages) == sent

    play(scene)


def test_a_broken_reader_breaks_no_other(caplog):
    """One connection's failure is its own."""

    async def scene(stage: Stage) -> None:
        broken, whole = Screen(stage), Screen(stage)
        await whole.until("=0")

        async def fail(message) -> None:
            raise RuntimeError("closed")

        broken.reader._send = fail
        stage.change()
        await whole.until("=1")
        assert broken.is_ended

    play(scene)
    assert "a live stream broke off" in caplog.text


def test_a_change_during_a_rendering_is_rendered_again():
    """The last state always arrives."""

    async def scene(stage: Stage) -> None:
        screen = Screen(stage)
        await screen.until("=0")
        stage.gate.clear()
        stage.change()
        await asyncio.sleep(0.05)
        stage.change()
        stage.gate.set()
        await screen.until("=2")

    play(scene)


def test_who_comes_during_a_rendering_gets_what_comes_of_it():
    """Even where the picture is the same for those who were there."""

    async def scene(stage: Stage) -> None:
        stage.gate.clear()
        first = Screen(stage)
        await asyncio.sleep(0.05)
        second = Screen(stage)
        stage.gate.set()
        await asyncio.gather(first.until("=0"), second.until("=0"))

    play(scene)


def test_an_unchanged_picture_is_not_sent_again():
    """A commit that this topic does not show costs no bytes."""

    async def scene(stage: Stage) -> None:
        screen = Screen(stage)
        await screen.until("=0")
        seen = len(screen.messages)
        stage.hub.touched({"line:main": 1})
        await asyncio.sleep(0.5)
        assert all(b"display-main" not in message for message in screen.messages[seen:])

    play(scene)


def test_a_busy_database_is_tried_again():
    """A screen does not stay behind because one reading failed."""

    async def scene(stage: Stage) -> None:
        screen = Screen(stage)
        await screen.until("=0")
        stage.failures = 1
        stage.change()
        await screen.until("=1")

    play(scene)


def test_nothing_is_rendered_for_nobody():
    """Topics without readers cost nothing, and the next reader gets the present state."""

    async def scene(stage: Stage) -> None:
        screen = Screen(stage)
        await screen.until("=0")
        screen.leave()
        assert stage.hub.readers == 0
        before = stage.renders
        stage.change()
        await asyncio.sleep(0.2)
        assert stage.renders == before
        await Screen(stage).until("=1")

    play(scene)


class Request:
    """One request for a stream, as a server makes it."""

    def __init__(
        self, stage: Stage, check=None, method: str = "GET", *, is_timed: bool = True
    ) -> None:
        self.sent: list[dict] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.goes = asyncio.Event()
        self.is_held_up = False
        stream = LiveStream(stage.hub, ["display-main"], check, is_timed=is_timed)
        scope = {"type": "http", "method": method}
        self.task = asyncio.create_task(stream(scope, self.receive, self.send))

    async def send(self, message) -> None:
        self.is_held_up = not self.takes.is_set()
        await self.takes.wait()
        self.sent.append(message)

    async def began(self) -> None:
        """Wait until its first event was sent."""
        await self.until("event: ")

    async def until(self, text: str) -> None:
        """Wait until this was sent."""
        async with asyncio.timeout(30):
            while True:
                if any(text.encode() in one.get("body", b"") for one in self.sent):
                    return
                await asyncio.sleep(0.005)

    async def receive(self):
        await self.goes.wait()
        return {"type": "http.disconnect"}

    async def over(self) -> None:
        async with asyncio.timeout(30):
            await self.task

    @property
    def is_whole(self) -> bool:
        return not self.sent[-1].get("more_body", True)


def test_a_stream_ends_when_its_reader_goes_away():
    """A handler that never watches would keep every closed connection."""

    async def scene(stage: Stage) -> None:
        request = Request(stage)
        await request.began()
        assert dict(request.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
        assert stage.hub.readers == 1
        request.goes.set()
        await request.over()
        assert stage.hub.readers == 0

    play(scene)


def test_a_stream_ends_when_it_may_not_be_read_any_more(monkeypatch):
    """A session that ended, a device that was revoked, or nobody can say."""
    monkeypatch.setattr(stream_module, "RECHECK_S", 0.02)

    async def scene(stage: Stage) -> None:
        answers = [True, True, False]

        async def is_allowed() -> bool:
            return answers.pop(0)

        async def cannot_say() -> bool:
            raise StorageUnavailable("busy")

        for check in (is_allowed, cannot_say):
            request = Request(stage, check)
            await request.over()
            assert request.is_whole
            assert stage.hub.readers == 0
        assert answers == []

    play(scene)


def test_the_streams_of_a_revoked_device_end_at_once():
    """No beat and no timer is waited for; whoever may read on does."""

    async def scene(stage: Stage) -> None:
        revoked: set[str] = set()

        async def may_read(name: str) -> bool:
            return name not in revoked

        tv, other = (
            Request(stage, partial(may_read, name), is_timed=False) for name in ("tv", "other")
        )
        phone = Request(stage)
        for request in (tv, other, phone):
            await request.until("display-main=0")
        revoked.add("tv")
        stage.change()
        await tv.until("display-main=1")
        assert not tv.task.done()
        stage.hub.touched({DEVICES_TOPIC: 2})
        # Half the time after which a timer would look.
        async with asyncio.timeout(hub_module.CHECK_S / 2):
            await tv.task
        assert tv.is_whole
        assert tv.sent[-2]["body"] == b"event: gone\ndata: \n\n"
        assert stage.hub.readers == 2
        for request in (other, phone):
            request.goes.set()
            await request.over()

    play(scene)


def test_a_device_revoked_while_its_stream_opens_gets_none():
    """Its request was allowed already, and the change was told before the stream was known."""

    async def scene(stage: Stage) -> None:
        async def may_read() -> bool:
            return False

        request = Request(stage, may_read, is_timed=False)
        await request.over()
        assert request.is_whole
        assert stage.hub.readers == 0

    play(scene)


def test_machines_that_only_read_are_looked_at_now_and_then():
    """That is how a TV whose page asks for nothing is still seen."""

    async def scene(stage: Stage) -> None:
        looked: list[int] = []

        async def may_read() -> bool:
            looked.append(1)
            return True

        request = Request(stage, may_read, is_timed=False)
        await asyncio.sleep(hub_module.CHECK_S * 5.5)
        # As it came, and five times since.
        assert len(looked) == 6
        request.goes.set()
        await request.over()

    play(scene, impatiently)


def test_all_streams_end_when_the_server_stops():
    """Nobody waits for streams that never end by themselves."""

    async def scene(stage: Stage) -> None:
        requests = [Request(stage) for _ in range(20)]
        for request in requests:
            await request.until("display-main=0")
        requests[0].takes.clear()
        stage.change()
        for request in requests[1:]:
            await request.until("display-main=1")
        assert requests[0].is_held_up
        stage.hub.end_all()
        await asyncio.gather(*(request.over() for request in requests))
        assert stage.hub.readers == 0
        assert [request.is_whole for request in requests] == [False] + [True] * 19

    play(scene)


def test_head_opens_no_stream():
    """What it asks for is the headers."""

    async def scene(stage: Stage) -> None:
        request = Request(stage, method="HEAD")
        await request.over()
        assert stage.hub.readers == 0
        assert request.is_whole

    play(scene)


def test_lines_of_a_fragment_become_lines_of_an_event():
    """Server-sent events know no bare line feed."""
    assert encode("day-main", "a\nb") == b"event: day-main\ndata: a\ndata: b\n\n"
    assert json.loads(encode("beat", '{"now":1}').split(b"data: ")[1]) == {"now": 1}
