"""A counter that calls by the page's own requests, for benchmarks."""

import re

from puskesmas_queue.simulators.client import Client

SERVE_FORM = re.compile(r"/loket/tickets/\d+/serve")


class Counter:
    """A logged-in counter that calls and serves as its page does."""

    def __init__(self, url: str, username: str, password: str, number: int = 1) -> None:
        self._client = Client(url)
        self._serve = ""
        self._post("/login", {"username": username, "password": password})
        self._post("/loket/open", {"counter": str(number)})

    @property
    def cookie(self) -> str:
        """What its browser sends."""
        return self._client.cookie

    def call(self) -> str:
        """Call the next ticket and return its number, on a new connection as the bare call is."""
        self._client.close()
        text = self._post("/loket/call-next", {})
        form, number = SERVE_FORM.search(text), re.search(r"A-\d{3,}", text)
        assert form is not None, text[:300]
        assert number is not None, text[:300]
        self._serve = form[0]
        return number[0]

    def serve(self) -> None:
        """Begin to serve it."""
        self._post(self._serve, {})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, path: str, form: dict[str, str]) -> str:
        answer = self._client.ask("POST", path, form, htmx=True)
        assert answer.status < 400, (path, answer.status, answer.text[:300])
        return answer.text
