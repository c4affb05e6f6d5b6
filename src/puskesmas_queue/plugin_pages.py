"""
Pages and panels that a plugin brings along: what they are asked, and what they answer.

Shapes only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from puskesmas_queue.domain.access import Permission, Role
from puskesmas_queue.domain.events import TicketFact
from puskesmas_queue.extensions import Context

SLOTS: Mapping[str, Permission] = {
    "counter.ticket": Permission.CALL,
    "dashboard": Permission.DAY_VIEW,
}
"""Where panels may be: below the ticket at a counter, and below the figures of the day."""

MAX_UPLOAD_BYTES = 10_000_000
"""The most that a plugin's page may take in files: they are held in memory."""


@dataclass(frozen=True, slots=True)
class PluginUser:
    """
    Who asks for a page.

    Args:
        id: Of the account.
        name: As colleagues know them.
        role: What the account is for.
    """

    id: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class PluginFile:
    """
    A file that was sent with a form.

    Args:
        name: As it is called where it came from, without folders; up to 200 characters.
        media_type: What the browser says that it is; only its content tells.
        content: All of it.
    """

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PluginRequest:
    """
    A request for a plugin's page or panel.

    Args:
        method: `GET` or `POST`.
        path: The page's path below `/x/<plugin>`, such as `/rooms/3`.
        values: What stood in the path's braces.
        query: What stood behind the question mark, the last of each name.
        form: What was sent, the last of each name.
        language: `id` or `en`.
        user: Who is logged in; None where the page asks for nobody.
        ticket: The ticket at the counter, for a panel of `counter.ticket`.
        counter: The counter that this ticket is at, for a panel of `counter.ticket`.
        files: That were chosen in the form, the last of each name, where the route takes any.
    """

    method: str
    path: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    language: str
    user: PluginUser | None
    ticket: TicketFact | None = None
    counter: int | None = None
    files: Mapping[str, PluginFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateAnswer:
    """
    A template of the plugin's folder `templates/`, filled in.

    A page extends `plugin/page.html` and fills its blocks `title` and `content`; a panel is a
    piece of HTML. Everything is escaped; `_("…")` looks into the plugin's catalogues. A name that
    is in no value is an error.

    Args:
        template: Its name, `calls.html` say.
        values: What it says by name.
        status: The HTTP status; 422 for a form that has to be filled in again.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """
    Anything else: JSON, CSV, plain text.

    Args:
        content: What is sent; a text in UTF-8.
        media_type: What it is.
        status: The HTTP status.
    """

    content: str | bytes
    media_type: str = "text/plain; charset=utf-8"
    status: int = 200


@dataclass(frozen=True, slots=True)
class RedirectAnswer:
    """
    Another page of this server, after a form was sent say.

    Args:
        path: `/loket` or another page of the core, or one below the plugin's own `/x/<plugin>`,
            with what stands behind `?` and `#`.
    """

    path: str


Answer = TemplateAnswer | TextAnswer | RedirectAnswer
PageHandler = Callable[[PluginRequest, Context], Answer]


@dataclass(frozen=True, slots=True)
class PluginRoute:
    """
    A page below `/x/<plugin>`.

    Args:
        path: `/` or `/rooms/{number}`.
        handler: Sync, 10 s.
        permission: What it asks for.
        methods: `GET`, `POST` or both.
        max_upload_bytes: How much the files of a form may hold together, up to 10,000,000; 0 where
            it takes none.
    """

    path: str
    handler: PageHandler
    permission: Permission
    methods: tuple[str, ...] = ("GET",)
    max_upload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NavItem:
    """
    A link in the navigation of staff.

    Args:
        label: What it says, looked up in the plugin's catalogues.
        path: Of a page of the plugin's own, as its route says it.
        permission: Who sees it.
    """

    label: str
    path: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class Panel:
    """
    A piece of a core page, loaded by the page after it was shown.

    Args:
        slot: `counter.ticket`, below the ticket at a counter, for whoever has `CALL`; or
            `dashboard`, below the figures of the day, for `DAY_VIEW`.
        name: Small letters, digits and hyphens; part of its address.
        title: Its heading.
        handler: Sync, 10 s; answers with a template or `text/html`.
    """

    slot: str
    name: str
    title: str
    handler: PageHandler
