"""The crowd of `crowd` by REST: programs that issue, and one that drives all counters."""

import http.client
import json
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from puskesmas_queue.simulators.client import ANSWER_S, LOST
from scale.crowd import VISITS, Crowd

IDLE_S = 0.02


class Login:
    """One login that many threads share; whoever finds it over logs in again for all."""

    def __init__(self, port: int, username: str, password: str) -> None:
        self._port = port
        self._credentials = {"username": username, "password": password}
        self._lock = threading.Lock()
        self._refresh: str | None = None
        self.token = ""

    def renew(self, old: str, until: float) -> None:
        """Take a new token, unless another thread has one already."""
        with self._lock:
            if self.token != old:
                return
            caller = Caller(self._port, self)
            if self._refresh is not None:
                status, given = caller.insist("/token/refresh", {"refresh": self._refresh}, until)
            if self._refresh is None or status != 200:
                # The answer to a refresh may have died with the server: that login is lost.
                status, given = caller.insist("/token", self._credentials, until)
            assert status == 200, given
            self.token, self._refresh = given["access"], given["refresh"]
            caller.close()


class Caller:
    """One connection of a program, kept for as long as it lasts."""

    def __init__(self, port: int, login: Login) -> None:
        self._port = port
        self.login = login
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str, document: Mapping[str, Any], key: str | None) -> tuple[int, Any]:
        """
        Send one POST.

        Raises:
            OSError, HTTPException: Nobody knows whether it was done.
        """
        headers = {"Content-Type": "application/json"}
        if self.login.token:
            headers["Authorization"] = f"Bearer {self.login.token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=ANSWER_S
                )
            self._connection.request("POST", f"/api/v1{path}", json.dumps(document), headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except LOST:
            self.close()
            raise
        return answer.status, json.loads(text) if text else None

    def insist(self, path: str, document: Mapping[str, Any], until: float) -> tuple[int, Any]:
        """Send the same request, with the same key, until a server answers it."""
        is_login = path.startswith("/token")
        key = None if is_login else secrets.token_urlsafe(15)
        while True:
            token = self.login.token
            try:
                status, answer = self.ask(path, document, key)
                if status == 401 and not is_login:
                    self.login.renew(token, until)
                elif status < 500:
                    return status, answer if is_login else {"key": key, "document": answer}
                trouble = f"{status}: {answer}"
            except LOST as error:
                trouble = repr(error)
            if time.monotonic() > until:
                raise AssertionError(f"{path} was never answered: {trouble}")
            time.sleep(0.05)

    def close(self) -> None:
        """Give up the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Programs(Crowd):
    """Programs that issue, and one login that calls at every counter."""

    _login: Login | None = None

    def come(self, kiosks: list[dict[str, str]], passwords: list[str]) -> None:
        """Log in once for all, and let everybody begin."""
        self._login = Login(self.port, "loket1", passwords[0])
        super().come(kiosks, passwords)

    def _client(self, machine: Mapping[str, str] | None) -> Caller:
        assert self._login is not None
        return Caller(self.port, self._login)

    def _kiosk(self, client: Caller) -> None:
        while (number := next(self._left)) < self.tickets and not self.faults:
            visit = VISITS[number % len(VISITS)]
            asked = {
                "unit": visit["unit"],
                "lane": visit["lane"],
                "payment_type": visit["payment"],
                "priority_reason": visit.get("reason"),
            }
            status, answer = client.insist("/tickets", asked, self._until)
            assert status == 201, (status, answer)
            self.given[answer["key"]] = answer["document"]["code"]

    def _counter(
        self, client: Caller, number: int, password: str, opened: threading.Barrier
    ) -> None:
        status, answer = client.insist(f"/counters/{number}/open", {}, self._until)
        assert status == 200, (status, answer)
        opened.wait()
        served = self.served.setdefault(number, [])
        while not self._is_over:
            # A call whose answer was lost comes back with its key: nobody is called twice.
            status, answer = client.insist(f"/counters/{number}/call-next", {}, self._until)
            if status == 204:
                time.sleep(IDLE_S)
                continue
            assert status == 200, (status, answer)
            ticket = answer["document"]["id"]
            status, answer = client.insist(f"/tickets/{ticket}/serve", {}, self._until)
            assert status == 200, (status, answer)
            served.append(ticket)
