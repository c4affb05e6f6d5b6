"""For whoever watches the server, and the clinic's own colour."""

from starlette.responses import JSONResponse, PlainTextResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.web.connections import SCOPE_STATE
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route

THEME = """\
:root {{
  --brand: {colour};
  --brand-strong: color-mix(in srgb, {colour} 80%, black);
  --soft: color-mix(in srgb, {colour} 12%, white);
}}
"""


def healthz(page: Page) -> Response:
    """Say that the process answers."""
    return PlainTextResponse("ok")


def readyz(page: Page) -> Response:
    """Say whether a number could be given: database, units, a clock that can be trusted."""
    connections = page.request.scope.get("state", {}).get(SCOPE_STATE)
    is_stopping = connections is not None and connections.is_stopping
    why = "stopping" if is_stopping else page.request.app.state.readiness.why_not()
    # A screen's start page is a file of its own device: a foreign origin that must see this.
    return JSONResponse(
        {"ready": why is None, "why": why},
        200 if why is None else 503,
        {"access-control-allow-origin": "*"},
    )


def theme(page: Page) -> Response:
    """Serve the clinic's accent colour as a style sheet, since nothing may stand inline."""
    colour = page.clinic.settings.get("clinic.accent_colour")
    css = THEME.format(colour=colour) if colour else ""
    return Response(css, media_type="text/css")


routes = [
    route("/healthz", healthz, permission=Permission.PUBLIC, is_for_phones=True),
    route("/readyz", readyz, permission=Permission.PUBLIC),
    route("/theme.css", theme, permission=Permission.PUBLIC, is_for_phones=True),
]
