"""
From a declared call to a route: read, check who asks, validate, carry out, answer.

Cookies are never looked at, so a browser's session is worth nothing here and no page of somebody
else can use it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from puskesmas_queue.domain.access import Permission, Principal, may
from puskesmas_queue.domain.devices import Device
from puskesmas_queue.domain.errors import Forbidden, NotFound, QueueError, StorageUnavailable
from puskesmas_queue.rest.call import Call, actor_of, caller_of
from puskesmas_queue.rest.endpoint import PREFIX, Endpoint, Handler, LiveHandler
from puskesmas_queue.rest.problems import (
    Refused,
    Speaker,
    field_errors,
    refuse,
    refuse_early,
    speaker_of,
)
from puskesmas_queue.services import accounts
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.web.observing import WHO
from puskesmas_queue.web.routing import DeclaredRoute, threads_of
from puskesmas_queue.web.security import facts_of

KEY = re.compile(r"[\x21-\x7e]{8,80}")
JSON = "application/json"
EVENTS = "text/event-stream"
PARAMETERS: Mapping[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "id": (re.compile(r"[1-9][0-9]{0,14}"), int),
    "number": (re.compile(r"[1-9][0-9]{0,8}"), int),
    "code": (re.compile(r"[A-Za-z0-9_-]{1,20}"), str),
    "topic": (re.compile(r"[A-Za-z0-9_.,-]{1,200}"), str),
}
"""What stands in an address, and how it is read; anything else is not there."""


def route_of(endpoint: Endpoint) -> DeclaredRoute:
    """Make the route of a call, below the interface's own address."""
    is_live = endpoint.media == EVENTS

    async def answer(request: Request) -> Response:
        sent = await request.body() if endpoint.method != "GET" else b""
        checked = await threads_of(request).run(_answer, request, endpoint, sent, is_live)
        if isinstance(checked, Response):
            return checked
        return await cast(LiveHandler, endpoint.handler)(checked)

    return DeclaredRoute(
        endpoint.path,
        answer,
        methods=(endpoint.method,),
        permission=endpoint.permission,
        name=endpoint.name,
    )


def routes_of(endpoints: Iterable[Endpoint]) -> list[BaseRoute]:
    """Make the routes of calls."""
    return [route_of(endpoint) for endpoint in endpoints]


def _answer(request: Request, endpoint: Endpoint, sent: bytes, is_live: bool) -> Response | Call:
    """Carry a call out in the thread pool; a stream's is only checked."""
    speaker = speaker_of(request)
    try:
        call = _checked(request, speaker, endpoint, sent)
        if is_live:
            return call
        return _written(cast(Handler, endpoint.handler)(call))
    except Refused as refused:
        return refuse_early(speaker, refused)
    except QueueError as error:
        return refuse(speaker, error)


def _written(done: Reply) -> Response:
    if not done.text:
        return Response(status_code=done.status)
    headers = {"location": PREFIX + done.location} if done.location else None
    return Response(done.text, done.status, headers, JSON)


def _checked(request: Request, speaker: Speaker, endpoint: Endpoint, sent: bytes) -> Call:
    caller = None if endpoint.is_public else _caller(request, speaker, endpoint)
    _check_accept(request, endpoint)
    return Call(
        request,
        speaker,
        endpoint,
        caller,
        path=_path(request),
        sent=sent,
        body=_body(request, speaker, endpoint, sent),
        query=_query(request, speaker, endpoint),
        key=_key(request, speaker, endpoint),
    )


def _caller(request: Request, speaker: Speaker, endpoint: Endpoint) -> Principal | Device:
    facts = facts_of(request)
    caller = caller_of(speaker.clinic, facts, request.headers.get("authorization"))
    if caller is None:
        raise Refused("unauthorized")
    if isinstance(caller, Device):
        request.scope[WHO] = {"device": caller.mark}
    else:
        request.scope[WHO] = {"user": caller.user_id}
    if not may(caller, endpoint.permission):
        refuse_role(request, speaker, endpoint.permission, caller)
    return caller


def refuse_role(
    request: Request, speaker: Speaker, permission: Permission, caller: Principal | Device
) -> None:
    """
    Audit that somebody asked for what they may not, and refuse it.

    Raises:
        Forbidden: In any case.
    """
    actor = actor_of(caller, facts_of(request))
    with suppress(StorageUnavailable):
        accounts.record_refusal(speaker.clinic, permission, request.method, request.url.path, actor)
    raise Forbidden(permission.value)


def _check_accept(request: Request, endpoint: Endpoint) -> None:
    accepted = request.headers.get("accept")
    if not accepted:
        return
    kind = endpoint.media.partition("/")[0]
    names = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    if names.isdisjoint({"*/*", f"{kind}/*", endpoint.media}):
        raise Refused("not-acceptable")


def _path(request: Request) -> dict[str, Any]:
    found = {}
    for name, text in request.path_params.items():
        pattern, read = PARAMETERS[name]
        if pattern.fullmatch(text) is None:
            raise NotFound(f"no {name} of this form")
        found[name] = read(text)
    return found


def _body(request: Request, speaker: Speaker, endpoint: Endpoint, sent: bytes) -> BaseModel | None:
    if endpoint.method == "GET":
        return None
    if not sent and not endpoint.is_body_needed:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused("unsupported-media-type")
    if endpoint.body is None:
        raise Refused("malformed")
    try:
        return endpoint.body.model_validate_json(sent)
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors(include_input=False)):
            raise Refused("malformed") from None
        raise Refused("invalid", field_errors(speaker, error, "/")) from None


def _query(request: Request, speaker: Speaker, endpoint: Endpoint) -> BaseModel | None:
    if endpoint.query is None:
        return None
    try:
        return endpoint.query.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise Refused("invalid", field_errors(speaker, error, "")) from None


def _key(request: Request, speaker: Speaker, endpoint: Endpoint) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None or endpoint.method != "POST":
        return None
    if KEY.fullmatch(key) is None:
        detail = speaker.gettext("8 sampai 80 karakter ASCII tanpa spasi.")
        fault = {"pointer": "Idempotency-Key", "kind": "key", "detail": detail}
        raise Refused("invalid", [fault])
    return key
