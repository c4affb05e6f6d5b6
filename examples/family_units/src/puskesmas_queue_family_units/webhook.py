"""Posts a call to the clinic's webhook, signed."""

import hashlib
import hmac
import ipaddress
import json
import socket

import httpx

from puskesmas_queue.api import Fact, TicketFact
from puskesmas_queue_family_units.settings import Settings

TIMEOUT_S = 5.0


class NotTaken(Exception):
    """The receiver did not take the call; the server tells the fact again later."""


def body_of(fact: Fact, ticket: TicketFact) -> bytes:
    """Return what is posted: nothing that would tell who the patient is."""
    told = {
        "id": fact.id,
        "number": ticket.number,
        "counter": fact.counter,
        "unit": ticket.unit,
        "at": fact.at.isoformat(),
    }
    return json.dumps(told).encode()


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(client: httpx.Client, settings: Settings, fact_id: str, body: bytes) -> None:
    """
    Post a call.

    Raises:
        NotTaken: The address is not allowed, nobody answered, or the answer was no.
    """
    assert settings.address is not None
    if not settings.allow_private:
        _refuse_private(settings.address.host or "")
    headers = {"Content-Type": "application/json", "X-Event-Id": fact_id}
    if settings.secret is not None:
        headers["X-Signature"] = sign(settings.secret.get_secret_value(), body)
    try:
        with client.stream("POST", str(settings.address), content=body, headers=headers) as answer:
            status = answer.status_code
    except httpx.HTTPError as error:
        raise NotTaken(f"no answer: {type(error).__name__}") from error
    if not 200 <= status < 300:
        raise NotTaken(f"answer {status}")


def _refuse_private(host: str) -> None:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise NotTaken(f"unknown host {host}") from error
    for address in found:
        if not ipaddress.ip_address(address).is_global:
            raise NotTaken(f"{host} is in a private network, which the settings do not allow")
