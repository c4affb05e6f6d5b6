"""
The server processes of `serve`: one or several, with TLS and the phones' port beside it or without.

Everything of uvicorn's is here. The phones' port has a server of its own in the same process,
on the same app: it begins when the app has begun and ends before the app does.
"""

import asyncio
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from puskesmas_queue.app import build_app
from puskesmas_queue.cli.loops import TlsLoop
from puskesmas_queue.cli.serve import SWITCH_S, uvicorn_options
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.logs import set_up
from puskesmas_queue.settings import Config
from puskesmas_queue.tls import TlsFiles
from puskesmas_queue.web.public_port import PublicPort


@dataclass(frozen=True)
class AppMaker:
    """
    Makes the app of one process; it travels to worker processes, with the socket in it.

    Args:
        config: The configuration file.
        phones: Listens on the phones' port, if there is one.
        options: How that port is served.
        log_format: Of this process's log.
    """

    config: Path
    phones: socket.socket | None
    options: Mapping[str, Any]
    log_format: str = "text"

    def __call__(self) -> ASGIApp:
        """Make the app."""
        sys.setswitchinterval(SWITCH_S)
        set_up(self.log_format)
        app = build_app(self.config)
        return app if self.phones is None else WithPhones(app, self.phones, self.options)


@dataclass(frozen=True)
class Tls:
    """Makes the TLS of one process; a context itself cannot travel."""

    files: TlsFiles

    def __call__(self, config: object, default: object) -> SSLContext:
        """Make it, as uvicorn asks for it."""
        return self.files.context()


class WithPhones:
    """
    An app that has a second server for as long as it lives.

    Args:
        app: Serves both.
        listener: The phones' port.
        options: How uvicorn serves it.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, options: Mapping[str, Any]) -> None:
        self.app = app
        self._listener = listener
        config = uvicorn.Config(PublicPort(app), lifespan="off", **options)
        config.load()
        self._server = _Beside(config)
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; begin and end with the app."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._end()
            return message

        async def tell(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._begin()
            await send(message)

        await self.app(scope, hear, tell)

    async def _begin(self) -> None:
        self._running = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        await self._server.began.wait()
        if not self._server.started:
            await self._running

    async def _end(self) -> None:
        self._server.should_exit = True
        if self._running is not None:
            await self._running


class _Beside(uvicorn.Server):
    """A server whose process has another one, which hears the signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so; also where it could not."""
        try:
            await super().startup(sockets)
        finally:
            self.began.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def serve_on(config: Config, listener: socket.socket, phones: socket.socket | None) -> None:
    """
    Serve until told to stop.

    Args:
        config: Says how many processes, and whether with TLS.
        listener: The port of staff and screens.
        phones: The phones' own port, if there is one.

    Raises:
        SetupError: The server could not begin; its log says why.
    """
    options = uvicorn_options(config)
    make_app = AppMaker(config.path, phones, options, config.server.log_format)
    if config.tls_paths is not None:
        options = {**options, "ssl_context_factory": Tls(TlsFiles(*config.tls_paths))}
        if sys.platform != "win32" or config.server.workers == 1:
            # Several processes on Windows need the other loop that uvicorn takes by itself.
            options["loop"] = f"{TlsLoop.__module__}:{TlsLoop.__name__}"
    workers = config.server.workers
    if workers > 1:
        # uvicorn calls what makes an app in each worker.
        several = uvicorn.Config(make_app, factory=True, workers=workers, **options)
        parent = Multiprocess(several, sockets=[listener])
        parent.run()
        if any(one.process.exitcode == STARTUP_FAILURE for one in parent.processes):
            raise SetupError("a worker of the server could not start")
        return
    server = uvicorn.Server(uvicorn.Config(make_app(), **options))
    server.run(sockets=[listener])
    if not server.started:
        raise SetupError("the server could not start")
