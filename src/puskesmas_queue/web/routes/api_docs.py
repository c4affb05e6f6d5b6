"""The reading page of the interface for programs, made of its own document."""

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.web.api_reading import models_of, problems_of, subjects_of
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route


def show(page: Page) -> Response:
    """Show what programs may ask for."""
    document = page.request.app.state.api.document
    return page.render(
        "api_docs.html",
        document=document,
        subjects=subjects_of(document),
        models=models_of(document),
        problems=problems_of(document),
    )


routes = [route("/api/docs", show, permission=Permission.PUBLIC)]
