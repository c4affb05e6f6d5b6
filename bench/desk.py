"""A counter that calls by the page's own requests, for benchmarks."""

import http.client
import re
from urllib.parse import urlencode, urlsplit

SERVE_FORM = re.compile(r"/loket/tickets/\d+/serve")


class Counter:
    """A logged-in counter that calls and serves as its page does."""

    def __init__(self, url: str, username: str, password: str, number: int = 1) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        self._cookie = ""
        self._serve = ""
        self._post("/login", {"username": username, "password": password})
        self._post("/loket/open", {"counter": str(number)})

    def call(self) -> str:
        """Call the next ticket and return its number, on a new connection as the bare call is."""
        self._connection.close()
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
        self._connection.close()

    def _post(self, path: str, form: dict[str, str]) -> str:
        headers = {
            "Sec-Fetch-Site": "same-origin",
            "HX-Request": "true",
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": self._cookie,
        }
        self._connection.request("POST", path, urlencode(form), headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, (path, answer.status, text[:300])
        for cookie in answer.headers.get_all("set-cookie", []):
            self._cookie = "; ".join(filter(None, (self._cookie, cookie.partition(";")[0])))
        return text
