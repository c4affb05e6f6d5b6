"""
The answer that is a live stream.

Source: docs/decisions/0022-live-streams.md
"""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from puskesmas_queue.live.hub import Check, Hub, end_refused
from puskesmas_queue.live.reader import Reader, body

RECHECK_S = 4.0
"""A stream whose session may have ended is looked at so often."""


class LiveStream(EventSourceResponse):
    """
    Topics of the hub, sent to one reader until it goes away.

    The library's headers, its answer to HEAD and its notice of the server's end; not its tasks and
    its generator for every reader: the request's own task waits for the reader to go away, and the
    hub sends.

    Args:
        hub: Where the topics are.
        names: Live topics; unknown ones must have been refused before.
        check: Asked when a device was changed; None where everybody may read.
        is_timed: Whether it is asked from time to time as well: nothing tells of a session's end.
    """

    def __init__(
        self, hub: Hub, names: list[str], check: Check | None = None, *, is_timed: bool = True
    ) -> None:
        super().__init__(_nothing())
        self._hub = hub
        self._names = names
        self._check = check
        self._is_timed = is_timed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        loop = asyncio.get_running_loop()
        watching: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(None) as life:
                reader = Reader(send, lambda: life.reschedule(loop.time()))
                if self._check is not None and self._is_timed:
                    watching = asyncio.create_task(_watch(self._check, reader))
                self._hub.add(reader, self._names, self._check)
                try:
                    if self._check is not None:
                        # What changed after the request was allowed, and before it was added.
                        await end_refused(self._check, reader)
                    # Without this look a closed connection would never be noticed.
                    while (await receive())["type"] != "http.disconnect":
                        pass
                finally:
                    self._hub.remove(reader, self._names)
                    if watching is not None:
                        watching.cancel()
        except TimeoutError:
            # A reader that takes nothing would not take the end either.
            if not reader.is_slow:
                await send(body(b"", more=False))

    @classmethod
    async def end_with_server(cls, hub: Hub) -> None:
        """Wait until the server is told to stop, then end all streams: else it waits for them."""
        await cls._listen_for_exit_signal()
        hub.end_all()


async def _watch(check: Check, reader: Reader) -> None:
    is_over = False
    while not is_over:
        await asyncio.sleep(RECHECK_S)
        is_over = await end_refused(check, reader)


async def _nothing() -> AsyncIterator[bytes]:
    """Stand for the generator that the library wants, and never asks."""
    yield b""
