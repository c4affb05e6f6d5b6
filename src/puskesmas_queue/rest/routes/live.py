"""Live streams for programs: the topics of the screens, by bearer token."""

from collections.abc import Iterable

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission, Principal, may
from puskesmas_queue.domain.devices import Device
from puskesmas_queue.domain.errors import NotFound, QueueError
from puskesmas_queue.live.hub import Hub
from puskesmas_queue.live.stream import LiveStream
from puskesmas_queue.live.topics import KINDS, parse_name, parse_names
from puskesmas_queue.rest.call import Call, caller_of
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.pipeline import EVENTS, refuse_role
from puskesmas_queue.rest.problems import refuse
from puskesmas_queue.services.tokens import principal_of
from puskesmas_queue.web.routing import threads_of

OF_NUMBERS = frozenset({Permission.PUBLIC, Permission.KIOSK, Permission.DISPLAY})
"""Topics with numbers only ask a program for `LINE_VIEW`."""


async def stream_live(call: Call) -> Response:
    """Stream live topics."""
    hub: Hub = call.request.app.state.hub
    threads = threads_of(call.request)
    refusal = await threads.run(_refusal, call)
    if refusal is not None:
        return refusal
    names = parse_names(call.clinic, call.path["topic"])
    return LiveStream(hub, names, lambda: threads.run(_is_still_allowed, call))


def _refusal(call: Call) -> Response | None:
    try:
        assert call.caller is not None  # the permission asks for one
        for permission in _needs(call):
            if not may(call.caller, permission):
                refuse_role(call.request, call.speaker, permission, call.caller)
    except QueueError as error:
        return refuse(call.speaker, error)
    return None


def _needs(call: Call) -> Iterable[Permission]:
    kinds = {
        parse_name(call.clinic, one).kind for one in parse_names(call.clinic, call.path["topic"])
    }
    return {Permission.LINE_VIEW if KINDS[one] in OF_NUMBERS else KINDS[one] for one in kinds}


def _is_still_allowed(call: Call) -> bool:
    """Look again, mostly from memory."""
    try:
        now = _again(call)
    except QueueError:
        return False
    return now is not None and all(may(now, one) for one in _needs(call))


def _again(call: Call) -> Principal | Device | None:
    """Find out anew who the token belongs to; its login counts, not the token's own end."""
    if isinstance(call.caller, Principal):
        return principal_of(call.clinic, call.family)
    return caller_of(call.clinic, call.facts, call.request.headers.get("authorization"))


endpoints = (
    Endpoint(
        "GET",
        "/live/{topic}",
        stream_live,
        Permission.LINE_VIEW,
        "live",
        summary="Stream live topics as server-sent events",
        answers={200: None},
        refusals=(NotFound,),
        media=EVENTS,
        more="A topic is a kind and a hall, phone-main; several are parted by commas. The present "
        "state comes first, then each change, and an event beat every 2 seconds. JSON come phone "
        "(called, order), kiosk (units) and speech; display, counter and day are pieces of pages. "
        "The stream ends within 5 seconds after the login did; it outlives its access token.",
    ),
)
