"""The whole interface: its calls, their routes, and the document about them."""

import json
from functools import cached_property
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.rest.endpoint import PREFIX, Endpoint
from puskesmas_queue.rest.openapi import build_document
from puskesmas_queue.rest.pipeline import JSON, routes_of
from puskesmas_queue.rest.problems import KINDS, Refused, refuse_early, speaker_of
from puskesmas_queue.rest.routes import counters, devices, line, live, tickets, token, units
from puskesmas_queue.web.routing import DeclaredRoute

ENDPOINTS: tuple[Endpoint, ...] = (
    *token.endpoints,
    *units.endpoints,
    *tickets.endpoints,
    *counters.endpoints,
    *line.endpoints,
    *live.endpoints,
    *devices.endpoints,
)


class Api:
    """
    The interface of one clinic.

    Args:
        clinic_name: For the document's title.
    """

    def __init__(self, clinic_name: str) -> None:
        self._clinic_name = clinic_name

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document; made when it is first asked for."""
        return build_document(ENDPOINTS, self._clinic_name)

    @property
    def mount(self) -> Mount:
        """Every call and the document; one address, so that no call passes by every page."""
        document = DeclaredRoute(
            "/openapi.json",
            self._openapi,
            methods=("GET",),
            permission=Permission.PUBLIC,
            name="openapi",
        )
        return Mount(PREFIX, routes=[*routes_of(ENDPOINTS), document])

    async def _openapi(self, request: Request) -> Response:
        return Response(self._text, media_type=JSON)

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.document, ensure_ascii=False)


def is_call(request: Request) -> bool:
    """Say whether a request is a program's, which is answered in JSON whatever happens."""
    return request.url.path.startswith(PREFIX + "/")


def http_error(request: Request, error: HTTPException) -> Response:
    """Answer a call that has no route, or not with this method."""
    speaker = speaker_of(request)
    if error.status_code == 405:
        allowed = {"allow": ", ".join(_methods(request.url.path))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allowed)
        return refuse_early(speaker, Refused("method-not-allowed", headers=allowed))
    kind = next(
        (kind for kind, status in KINDS.items() if status == error.status_code), "malformed"
    )
    return refuse_early(speaker, Refused(kind))


def crash(request: Request) -> Response:
    """Answer a call that failed in a way that nobody expected."""
    return refuse_early(speaker_of(request), Refused("crashed"))


def _methods(path: str) -> list[str]:
    """Name the methods that a path of this interface answers to."""
    scope = {"type": "http", "path": path, "root_path": PREFIX, "headers": []}
    found = {"OPTIONS"}
    for route in Api("").mount.routes:
        assert isinstance(route, DeclaredRoute)
        methods = route.methods or set()
        matched, _ = route.matches({**scope, "method": next(iter(methods))})
        if matched.value:
            found |= methods
    return sorted(found)
