"""A webhook to try the plugin with, which can be told to fail."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Webhook:
    """
    Takes calls at `/calls` and lists them there.

    `POST /faults` with a number lets it refuse that many calls.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.received: list[dict[str, object]] = []
        self.refusals = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/calls"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it and let go of its port; a second time there is nothing to end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/faults":
                    webhook.refusals = int(body or 0)
                    self._say(200)
                elif webhook.refusals > 0:
                    webhook.refusals -= 1
                    self._say(503)
                else:
                    signature = self.headers.get("X-Signature")
                    webhook.received.append({**json.loads(body), "signature": signature})
                    self._say(200)

            def do_GET(self) -> None:
                self._say(200, json.dumps(webhook.received).encode())

            def _say(self, status: int, body: bytes = b"{}") -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: the terminal is the clinic's."""

        return Handler
