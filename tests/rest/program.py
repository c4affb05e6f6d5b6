"""A program that uses the interface: a token, and no cookie."""

from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

UMUM = {"unit": "umum", "lane": "general", "payment_type": "bpjs"}
LANSIA = {**UMUM, "lane": "priority", "priority_reason": "lansia"}


@dataclass
class Program:
    """Sends requests below `/api/v1`; `headers` go along with each."""

    client: TestClient
    token: str | None = None
    refresh: str = ""
    username: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def log_in(self, username: str, password: str) -> Any:
        """Log in, and keep the tokens."""
        answer = self.post("/token", {"username": username, "password": password})
        if answer.status_code == 200:
            self.keep(answer.json())
            self.username = username
        return answer

    def keep(self, given: dict[str, Any]) -> None:
        """Use these tokens from now on."""
        self.token, self.refresh = given["access"], given["refresh"]

    def get(self, path: str, **more: str) -> Any:
        """Read."""
        return self.ask("GET", path, headers=more)

    def post(self, path: str, document: Any = None, **more: str) -> Any:
        """Ask for a change; `more` are headers, with `_` for `-`."""
        return self.ask("POST", path, json=document, headers=more)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Send a request."""
        given = {name.replace("_", "-"): text for name, text in more.pop("headers", {}).items()}
        headers = {**self.headers, **given}
        if self.token is not None:
            headers.setdefault("authorization", f"Bearer {self.token}")
        if more.get("json", 0) is None:
            del more["json"]
        self.client.cookies.clear()
        return self.client.request(method, "/api/v1" + path, headers=headers, **more)
