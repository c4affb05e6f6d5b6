"""A program's request for a number, by REST with a bearer token and a key of its own."""

import json
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx2 as httpx
import load
from kiosk import UNIT

from puskesmas_queue.settings import Config

TICKETS = "/api/v1/tickets/"
KEY_BYTES = 15


class Program:
    """
    Writes requests of a program that logged in with the first counter's account.

    Args:
        url: The server.
        config: The clinic, with its logins beside it.
    """

    def __init__(self, url: str, config: Config) -> None:
        username, password = json.loads((config.folder / "logins.json").read_text())[0]
        asked = {"username": username, "password": password}
        answer = httpx.post(f"{url}/api/v1/token", json=asked, timeout=30)
        answer.raise_for_status()
        self._body = json.dumps({"unit": UNIT, "lane": "general", "payment_type": "bpjs"}).encode()
        self._head = (
            f"POST {TICKETS.rstrip('/')} HTTP/1.1\r\n"
            f"Host: {urlsplit(url).netloc}\r\n"
            "User-Agent: hall-screen/2.0\r\n"
            "Accept: application/json\r\n"
            "Content-Type: application/json\r\n"
            f"Authorization: Bearer {answer.json()['access']}\r\n"
            f"Content-Length: {len(self._body)}\r\n"
        ).encode()

    def request(self, client: int, number: int) -> bytes:
        """Write the request for one more ticket."""
        key = f"Idempotency-Key: {secrets.token_urlsafe(KEY_BYTES)}\r\n\r\n".encode()
        return self._head + key + self._body


def ids(answers: Sequence[load.Answer]) -> list[str]:
    """Return the tickets that were given, by id; anything else that came back is no ticket."""
    return [
        answer.location.removeprefix(TICKETS)
        for answer in answers
        if answer.status == 201 and answer.location.startswith(TICKETS)
    ]
