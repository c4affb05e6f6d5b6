"""
Pages, links and panels of plugins.

Each plugin has threads of its own for them: a slow page takes none from the core. Handlers and
templates are foreign code, so both run on a guard thread under a deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Principal, may
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.plugin_host.describing import UNSTORABLE
from puskesmas_queue.plugin_host.outcomes import Fault, PluginFailed
from puskesmas_queue.plugin_pages import (
    SLOTS,
    NavItem,
    PageHandler,
    Panel,
    PluginRequest,
    PluginRoute,
    PluginUser,
    TemplateAnswer,
)
from puskesmas_queue.services.plugin_screens import AtCounter, at_counter
from puskesmas_queue.web.assets import VersionedFiles
from puskesmas_queue.web.page import Page, whole_number
from puskesmas_queue.web.plugin_answers import Fill, Made, Nonsense, make, make_panel
from puskesmas_queue.web.plugin_templates import PluginTemplates
from puskesmas_queue.web.rendering import Rendering
from puskesmas_queue.web.routing import DeclaredRoute, route
from puskesmas_queue.web.threads import Threads

PAGE_DEADLINE_S = 10.0
PAGE_BUSY_S = 3.0
"""A page may compute for longer than a fact: somebody waits for it, a report say."""
MOST_THREADS = 4
TICKET_SLOT = "counter.ticket"

Look = Callable[[str, object, Fill], Made | Nonsense]


@dataclass(frozen=True, slots=True)
class NavLink:
    """A link to a plugin's page, in one language."""

    label: str
    path: str


@dataclass(frozen=True, slots=True)
class PanelPlace:
    """Where a panel is loaded from, in one language."""

    id: str
    title: str
    path: str


class PluginScreens:
    """
    The screens of a clinic's plugins; asks each plugin once what it brings.

    Args:
        clinic: Whose plugins they are.
        rendering: Shows their links and panels from now on.
    """

    def __init__(self, clinic: Clinic, rendering: Rendering) -> None:
        self._screens = [_Screens(clinic, rendering, name) for name in clinic.plugins.names]
        self.routes: list[BaseRoute] = [one for own in self._screens for one in own.routes]
        rendering.screens = self

    def nav(self, principal: Principal | None, lang: str) -> tuple[NavLink, ...]:
        """Return the links that somebody sees."""
        return tuple(
            NavLink(own.gettext(lang, item.label), own.base + item.path)
            for own in self._screens
            for item in own.nav
            if may(principal, item.permission)
        )

    def gettext(self, plugin: str, lang: str, text: str) -> str:
        """Return a text of a plugin in a language; as it is where the plugin is not active."""
        own = (one for one in self._screens if one.plugin == plugin)
        found = next(own, None)
        return text if found is None else found.gettext(lang, text)

    def panels(self, slot: str, principal: Principal | None, lang: str) -> tuple[PanelPlace, ...]:
        """Return the panels that somebody sees at one place."""
        return tuple(
            PanelPlace(
                f"panel-{own.plugin}-{panel.name}",
                own.gettext(lang, panel.title),
                own.panel_path(panel),
            )
            for own in self._screens
            for panel in own.panels
            if panel.slot == slot and may(principal, SLOTS[slot])
        )


class _Screens:
    """The screens of one plugin."""

    def __init__(self, clinic: Clinic, rendering: Rendering, plugin: str) -> None:
        self.plugin = plugin
        self.base = f"/x/{plugin}"
        self._clinic = clinic
        self._threads = Threads(MOST_THREADS)
        complain = partial(self._report, "register_routes")
        self._templates = PluginTemplates(
            plugin, clinic.plugins.folder(plugin), rendering, complain
        )
        brought = clinic.contributions
        self.nav: tuple[NavItem, ...] = brought.nav(plugin)
        self.panels: tuple[Panel, ...] = brought.panels(plugin)
        self.routes: list[BaseRoute] = [self._panel(panel) for panel in self.panels]
        folder = self._templates.static_folder
        if folder is not None:
            self.routes.append(Mount(f"{self.base}/static", VersionedFiles(directory=folder)))
        for one in brought.routes(plugin):
            try:
                self.routes.append(self._page(one))
            except ValueError as error:
                # Two dots, or the same name in two braces.
                self._report("register_routes", f"{one.path}: {error}")

    def panel_path(self, panel: Panel) -> str:
        """Return where a panel is loaded from."""
        return f"{self.base}/panels/{panel.name}"

    def gettext(self, lang: str, text: str) -> str:
        """Return one of the plugin's texts in a language; plain, whatever class it was of."""
        return self._templates.gettext(lang, str.__str__(text))

    def _page(self, one: PluginRoute) -> DeclaredRoute:
        if {".", ".."} & set(one.path.split("/")):
            raise ValueError("its path must be like /rooms/{number}")

        def show(page: Page) -> Response:
            try:
                made = self._ask(page, f"page {one.path}", one.handler, make)
            except PluginFailed:
                return self._failed(page)
            return self._send(page, made)

        return route(
            self.base + one.path,
            show,
            methods=one.methods,
            permission=one.permission,
            threads=self._threads,
            max_upload_bytes=one.max_upload_bytes,
        )

    def _panel(self, panel: Panel) -> DeclaredRoute:
        def show(page: Page) -> Response:
            about = self._about(page) if panel.slot == TICKET_SLOT else None
            try:
                made = self._ask(page, f"panel {panel.name}", panel.handler, make_panel, about)
            except PluginFailed:
                made = None
            if page.is_htmx and made is not None:
                # Facts come after the page that they are about: then the panel is asked again.
                again = {"x-panel-again": "1"} if about is not None and about.is_owed else None
                return HTMLResponse(made.content, headers=again)
            template = "plugin/failed.html" if page.is_htmx else "plugin/panel.html"
            # What a plugin rendered is HTML; its own environment escaped the values.
            inner = None if made is None else Markup(made.content.decode())  # noqa: S704
            return page.render(
                template,
                plugin=self.plugin,
                plugin_style=self._templates.style,
                title=self.gettext(page.lang, panel.title),
                inner=inner,
                here="",
            )

        # The page asks by itself when it shows a panel: nobody need be there.
        return route(
            self.panel_path(panel),
            show,
            permission=SLOTS[panel.slot],
            extends=False,
            threads=self._threads,
        )

    def _ask(
        self,
        page: Page,
        name: str,
        handler: PageHandler,
        look: Look,
        about: AtCounter | None = None,
    ) -> Made:
        """
        Let a handler answer and fill its template in, both under the deadline.

        Raises:
            PluginFailed: It did not, or what it answered is of no use; that was reported.
        """
        request = self._request(page, about)
        context = self._clinic.plugin_context(self.plugin)
        fill = self._filling(page)

        def task() -> Made | Nonsense:
            return look(self.plugin, handler(request, context), fill)

        made: Made | Nonsense = self._clinic.hooks.run(
            self.plugin, name, task, PAGE_DEADLINE_S, PAGE_BUSY_S
        )
        if isinstance(made, Nonsense):
            self._report(name, made.detail)
            raise PluginFailed(made.detail)
        return made

    def _request(self, page: Page, about: AtCounter | None) -> PluginRequest:
        request = page.request
        path: str = request.scope["path"]
        return PluginRequest(
            method="POST" if request.method == "POST" else "GET",
            path=path.removeprefix(self.base),
            values=page.path,
            query=page.query,
            form=page.form,
            language=page.lang,
            user=_user(page),
            ticket=None if about is None else about.ticket,
            counter=None if about is None else about.counter,
            files=page.files,
        )

    def _about(self, page: Page) -> AtCounter:
        text = page.query.get("ticket", "")
        if not text:
            raise NotFound("a panel of the counter is about a ticket")
        return at_counter(page.clinic, whole_number(text), self.plugin)

    def _filling(self, page: Page) -> Fill:
        """Fill in templates for a request, of which they see what the frame of a page needs."""
        lang, screens = page.lang, page.rendering.screens
        links = screens.nav(page.principal, lang) if screens else ()
        frame: dict[str, Any] = {
            "page": None,
            "principal": _user(page),
            "insecure": not page.facts.is_https and not page.facts.is_local,
            "here": page.request.scope["path"],
            "plugin_nav": lambda principal: links,
        }

        def fill(answer: TemplateAnswer) -> str | None:
            if not self._templates.has(answer.template, lang):
                return None
            return self._templates.render(answer.template, lang, answer.values, **frame)

        return fill

    def _send(self, page: Page, made: Made) -> Response:
        if made.redirect is not None:
            # htmx follows to a panel of the plugin's; any other page is shown whole.
            is_panel = made.redirect.startswith(f"{self.base}/panels/")
            return page.redirect(made.redirect, full=not is_panel)
        return Response(made.content, made.status, media_type=made.media_type)

    def _failed(self, page: Page) -> Response:
        _ = page.gettext
        return page.render(
            "error.html",
            status=503,
            status_code=503,
            title=_("Halaman plugin %(name)s sedang bermasalah", name=self.plugin),
            detail=_(
                "Antrean dan loket tetap jalan. Coba lagi nanti atau beri tahu administrator."
            ),
        )

    def _report(self, hook: str, detail: str) -> None:
        shown = UNSTORABLE.sub("?", detail)[:500]
        self._clinic.hooks.report(Fault(self.plugin, hook, "nonsense", shown))


def _user(page: Page) -> PluginUser | None:
    who = page.principal
    if who is None or who.is_locked:
        return None
    return PluginUser(who.user_id, who.name, who.role)
