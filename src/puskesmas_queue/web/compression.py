"""Compression of what is read; clinics have slow networks and phones old ones."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send


class Compression(GZipMiddleware):
    """
    Compresses answers to GET; those to a POST are redirects or small, and must be quick.

    A live stream is not even looked at: each event of each reader would pass through here.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        is_read = scope["type"] == "http" and scope["method"] == "GET"
        if is_read and "/live/" not in scope["path"]:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
