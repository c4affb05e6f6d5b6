"""
What exists on `server.public_port`, the plain-HTTP port of patients' phones.

Their phones do not trust a clinic's own authority, so a ticket's page is there as plain text. All
else is not there: a route is on that port only if it says so. Nothing there reads or sets a cookie.

Source: security rules, "Pages".
"""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from puskesmas_queue.web.security import PUBLIC_PORT


class PublicPort:
    """
    Marks what comes in by the public port; `PhoneRoutes` and the security middleware look for it.

    Args:
        app: The app that the other port serves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection of the public port."""
        await self.app({**scope, PUBLIC_PORT: True}, receive, send)


class PhoneRoutes(BaseRoute):
    """
    Takes every request of the public port, and none of the other: first among an app's routes.

    Args:
        routes: Those of the app; only the ones marked `is_for_phones` exist here.
        files: Static files, which exist here too.
    """

    def __init__(self, routes: Iterable[BaseRoute], files: BaseRoute) -> None:
        marked = [one for one in routes if getattr(one, "is_for_phones", False)]
        self.router = Router([*marked, files])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take a request by its port, not by its path: what is unknown here is known nowhere."""
        return (Match.FULL if scope.get(PUBLIC_PORT) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the marked route, or that there is none."""
        await self.router(scope, receive, send)
