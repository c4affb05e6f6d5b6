"""The landing page: what this server is and where its screens are."""

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.services.line import default_zone, seen_line
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route


def home(page: Page) -> Response:
    """Show the landing page; on the phones' own port all that is there for them."""
    if page.facts.is_public_port:
        return page.redirect("/t")
    return page.render("home.html", line=seen_line(page.clinic, default_zone(page.clinic)))


routes = [route("/", home, permission=Permission.PUBLIC, is_for_phones=True)]
