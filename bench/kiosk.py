"""The kiosk's own request, and what must hold of the numbers that came of it."""

import secrets

import harness
import load

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.tickets import Lane, PaymentType, TicketRequest
from puskesmas_queue.services.line import today
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.settings import Config
from puskesmas_queue.simulators.kiosk_requests import KioskRequests, given_codes
from puskesmas_queue.storage.tickets import all_of_day

UNIT = "umum"


class Kiosk(KioskRequests):
    """
    Writes requests of many kiosks as Chromium sends them.

    Args:
        url: The server.
        clients: How many kiosks.
        config: The clinic that they were paired with; None for a server that asks for nothing.
    """

    def __init__(self, url: str, clients: int, config: Config | None = None) -> None:
        paired = [{}] if config is None else harness.kiosk_cookies(config)
        kiosks = [
            {"pq_device": secrets.token_urlsafe(16), **paired[client % len(paired)]}
            for client in range(clients)
        ]
        super().__init__(url, kiosks, UNIT)


def codes(run: load.Run) -> list[str]:
    """Return the tickets that a run was given."""
    return given_codes(run.answers)


def fill_line(config: Config, count: int) -> None:
    """Let so many people wait, with numbers from no kiosk in particular."""
    clinic: Clinic = open_clinic(config)
    try:
        for _ in range(count):
            issue_ticket(clinic, TicketRequest(UNIT, Lane.GENERAL, PaymentType.BPJS), SYSTEM)
    finally:
        clinic.close()


def faults(config: Config, asked: int, given: list[str]) -> dict[str, int]:
    """
    Count what must not be, over everything that a clinic issued today.

    Args:
        config: The clinic.
        asked: How many tickets were asked for.
        given: Codes or ids of those that were given.
    """
    clinic: Clinic = open_clinic(config)
    try:
        tickets = clinic.db.read(lambda tx: all_of_day(tx, today(clinic)))
    finally:
        clinic.close()
    stored = {ticket.code for ticket in tickets} | {str(ticket.id) for ticket in tickets}
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
