"""The event loop of a server with TLS: as uvicorn chooses, but that no handshake takes a minute."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.platform != "win32":
    from asyncio import SelectorEventLoop as Plain
else:
    from asyncio import ProactorEventLoop as Plain

if TYPE_CHECKING:
    Fastest = Plain
else:
    try:
        from uvloop import Loop as Fastest
    except ImportError:
        Fastest = Plain

HANDSHAKE_S = 10.0
"""Nothing else sees a connection before its handshake, so this alone ends one that is left so."""


class TlsLoop(Fastest):
    """Gives handshakes less than the 60 s of asyncio and uvloop, which uvicorn cannot change."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """Listen, as ever."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = HANDSHAKE_S
        server: asyncio.Server = await super().create_server(*arguments, **options)
        return server
