"""The kiosk's own request as bytes, for clients that send many."""

import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

from puskesmas_queue.simulators.load import Answer

KEY_BYTES = 15
TICKET_PAGE = "/kiosk/ticket/"


class KioskRequests:
    """
    Writes requests of many kiosks as Chromium sends them.

    Args:
        url: The server.
        kiosks: The cookies of each kiosk; clients share them in turn.
        unit: Code of the unit that everybody asks for.
    """

    def __init__(self, url: str, kiosks: Sequence[Mapping[str, str]], unit: str) -> None:
        host = urlsplit(url).netloc
        self._unit = unit
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
                f"Cookie: {_header(kiosk)}\r\n"
            ).encode()
            for kiosk in kiosks
        ]

    def request(self, client: int, number: int) -> bytes:
        """Write the request of one client for one more ticket; each has a key of its own."""
        answers = {
            "f": secrets.token_urlsafe(KEY_BYTES),
            "lane": "general",
            "payment": "bpjs",
            "unit": self._unit,
        }
        body = urlencode(answers).encode()
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        return self._heads[client % len(self._heads)] + length + body


def given_codes(answers: Sequence[Answer]) -> list[str]:
    """Return the tickets that were given; anything else that came back is no ticket."""
    return [
        answer.location.removeprefix(TICKET_PAGE).partition("?")[0]
        for answer in answers
        if answer.status == 303 and answer.location.startswith(TICKET_PAGE)
    ]


def _header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
