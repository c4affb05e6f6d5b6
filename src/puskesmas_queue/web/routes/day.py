"""The page of the day: totals, units, counters and who waits; live and printable."""

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.services import day as day_service
from puskesmas_queue.services.line import known_zone, line_view
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routes.display import clock_context, live_topic
from puskesmas_queue.web.routing import route


def day(page: Page) -> Response:
    """Show the day of a zone."""
    zone = known_zone(page.clinic, page.query.get("zone"))
    return page.render(
        "day.html",
        line=line_view(page.clinic, zone),
        zone=zone,
        topic=live_topic("day", zone, page.lang),
        **clock_context(page),
    )


def confirm_clock(page: Page) -> Response:
    """Confirm that the server's clock is right; any staff member who sees the day may."""
    day_service.confirm_clock(page.clinic, page.actor)
    return page.redirect("/dashboard")


routes = [
    route("/dashboard", day, permission=Permission.DAY_VIEW),
    route(
        "/dashboard/clock/confirm",
        confirm_clock,
        methods=("POST",),
        permission=Permission.DAY_VIEW,
    ),
]
