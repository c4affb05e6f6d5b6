"""
One reader of a live stream: sends ready bytes to it, and skips to the latest while it is slow.

A reader that keeps up has no task, queue or event of its own for this: what is sent to it is
handed to the server at once, which only copies it into the connection's buffer.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from starlette.types import Message, Send

SEND_TIMEOUT_S = 45.0
"""
A reader that takes nothing for so long is let go.

The connection itself is ended before, by `web.connections`, under the servers that we start.
"""
log = logging.getLogger(__name__)


def body(data: bytes, *, more: bool = True) -> Message:
    """Make the ASGI message that sends these bytes; all readers may share one."""
    return {"type": "http.response.body", "body": data, "more_body": more}


class Reader:
    """
    One open stream.

    Args:
        send: The request's own ASGI `send`.
        end: Lets the request come to its end; called once at most.
    """

    __slots__ = ("_end", "_is_over", "_pending", "_rest", "_send")

    def __init__(self, send: Send, end: Callable[[], None]) -> None:
        self._send = send
        self._end = end
        self._is_over = False
        self._pending: dict[str, Message] | None = None
        self._rest: asyncio.Task[None] | None = None

    @property
    def is_slow(self) -> bool:
        """Whether it has not taken yet what it was sent."""
        return self._pending is not None

    def put(self, name: str, message: Message) -> None:
        """
        Send this, now or once the reader has taken what it was sent before.

        Args:
            name: Of what waits, only the latest of each name is sent.
            message: As `body` makes it.
        """
        if self._is_over:
            return
        if self._pending is not None:
            self._pending[name] = message
            return
        sending = self._send(message)
        assert isinstance(sending, Coroutine)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return
        except Exception:
            log.exception("a live stream broke off")
            self.end()
            return
        # The connection's buffer is full. Only now does this reader cost a task.
        self._pending = {}
        self._rest = asyncio.create_task(self._catch_up(_rest_of(sending, waits_for)))

    def end(self) -> None:
        """End the stream: it takes nothing any more, may read no more, or the server stops."""
        if not self._is_over:
            self._is_over = True
            self._end()

    def close(self) -> None:
        """Send nothing more and forget what was not sent; the request is at its end."""
        self._is_over = True
        if self._rest is not None:
            self._rest.cancel()

    async def _catch_up(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await sending
            while self._pending:
                latest, self._pending = self._pending, {}
                data = b"".join(message["body"] for message in latest.values())
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._send(body(data))
        except TimeoutError:
            self.end()
        except Exception:
            log.exception("a live stream broke off")
            self.end()
        else:
            self._pending = self._rest = None


@coroutine
def _rest_of(sending: Coroutine[Any, Any, None], waits_for: object) -> Generator[Any, Any, None]:
    """
    Go on in a task with a coroutine that was begun outside of any.

    Args:
        sending: The coroutine; it ran up to its first wait.
        waits_for: What it waits for, as an event loop's task is told it.
    """
    try:
        yield waits_for
    except BaseException:
        sending.close()
        raise
    yield from sending
