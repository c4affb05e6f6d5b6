"""`/metrics`: for programs of this machine, or for whoever has the token, or for nobody."""

import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.settings import ServerConfig
from puskesmas_queue.web.connections import SCOPE_STATE
from puskesmas_queue.web.metrics import MEDIA_TYPE, Metrics
from puskesmas_queue.web.routing import DeclaredRoute
from puskesmas_queue.web.security import facts_of
from puskesmas_queue.web.threads import Threads

_THREADS = 1
"""Whoever asks for them more often than they can be counted waits, and holds up no page."""


def _may(request: Request) -> bool:
    config: ServerConfig = request.app.state.clinic.config.server
    if config.metrics == "local":
        return facts_of(request).is_local
    if config.metrics == "token":
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and secrets.compare_digest(
            token.strip().encode(), config.metrics_token.encode()
        )
    return False


async def metrics(request: Request) -> Response:
    """Tell them; to whoever may not, there is no such page."""
    if not _may(request):
        return PlainTextResponse("not found", 404)
    found: Metrics = request.app.state.metrics
    if not hasattr(request.app.state, "metrics_threads"):
        request.app.state.metrics_threads = Threads(_THREADS)
    connections = request.scope.get("state", {}).get(SCOPE_STATE)
    text = await request.app.state.metrics_threads.run(found.text, connections)
    return Response(text, media_type=MEDIA_TYPE)


routes = [
    DeclaredRoute(
        "/metrics", metrics, methods=("GET",), permission=Permission.PUBLIC, name="metrics"
    )
]
