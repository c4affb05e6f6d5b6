"""
`puskesmas-queue serve` with one route more, for `live.py`.

`POST /bench/publish` commits the smallest change there is: the line has a new version and nothing
else. What follows is what every change brings: each live topic of the line is rendered and sent.
Run as `live_server.py CONFIG`.
"""

import socket
import sys
from pathlib import Path

import uvicorn
from starlette.responses import Response

from puskesmas_queue.app import make_app
from puskesmas_queue.cli.serve import (
    BACKLOG,
    SWITCH_S,
    address,
    uvicorn_options,
)
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.settings import load_config
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route

ZONE = "main"


def publish(page: Page) -> Response:
    """Give the line a new version."""
    page.clinic.db.write(lambda tx: tx.touch(line_topic(ZONE)))
    return Response(status_code=204)


def main() -> None:
    """Serve as `serve` does."""
    sys.setswitchinterval(SWITCH_S)
    config = load_config(Path(sys.argv[1]), {})
    clinic = open_clinic(config)
    extra = [route("/bench/publish", publish, methods=("POST",), permission=Permission.PUBLIC)]
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        print(f"serves at {address(listener)}", flush=True)
        app = make_app(clinic, extra=extra)
        uvicorn.Server(uvicorn.Config(app, **uvicorn_options(config))).run(sockets=[listener])


if __name__ == "__main__":
    main()
