"""The page beside a simulated printer: its faults, and what came out of it."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from puskesmas_queue_escpos_printer.paper import WIDTHS, PaperWidth

if TYPE_CHECKING:
    from socket import socket

    from puskesmas_queue_escpos_printer.simulator.printer import PrinterSimulator

FOLDER = Path(__file__).parent
PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
"""File and media type of each piece of the page."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
MOST_THREADS = 8
TIMEOUT_S = 5.0
LONGEST_BODY = 2000
SHOWN = 30
_SLIP = re.compile(r"/slips/(\d{1,9})\.(png|bin)")


class ControlPage:
    """
    A small HTTP server.

    `GET /` is the page, `GET /state` and `GET /address` say how the printer stands and where it
    takes jobs, `GET /slips/3.png` and `.bin` are a slip; `POST /faults` takes a JSON object of
    `simulator.faults.Faults`, and `width_mm`.
    """

    def __init__(self, printer: "PrinterSimulator") -> None:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"printer": printer}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End it and let go of its port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Answers a few at a time; the next ones wait."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST_THREADS)
        super().__init__(*arguments)

    def process_request(self, request: "socket | tuple[bytes, socket]", client: Any) -> None:
        self._free.acquire()
        super().process_request(request, client)

    def process_request_thread(self, request: "socket | tuple[bytes, socket]", client: Any) -> None:
        try:
            super().process_request_thread(request, client)
        finally:
            self._free.release()


def _state(printer: "PrinterSimulator") -> dict[str, object]:
    slips = printer.slips
    return {
        "address": printer.address,
        "width_mm": printer.width_mm,
        "faults": printer.faults.as_dict(),
        "waiting": printer.waiting,
        "printed": slips[-1].number if slips else 0,
        "slips": [
            {
                "number": one.number,
                "at": one.at.isoformat(timespec="seconds"),
                "text": one.text,
                "complaints": one.complaints,
                "is_cut": one.is_cut,
            }
            for one in reversed(slips[-SHOWN:])
        ],
    }


def _switch(printer: "PrinterSimulator", body: bytes) -> None:
    wanted = json.loads(body)
    if not isinstance(wanted, dict):
        raise ValueError("a JSON object is wanted")  # one answer to whatever is sent
    width = wanted.pop("width_mm", printer.width_mm)
    if width not in WIDTHS:
        raise ValueError("width_mm is 80 or 58")
    printer.faults.switch(wanted)
    if width != printer.width_mm:
        printer.load(cast("PaperWidth", width))


class _Handler(BaseHTTPRequestHandler):
    """Answers for one printer."""

    printer: "PrinterSimulator"
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        found = _SLIP.fullmatch(self.path)
        if self.path in PAGE:
            name, media_type = PAGE[self.path]
            self._say((FOLDER / name).read_bytes(), f"{media_type}; charset=utf-8")
        elif self.path == "/address":
            self._say(self.printer.address.encode())
        elif self.path == "/state":
            self._say(json.dumps(_state(self.printer)).encode(), "application/json")
        elif found is not None:
            self._slip(int(found.group(1)), found.group(2))
        else:
            self._say(b"not found", status=404)

    def do_POST(self) -> None:
        # Another site's page, open in the same browser, switches nothing.
        if self.path != "/faults" or self.headers.get("Origin") not in (None, self.printer.url):
            self._say(b"not found", status=404)
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, LONGEST_BODY))
        try:
            _switch(self.printer, body)
        except ValueError as error:
            self._say(str(error).encode(), status=422)
            return
        self._say(json.dumps(_state(self.printer)).encode(), "application/json")

    def _slip(self, number: int, kind: str) -> None:
        slip = next((one for one in self.printer.slips if one.number == number), None)
        if slip is None:
            self._say(b"not found", status=404)
        elif kind == "png":
            self._say(slip.picture.read_bytes(), "image/png")
        else:
            self._say(slip.sent.read_bytes(), "application/octet-stream")

    def _say(
        self, body: bytes, media_type: str = "text/plain; charset=utf-8", status: int = 200
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is the clinic's."""
