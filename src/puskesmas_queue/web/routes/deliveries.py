"""The administrator's pages of what plugins did not hear: sent again, or taken off the list."""

from collections.abc import Sequence

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import Conflict, NotFound
from puskesmas_queue.services import letters, plugin_overview
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route

DELIVERIES = "/admin/deliveries"


def overview(page: Page) -> Response:
    """Show what was given up, a page at a time, and how many of each plugin."""
    before = _number(page.query.get("before"))
    views, older = plugin_overview.letter_views(page.clinic, before)
    return _page(
        page,
        "admin/deliveries.html",
        letters=views,
        plugins=plugin_overview.plugin_letters(page.clinic),
        before=before,
        older=older,
        days=letters.KEPT.days,
        done=page.query.get("done"),
    )


def redeliver(page: Page) -> Response:
    """Try a delivery again that was given up."""
    try:
        letters.redeliver(page.clinic, _id(page), page.actor)
    except NotFound:
        return page.redirect(DELIVERIES, done="gone")
    except Conflict:
        return page.redirect(DELIVERIES, done="refused")
    return page.redirect(DELIVERIES, done="again")


def redeliver_all(page: Page) -> Response:
    """Try all deliveries of a plugin again."""
    try:
        count = letters.redeliver_all(page.clinic, page.path["name"], page.actor)
    except Conflict:
        return page.redirect(DELIVERIES, done="refused")
    return page.redirect(DELIVERIES, done="again-all" if count else "refused")


def ask_dismiss(page: Page) -> Response:
    """Ask whether a delivery is to be taken off the list, and say what that does."""
    try:
        letter = letters.dead_letter(page.clinic, _id(page))
    except NotFound:
        return page.redirect(DELIVERIES, done="gone")
    return _page(page, "admin/delivery_dismiss.html", letter=letter)


def dismiss(page: Page) -> Response:
    """Take a delivery off the list."""
    try:
        letters.dismiss(page.clinic, _id(page), page.actor)
    except NotFound:
        return page.redirect(DELIVERIES, done="gone")
    return page.redirect(DELIVERIES, done="dismissed")


def ask_dismiss_all(page: Page) -> Response:
    """Ask whether all deliveries of a plugin are to be taken off the list."""
    name = page.path["name"]
    found = {one.plugin: one for one in plugin_overview.plugin_letters(page.clinic)}
    until = letters.newest_letter(page.clinic, name)
    if until is None or name not in found:
        return page.redirect(DELIVERIES, done="gone")
    return _page(
        page,
        "admin/delivery_dismiss.html",
        letter=None,
        plugin=found[name],
        until=until,
    )


def dismiss_all(page: Page) -> Response:
    """Take all deliveries of a plugin off the list that were there when it was asked for."""
    until = _number(page.form.get("until"))
    count = letters.dismiss_all(page.clinic, page.path["name"], until or 0, page.actor)
    return page.redirect(DELIVERIES, done="dismissed-all" if count else "gone")


def _page(page: Page, template: str, **context: object) -> Response:
    shown = {"tab": "deliveries", "lost": plugin_overview.lost_count(page.clinic), **context}
    return page.render(template, status=200, **shown)


def _id(page: Page) -> int:
    number = _number(page.path["id"])
    if number is None:
        raise NotFound("no such dead letter")
    return number


def _number(text: str | None) -> int | None:
    """Read an id, None where it can be none."""
    is_id = text is not None and text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if text is not None and is_id else None


_POST: Sequence[str] = ("POST",)
_MAY = Permission.MANAGE_SETTINGS
_ONE = DELIVERIES + "/{id:int}"
_ALL = DELIVERIES + "/of/{name}"
routes = [
    route(DELIVERIES, overview, permission=_MAY),
    route(_ONE + "/redeliver", redeliver, methods=_POST, permission=_MAY),
    route(_ONE + "/dismiss", ask_dismiss, permission=_MAY),
    route(_ONE + "/dismiss", dismiss, methods=_POST, permission=_MAY),
    route(_ALL + "/redeliver", redeliver_all, methods=_POST, permission=_MAY),
    route(_ALL + "/dismiss", ask_dismiss_all, permission=_MAY),
    route(_ALL + "/dismiss", dismiss_all, methods=_POST, permission=_MAY),
]
