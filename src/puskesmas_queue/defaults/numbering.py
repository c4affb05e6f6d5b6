"""Numbers like `A-007`."""

from datetime import date

from puskesmas_queue.domain.tickets import format_number
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def format_ticket_number(prefix: str, sequence: int, service_date: date, ctx: Context) -> str:
    """Write the letter and at least three digits."""
    return format_number(prefix, sequence)
