"""
Routes that declare what they ask for, and the check before every handler.

A route of a screen is made by `route` or `live_route` only; `declared_routes` lists what an app
has, so that a test can walk role × route × method, and `refuse_undeclared` stops an app with any
other route from starting.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from puskesmas_queue.domain.access import EVERYBODY, OF_DEVICES, Permission, Principal
from puskesmas_queue.domain.errors import (
    FilesTooLarge,
    Forbidden,
    NotFound,
    QueueError,
    SetupError,
    StorageUnavailable,
    TokenRefused,
)
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.web.bodies import FILE_FORM, Body, kind_of, read_body
from puskesmas_queue.web.errors import error_response
from puskesmas_queue.web.observing import QUIET, WHO
from puskesmas_queue.web.page import Page, local_path
from puskesmas_queue.web.public_port import PhoneRoutes
from puskesmas_queue.web.rendering import LANGUAGES
from puskesmas_queue.web.security import facts_of
from puskesmas_queue.web.threads import Threads

PAIRING_PATH = "/pair"
"""Where a browser becomes a machine of the clinic."""

Handler = Callable[[Page], Response]
LiveHandler = Callable[[Page], Awaitable[Response]]
A = TypeVar("A")
Needs = Callable[[Page], Iterable[Permission]]


class DeclaredRoute(Route):
    """A route that says what it asks for."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        methods: Sequence[str],
        permission: Permission,
        name: str,
        is_for_phones: bool = False,
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods), name=name)
        self.permission = permission
        self.is_for_phones = is_for_phones


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one route of an app is; `permission` is None where nobody declared one."""

    path: str
    methods: tuple[str, ...]
    permission: Permission | None
    is_for_phones: bool = False


def route(
    path: str,
    handler: Handler,
    *,
    methods: Sequence[str] = ("GET",),
    permission: Permission,
    extends: bool = True,
    asks_neighbour: bool = False,
    threads: Threads | None = None,
    is_for_phones: bool = False,
    max_upload_bytes: int = 0,
) -> DeclaredRoute:
    """
    Make a route of a screen.

    Args:
        path: As Starlette writes it, `/t/{code}`.
        handler: Sync; runs in the thread pool after the permission was checked.
        methods: What it answers to; GET brings HEAD.
        permission: What it asks for.
        extends: Whether a request shows that somebody is there. False for what a page asks
            for by itself, say when the line changed: that must not keep a session alive.
        asks_neighbour: Whether it waits for something like a printer. Such handlers have threads
            of their own: silent printers must not take those that numbers are given in.
        threads: Run everything about it in these, not in those that the core's pages share.
        is_for_phones: Whether `server.public_port` has it too, where everything is plain text:
            patients' phones need it, and nothing secret passes.
        max_upload_bytes: How much the files of a form may hold together; 0 where it takes none.
    """

    async def endpoint(request: Request) -> Response:
        request.scope[QUIET] = not extends
        run = (threads or threads_of(request, asks_neighbour)).run
        body, answer_with = Body(), handler
        if max_upload_bytes and kind_of(request) == FILE_FORM:
            # Nothing large is read of whoever may not send it.
            refusal = await run(_answer, request, body, _nothing, permission, extends)
            if refusal is not None:
                return refusal
        try:
            body = await read_body(request, max_upload_bytes)
        except FilesTooLarge as error:
            answer_with = partial(_refuse, error)
        return await run(_answer, request, body, answer_with, permission, extends)

    return DeclaredRoute(
        path,
        endpoint,
        methods=methods,
        permission=permission,
        name=_name(handler),
        is_for_phones=is_for_phones,
    )


def live_route(
    path: str,
    handler: LiveHandler,
    *,
    permission: Permission,
    needs: Needs | None = None,
    is_for_phones: bool = False,
) -> DeclaredRoute:
    """
    Make a route of a stream.

    Its session is looked up once at the start, if anything it needs asks for one, and is not
    extended by it.

    Args:
        path: As Starlette writes it.
        handler: Async; answers with the stream.
        permission: What every request to it asks for.
        needs: What this very request asks for besides, say by its topics.
        is_for_phones: As for `route`; what it needs must be public there, or it is not there.
    """

    async def endpoint(request: Request) -> Response:
        opened = await threads_of(request).run(_open_live, request, permission, needs)
        return opened if isinstance(opened, Response) else await handler(opened)

    return DeclaredRoute(
        path,
        endpoint,
        methods=("GET",),
        permission=permission,
        name=_name(handler),
        is_for_phones=is_for_phones,
    )


def declared_routes(app: Starlette) -> tuple[Declaration, ...]:
    """List all routes of an app; mounted static files are public by nature."""
    return tuple(_declarations(app.routes, ""))


def refuse_undeclared(app: Starlette) -> None:
    """
    Stop an app that has a route of unknown permission. `app.py` calls this once it is built.

    Raises:
        SetupError: With the first such route.
    """
    for declaration in declared_routes(app):
        if declaration.permission is None:
            raise SetupError(f"route {declaration.path} declares no permission")


def _declarations(routes: Iterable[BaseRoute], prefix: str) -> Iterator[Declaration]:
    for one in routes:
        path = prefix + getattr(one, "path", "?")
        if isinstance(one, DeclaredRoute):
            methods = tuple(sorted(one.methods or ()))
            yield Declaration(path, methods, one.permission, one.is_for_phones)
        elif isinstance(one, PhoneRoutes):
            continue  # these are listed where the other port has them
        elif isinstance(one, Mount) and isinstance(one.app, StaticFiles):
            yield Declaration(path, ("GET", "HEAD"), Permission.PUBLIC)
        elif isinstance(one, Mount) and one.routes:
            yield from _declarations(one.routes, path)
        else:
            yield Declaration(path, (), None)


def threads_of(request: Request, asks_neighbour: bool = False) -> Threads:
    """Choose threads: while changes wait for a disk or a lock, pages are shown all the same."""
    state = request.app.state
    if not hasattr(state, "threads"):
        state.threads = {kind: Threads() for kind in ("read", "change", "neighbour")}
    kind = "read" if request.method in ("GET", "HEAD") else "change"
    threads: Threads = state.threads["neighbour" if asks_neighbour else kind]
    return threads


def _answer(
    request: Request,
    body: Body,
    handler: Callable[[Page], A],
    permission: Permission,
    extends: bool,
) -> A | Response:
    """Run a handler in the thread pool, once it is known that it may run."""
    try:
        _refuse_bearer(request)
        principal = _principal(request, permission, extend=extends)
        page = Page(request, body.fields, principal, body.document, body.files)
    except QueueError as error:
        return error_response(Page(bare(request)), error)
    try:
        refusal = _refusal(page, permission)
        request.scope[WHO] = page.who
        return refusal or handler(page)
    except QueueError as error:
        return error_response(page, error)


def _nothing(page: Page) -> None:
    """Answer nothing: only whether somebody may was asked."""


def _refuse(error: QueueError, page: Page) -> Response:
    return error_response(page, error)


def _open_live(request: Request, permission: Permission, needs: Needs | None) -> "Page | Response":
    try:
        _refuse_bearer(request)
        page = Page(request)
        wanted = [permission, *(needs(page) if needs is not None else ())]
        if page.facts.is_public_port and set(wanted) != {Permission.PUBLIC}:
            raise NotFound("not for phones")
    except QueueError as error:
        return error_response(Page(bare(request)), error)
    try:
        for one in wanted:
            page.principal = page.principal or _principal(request, one, extend=False)
        for one in wanted:
            refusal = _refusal(page, one)
            if refusal is not None:
                return refusal
    except QueueError as error:
        return error_response(page, error)
    return page


def _refuse_bearer(request: Request) -> None:
    """Refuse a program's token: pages know cookies only, the API tokens only."""
    if request.headers.get("authorization", "").partition(" ")[0].lower() == "bearer":
        raise TokenRefused("pages take no token")


def _principal(request: Request, permission: Permission, *, extend: bool) -> Principal | None:
    token = facts_of(request).session_token
    if token is None or permission in OF_DEVICES:
        return None
    return sessions.load_session(request.app.state.clinic, token, extend=extend)


def _refusal(page: Page, permission: Permission) -> Response | None:
    """Answer whoever may not; None for whoever may."""
    if permission not in EVERYBODY:
        page.machine = page.machine_for(permission)
    if page.may(permission):
        return None
    if permission is Permission.DEMO:
        return error_response(page, NotFound("not a demo"))
    if permission in OF_DEVICES:
        return _ask(page, f"{PAIRING_PATH}?for={permission}", comes_back=False)
    if page.principal is None:
        return _ask(page, "/login")
    if page.principal.is_locked:
        return _ask(page, "/unlock")
    method, path = page.request.method, page.request.url.path
    with suppress(StorageUnavailable):
        accounts.record_refusal(page.clinic, permission, method, path, page.actor)
    return error_response(page, Forbidden(permission.value))


def _ask(page: Page, path: str, *, comes_back: bool = True) -> Response:
    """Send to a form that asks for the password or the code."""
    request = page.request
    if page.is_htmx or request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401, headers={"HX-Redirect": path} if page.is_htmx else None)
    wanted = None
    if comes_back and request.method in ("GET", "HEAD"):
        query = f"?{request.url.query}" if request.url.query else ""
        wanted = local_path(request.url.path + query)
    return page.redirect(path, next=wanted)


def bare(request: Request) -> Request:
    """Leave out all but the language of what could not be read: the page about it can be made."""
    lang = request.query_params.get("lang")
    kept = f"lang={lang}".encode() if lang in dict(LANGUAGES) else b""
    return Request({**request.scope, "query_string": kept, "path_params": {}})


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__name__", type(handler).__name__)
