"""The kiosk's own request, and what must hold of the numbers that came of it."""

import secrets
from urllib.parse import urlencode, urlsplit

import harness
import load

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.services.line import today
from puskesmas_queue.settings import Config
from puskesmas_queue.storage.tickets import all_of_day

UNIT = "umum"


class Kiosk:
    """
    Writes requests of many kiosks as Chromium sends them.

    Args:
        url: The server.
        clients: How many kiosks.
        config: The clinic that they were paired with; None for a server that asks for nothing.
    """

    def __init__(self, url: str, clients: int, config: Config | None = None) -> None:
        host = urlsplit(url).netloc
        paired = [{}] if config is None else harness.kiosk_cookies(config)
        self._heads = [
            (
                "POST /kiosk/tickets HTTP/1.1\r\n"
                f"Host: {host}\r\n"
                "Connection: keep-alive\r\n"
                "Cache-Control: max-age=0\r\n"
                f"Origin: http://{host}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
                "(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                "Sec-Fetch-Site: same-origin\r\n"
                "Sec-Fetch-Mode: navigate\r\n"
                "Sec-Fetch-Dest: document\r\n"
                f"Referer: http://{host}/kiosk/unit\r\n"
                "Accept-Language: id\r\n"
                f"Cookie: {_cookies(paired[client % len(paired)])}\r\n"
            ).encode()
            for client in range(clients)
        ]

    def request(self, client: int, number: int) -> bytes:
        """Write the request of one kiosk for one more ticket."""
        answers = {
            "f": secrets.token_urlsafe(15),
            "lane": "general",
            "payment": "bpjs",
            "unit": UNIT,
        }
        body = urlencode(answers).encode()
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        return self._heads[client] + length + body


def _cookies(machine: dict[str, str]) -> str:
    cookies = {"pq_device": secrets.token_urlsafe(16), **machine}
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def codes(run: load.Run) -> list[str]:
    """Return the tickets that a run was given; anything else that came back is no ticket."""
    prefix = "/kiosk/ticket/"
    return [
        answer.location.removeprefix(prefix).partition("?")[0]
        for answer in run.answers
        if answer.status == 303 and answer.location.startswith(prefix)
    ]


def faults(config: Config, asked: int, given: list[str]) -> dict[str, int]:
    """Count what must not be, over everything that a clinic issued today."""
    clinic: Clinic = open_clinic(config)
    try:
        tickets = clinic.db.read(lambda tx: all_of_day(tx, today(clinic)))
    finally:
        clinic.close()
    stored = {ticket.code for ticket in tickets}
    numbers = [ticket.number for ticket in tickets]
    highest = {
        prefix: max(t.sequence for t in tickets if t.prefix == prefix)
        for prefix in {t.prefix for t in tickets}
    }
    return {
        "refused": asked - len(given),
        "duplicates": len(numbers) - len(set(numbers)) + len(given) - len(set(given)),
        "gaps": sum(highest.values()) - len(tickets),
        "lost": len(set(given) - stored),
    }
