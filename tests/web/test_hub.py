"""The hub: one rendering for all, the present state first, a slow reader skips to the latest."""

import asyncio
import json
import threading

import pytest

from puskesmas_queue.domain.errors import StorageUnavailable
from puskesmas_queue.live import hub as hub_module
from puskesmas_queue.live.hub import Hub, encode


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
        self.gate.wait(5)
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("busy")
        self.renders += 1
        return f"{name}={self.value}"

    def change(self) -> None:
        self.value += 1
        self.hub.touched({"line:main": self.value})


async def until(stream, text: str, seen: list[bytes] | None = None) -> bytes:
    async with asyncio.timeout(5):
        async for message in stream:
            if seen is not None:
                seen.append(message)
            if text.encode() in message:
                return message
    raise AssertionError(text)


def play(scene) -> None:
    async def run() -> None:
        stage = Stage()
        stage.hub.start()
        try:
            await scene(stage)
        finally:
            stage.gate.set()
            await stage.hub.stop()

    asyncio.run(run())


def test_a_new_reader_gets_a_beat_and_the_present_state():
    """Nothing needs to be replayed."""

    async def scene(stage: Stage) -> None:
        stage.value = 7
        seen: list[bytes] = []
        await until(stage.hub.stream(["display-main"]), "display-main=7", seen)
        assert b'event: beat\ndata: {"now": 1234, "v": "v1"}\n\n' in b"".join(seen)

    play(scene)


def test_all_readers_share_one_rendering():
    """A hundred screens, one change: one rendering."""

    async def scene(stage: Stage) -> None:
        streams = [stage.hub.stream(["display-main"]) for _ in range(100)]
        await asyncio.gather(*(until(stream, "=0") for stream in streams))
        before = stage.renders
        stage.change()
        messages = await asyncio.gather(*(until(stream, "=1") for stream in streams))
        assert stage.renders == before + 1
        assert len({id(message) for message in messages}) <= len(messages)
        assert {message.count(b"=1") for message in messages} == {1}

    play(scene)


def test_a_slow_reader_skips_to_the_latest():
    """What was not sent yet is replaced, not queued."""

    async def scene(stage: Stage) -> None:
        stream = stage.hub.stream(["display-main"])
        await until(stream, "=0")
        for _ in range(5):
            stage.change()
            await asyncio.sleep(hub_module.RENDER_GAP_S * 1.5)
        message = await until(stream, "=5")
        assert message.count(b"event: display-main") == 1

    play(scene)


def test_a_change_during_a_rendering_is_rendered_again():
    """The last state always arrives."""

    async def scene(stage: Stage) -> None:
        stream = stage.hub.stream(["display-main"])
        await until(stream, "=0")
        stage.gate.clear()
        stage.change()
        await asyncio.sleep(0.05)
        stage.change()
        stage.gate.set()
        await until(stream, "=2")

    play(scene)


def test_an_unchanged_picture_is_not_sent_again():
    """A commit that this topic does not show costs no bytes."""

    async def scene(stage: Stage) -> None:
        seen: list[bytes] = []
        stream = stage.hub.stream(["display-main"])
        await until(stream, "=0", seen)
        stage.hub.touched({"line:main": 1})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                async for message in stream:
                    assert b"display-main" not in message

    play(scene)


def test_a_busy_database_is_tried_again():
    """A screen does not stay behind because one reading failed."""

    async def scene(stage: Stage) -> None:
        stream = stage.hub.stream(["display-main"])
        await until(stream, "=0")
        stage.failures = 1
        stage.change()
        await until(stream, "=1")

    play(scene)


def test_nothing_is_rendered_for_nobody():
    """Topics without readers cost nothing, and the next reader gets the present state."""

    async def scene(stage: Stage) -> None:
        stream = stage.hub.stream(["display-main"])
        await until(stream, "=0")
        await stream.aclose()
        assert stage.hub.readers == 0
        before = stage.renders
        stage.change()
        await asyncio.sleep(0.2)
        assert stage.renders == before
        await until(stage.hub.stream(["display-main"]), "=1")

    play(scene)


def test_lines_of_a_fragment_become_lines_of_an_event():
    """Server-sent events know no bare line feed."""
    assert encode("day-main", "a\nb") == b"event: day-main\ndata: a\ndata: b\n\n"
    assert json.loads(encode("beat", '{"now":1}').split(b"data: ")[1]) == {"now": 1}
