"""A slip as text, so that staff can have it printed again; how the visit is paid stays out."""

import json
from dataclasses import asdict, replace
from datetime import date, datetime, tzinfo
from typing import Any

from puskesmas_queue.api import Lane, Slip, Source, TicketFact, TicketState


def write_slip(slip: Slip) -> str:
    """Return a slip as JSON."""
    known = replace(slip, ticket=replace(slip.ticket, payment_type=None))
    return json.dumps(asdict(known), default=_as_text)


def read_slip(text: str, job: str, zone: tzinfo) -> Slip:
    """
    Return the slip that was written, for another job.

    Args:
        text: As `write_slip` made it.
        job: The other one.
        zone: The clinic's; a text keeps the hours that it is away from UTC, and not its name.

    Raises:
        ValueError: It is none, or of another version of the server.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        ticket: dict[str, Any] = values.pop("ticket")
        ticket |= {
            "service_date": date.fromisoformat(ticket["service_date"]),
            "lane": Lane(ticket["lane"]),
            "source": Source(ticket["source"]),
            "state": TicketState(ticket["state"]),
            "issued_at": datetime.fromisoformat(ticket["issued_at"]),
        }
        issued_at = datetime.fromisoformat(values["issued_at"]).astimezone(zone)
        values |= {"issued_at": issued_at, "job": job}
        return Slip(ticket=TicketFact(**ticket), **values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no slip: {error}") from error


def _as_text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no text")
