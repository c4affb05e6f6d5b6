"""What the server calls: every function here that is marked `@hookimpl`."""

import logging

from puskesmas_queue.api import Context, Fact, TicketFact, hookimpl

log = logging.getLogger(__name__)


@hookimpl
def ticket_called(fact: Fact, ticket: TicketFact, ctx: Context) -> None:
    """Hear that a ticket was called; the same `fact.id` may come twice."""
    log.warning("%s: %s was called to counter %s", ctx.clinic_name, ticket.number, fact.counter)
