"""The route of live streams."""

from collections.abc import Iterable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from puskesmas_queue.domain.access import OF_DEVICES, Permission, may
from puskesmas_queue.live.hub import Hub
from puskesmas_queue.live.stream import LiveStream
from puskesmas_queue.live.topics import KINDS, parse_name, parse_names
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import live_route


def _needs(page: Page) -> Iterable[Permission]:
    names = parse_names(page.clinic, page.path["topics"])
    return {KINDS[parse_name(page.clinic, name).kind] for name in names}


async def live(page: Page) -> Response:
    """Open the stream of the topics that the address names."""
    hub: Hub = page.request.app.state.hub
    names = parse_names(page.clinic, page.path["topics"])
    needed = [one for one in _needs(page) if not may(None, one, is_demo=page.is_demo)]
    if not needed:
        return LiveStream(hub, names)
    is_timed = not OF_DEVICES.issuperset(needed)
    return LiveStream(hub, names, partial(_is_allowed, page, needed), is_timed=is_timed)


async def _is_allowed(page: Page, needed: list[Permission]) -> bool:
    for permission in needed:
        if not await run_in_threadpool(page.is_still_allowed, permission):
            return False
    return True


routes = [
    live_route(
        "/live/{topics}", live, permission=Permission.PUBLIC, needs=_needs, is_for_phones=True
    )
]
