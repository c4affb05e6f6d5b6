"""Which calls are likely today: the numbers after those that were taken, and every counter."""

import re
from dataclasses import replace

from puskesmas_queue.api import Call, TicketFact, word_call

AHEAD = 30
"""So many numbers after each that is taken."""
COUNTERS = 10
"""A clinic has fewer; each further one is spoken in advance once it called."""
_NUMBER = re.compile(r"(.*?)(\d{1,9})", re.DOTALL)


def numbers_from(ticket: TicketFact, ahead: int = AHEAD) -> list[Call]:
    """
    Return a number that was taken and those that will be, as calls of counter 1.

    Where the clinic's numbers do not end with their sequence nobody knows the next ones.
    """
    found = _NUMBER.fullmatch(ticket.number)
    first = Call(ticket.number, ticket.prefix, ticket.sequence, 1, "id")
    if found is None or int(found[2]) != ticket.sequence:
        return [first]
    stem, width = found[1], len(found[2])
    later = range(ticket.sequence + 1, ticket.sequence + ahead + 1)
    return [
        first,
        *(replace(first, number=f"{stem}{one:0{width}d}", sequence=one) for one in later),
    ]


def number_texts(ticket: TicketFact, language: str, ahead: int = AHEAD) -> list[str]:
    """Return the halves that say these numbers."""
    calls = numbers_from(ticket, ahead)
    return [word_call(replace(call, language=language)).number_text for call in calls]


def direction_texts(language: str) -> list[str]:
    """Return the halves that say where to go."""
    calls = [Call("A-001", "A", 1, counter, language) for counter in range(1, COUNTERS + 1)]
    return [word_call(call).direction_text for call in calls]
