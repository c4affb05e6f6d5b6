"""The route of live streams."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from puskesmas_queue.domain.access import Permission, may
from puskesmas_queue.live.hub import Hub
from puskesmas_queue.live.topics import KINDS, parse_name, parse_names
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import live_route

RECHECK_S = 5.0
"""A stream whose session ended is closed within this time."""
SEND_TIMEOUT_S = 30.0
"""A reader that takes nothing for so long is let go."""
NO_PING_S = 24 * 3600
"""The hub's beat is a named event, which pages can see; comments are not needed."""


def _needs(page: Page) -> Iterable[Permission]:
    names = parse_names(page.clinic, page.path["topics"])
    return {KINDS[parse_name(page.clinic, name).kind] for name in names}


async def live(page: Page) -> Response:
    """Open the stream of the topics that the address names."""
    hub: Hub = page.request.app.state.hub
    names = page.path["topics"].split(",")
    needed = [one for one in _needs(page) if not may(None, one, is_demo=page.is_demo)]
    stream = hub.stream(list(dict.fromkeys(names)))
    if needed:
        stream = _while_allowed(page, needed, stream)
    return EventSourceResponse(stream, ping=NO_PING_S, send_timeout=SEND_TIMEOUT_S)


async def _while_allowed(
    page: Page, needed: list[Permission], stream: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    checked = loop.time()
    async for message in stream:
        if loop.time() - checked >= RECHECK_S:
            checked = loop.time()
            for permission in needed:
                if not await run_in_threadpool(page.is_still_allowed, permission):
                    return
        yield message


routes = [
    live_route(
        "/live/{topics}", live, permission=Permission.PUBLIC, needs=_needs, is_for_phones=True
    )
]
