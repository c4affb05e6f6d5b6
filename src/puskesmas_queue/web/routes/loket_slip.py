"""The slip of a number that staff took for somebody, printed from the counter's computer."""

from starlette.responses import JSONResponse, Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.services import providers
from puskesmas_queue.services.line import ticket_view
from puskesmas_queue.web.page import DEFAULT_LANGUAGE, Page
from puskesmas_queue.web.routes.loket_page import number_of
from puskesmas_queue.web.routing import route


def show(page: Page) -> Response:
    """Show a number; the page prints once what the link at the counter named."""
    job = page.query.get("job", "")
    return page.render(
        "loket/slip.html",
        view=ticket_view(page.clinic, page.path["code"]),
        by_page=providers.is_printed_by_page(page.clinic),
        job=job if providers.JOB.fullmatch(job) else "",
    )


def print_slip(page: Page) -> Response:
    """Print by the clinic's printers; the patient reads it, so in the clinic's own language."""
    counter = number_of(page)
    order = providers.PrintOrder(
        page.path["code"],
        DEFAULT_LANGUAGE,
        "counter",
        place_name="" if counter is None else str(counter),
        job=page.form.get("job", ""),
    )
    printed = providers.print_slip(page.clinic, order)
    return JSONResponse({"state": printed.state})


routes = [
    route("/loket/slip/{code}", show, permission=Permission.CALL),
    route(
        "/loket/slip/{code}/print",
        print_slip,
        methods=("POST",),
        permission=Permission.CALL,
        asks_neighbour=True,
    ),
]
