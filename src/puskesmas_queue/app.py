"""Composition root: settings → Clinic → Starlette app. Imports everything, decides nothing."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.errors import InvalidRequest, NotFound
from puskesmas_queue.live import sse
from puskesmas_queue.live.hub import Hub
from puskesmas_queue.live.listen import Listener
from puskesmas_queue.live.stream import LiveStream
from puskesmas_queue.live.topics import LiveTopics
from puskesmas_queue.rest import api
from puskesmas_queue.services.readiness import Readiness
from puskesmas_queue.settings import load_config
from puskesmas_queue.web.assets import VersionedFiles
from puskesmas_queue.web.compression import Compression
from puskesmas_queue.web.errors import crash_text, error_page, error_response
from puskesmas_queue.web.limits import Limits
from puskesmas_queue.web.metrics import Metrics
from puskesmas_queue.web.observing import Observed
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.plugin_screens import PluginScreens
from puskesmas_queue.web.public_port import PhoneRoutes
from puskesmas_queue.web.refusals import Refusals
from puskesmas_queue.web.rendering import STATIC, Rendering
from puskesmas_queue.web.routes import (
    account,
    api_docs,
    day,
    deliveries,
    demo,
    devices,
    display,
    health,
    home,
    kiosk,
    kiosk_aloud,
    loket,
    loket_slip,
    pairing,
    plugins,
    ticket,
)
from puskesmas_queue.web.routes import (
    metrics as metrics_page,
)
from puskesmas_queue.web.routing import bare, refuse_undeclared
from puskesmas_queue.web.security import SecurityMiddleware, SecurityOptions
from puskesmas_queue.web.turns import Turns
from puskesmas_queue.workers.outbox import Outbox
from puskesmas_queue.workers.plugins import PluginLives
from puskesmas_queue.workers.timers import Timers

SCREENS = (
    home,
    health,
    metrics_page,
    kiosk,
    kiosk_aloud,
    ticket,
    display,
    loket,
    loket_slip,
    day,
    account,
    plugins,
    deliveries,
    devices,
    pairing,
    api_docs,
)


def build_app(config_path: Path) -> Starlette:
    """
    Build the app that a server process serves.

    Raises:
        SetupError: Configuration or database are wrong.
    """
    return make_app(open_clinic(load_config(config_path)))


def make_app(
    clinic: Clinic, demo_state: "demo.DemoState | None" = None, extra: Iterable[BaseRoute] = ()
) -> Starlette:
    """
    Build the app of an open clinic, which it closes at its end.

    Args:
        clinic: The clinic.
        demo_state: What the demo's page shows; its routes exist only with it.
        extra: More routes.
    """
    rendering = Rendering(clinic, is_demo=demo_state is not None)
    topics = LiveTopics(clinic, rendering)
    hub = Hub(
        topics.render,
        topics.depends_on,
        lambda: int(clinic.clock.now().timestamp() * 1000),
        rendering.asset_version,
    )
    clinic.listen(hub.touched)
    timers = Timers(clinic)
    lives = PluginLives(clinic, Outbox(clinic))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # Thousands of open streams are garbage that never is: look for it less often.
        gc.set_threshold(50_000, 20, 1_000)
        clinic.plugins.log_broken()
        stop_listening = _listener(clinic)
        hub.start()
        ending = asyncio.create_task(LiveStream.end_with_server(hub))
        timers.start()
        lives.start()
        yield
        ending.cancel()
        await hub.stop()
        await run_in_threadpool(timers.stop)
        await run_in_threadpool(lives.stop)
        await run_in_threadpool(stop_listening)
        await run_in_threadpool(clinic.close)

    config = clinic.config.server
    limits = Limits(is_demo=demo_state is not None)
    worker = str(os.getpid()) if config.workers > 1 else ""
    metrics = Metrics(clinic, limits, lambda: (hub.streams_by_kind(), hub.renders), worker)
    routes: list[BaseRoute] = [route for screen in SCREENS for route in screen.routes]
    routes += sse.routes
    routes += PluginScreens(clinic, rendering).routes
    interface = api.Api(clinic.name)
    if demo_state is not None:
        routes += demo.routes
    files = Mount("/static", VersionedFiles(directory=STATIC))
    app = Starlette(
        routes=[PhoneRoutes(routes, files), interface.mount, *routes, *extra, files],
        lifespan=lifespan,
        exception_handlers={404: _http_error, 405: _http_error, 400: _http_error},
        middleware=[
            Middleware(Observed, metrics=metrics.requests),
            Middleware(
                SecurityMiddleware,
                options=SecurityOptions(
                    allow_insecure=config.allow_insecure,
                    trusted_proxies=config.trusted_proxies,
                    keeps_https=config.is_tls and not config.public_port,
                    is_demo=demo_state is not None,
                ),
                crash=_crash,
                limits=limits,
            ),
            Middleware(Turns, limits=limits),
            Middleware(Compression, minimum_size=1024, compresslevel=5),
        ],
    )
    app.state.clinic = clinic
    app.state.rendering = rendering
    app.state.hub = hub
    app.state.api = interface
    app.state.limits = limits
    app.state.refusals = Refusals()
    app.state.metrics = metrics
    app.state.readiness = Readiness(clinic)
    app.state.is_demo = demo_state is not None
    app.state.demo = demo_state
    refuse_undeclared(app)
    return app


def _listener(clinic: Clinic) -> Callable[[], None]:
    if clinic.db.dialect == "sqlite":
        return lambda: None
    listener = Listener(clinic)
    listener.start()
    return listener.stop


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if api.is_call(request):
        return api.http_error(request, error)
    page = Page(bare(request))
    refusal = InvalidRequest("bad request") if error.status_code == 400 else NotFound("no page")
    response = await run_in_threadpool(error_response, page, refusal)
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


def _crash(request: Request, error: Exception) -> Response:
    if api.is_call(request):
        return api.crash(request)
    page = Page(bare(request))
    return error_page(page, 500, crash_text(page))
