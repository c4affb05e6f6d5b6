"""One browser without a screen: cookies, one kept connection, forms as the pages send them."""

import http.client
import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from puskesmas_queue.domain.errors import SetupError

AGENT = "puskesmas-queue-simulate/1"
"""What the server keeps of a session that a simulation began."""
ANSWER_S = 10.0
RETRY_S = 0.05
KEPT_S = 2.0
"""A quiet connection is given up before the server does, which would look like a lost answer."""
LOST = (OSError, http.client.HTTPException)
"""What a client sees of a server that is not there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.

    `location` is where it redirects to; `tries` how often it was asked; `seconds` the last time.
    """

    status: int
    location: str
    text: str
    seconds: float
    tries: int = 1


class Client:
    """
    Asks one server.

    Args:
        url: Where it is.
        agent: What the client calls itself.
        cookies: What it was given before, say when it was paired.
    """

    def __init__(
        self, url: str, agent: str = AGENT, cookies: Mapping[str, str] | None = None
    ) -> None:
        self._host = urlsplit(url).netloc
        self._agent = agent
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self._cookies = {"pq_device": secrets.token_urlsafe(16), **(cookies or {})}

    @property
    def cookie(self) -> str:
        """The cookies, as they are sent."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        htmx: bool = False,
    ) -> Answer:
        """
        Send one request.

        Raises:
            OSError, HTTPException: Nobody knows whether it was done.
        """
        headers = {
            "Cookie": self.cookie,
            "Sec-Fetch-Site": "same-origin",
            "User-Agent": self._agent,
            "Accept-Language": "id",
        }
        if htmx:
            headers["HX-Request"] = "true"
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        if time.monotonic() - self._used_at > KEPT_S:
            self.close()
        started = time.perf_counter()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, timeout=ANSWER_S)
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except LOST:
            self.close()
            raise
        self._used_at = time.monotonic()
        for cookie in answer.headers.get_all("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        location = answer.headers.get("location", "")
        return Answer(answer.status, location, text, time.perf_counter() - started)

    def insist(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        htmx: bool = False,
        for_s: float = 30.0,
        again: Callable[[], None] = lambda: None,
    ) -> Answer:
        """
        Send the same request until a server answers it, and not that it is busy starting (503).

        Args:
            for_s: Give up after so long.
            again: Done before each further try.

        Raises:
            SetupError: Nothing answered in time.
        """
        ends = time.monotonic() + for_s
        why = ""
        for tries in itertools.count(1):
            try:
                if tries > 1:
                    again()
                answer = self.ask(method, path, form, htmx=htmx)
                if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    return replace(answer, tries=tries)
                why = "503"
            except LOST as error:
                why = str(error) or type(error).__name__
            if time.monotonic() > ends:
                break
            time.sleep(RETRY_S)
        raise SetupError(f"nothing answers at {self._host}: {why}")

    def close(self) -> None:
        """Give up the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
