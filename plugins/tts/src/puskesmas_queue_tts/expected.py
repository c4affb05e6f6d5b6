"""Which calls are likely today: the numbers after those that were taken, and every counter."""

import re
from dataclasses import replace

from puskesmas_queue.api import Call, TicketFact, word_call

AHEAD = 30
"""So many numbers after each that is taken."""
COUNTERS = 10
"""A clinic has fewer; a further one is spoken when it calls, and kept then."""
FIRST_COUNTERS = 4
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


def likely_texts(ticket: TicketFact, language: str) -> list[str]:
    """Return the halves that will be wanted once a number was taken, the likeliest first."""
    calls = [replace(call, language=language) for call in numbers_from(ticket)]
    numbers = [word_call(call).number_text for call in calls]
    at = [replace(calls[0], counter=counter) for counter in range(1, COUNTERS + 1)]
    directions = [word_call(call).direction_text for call in at]
    first, later = directions[:FIRST_COUNTERS], directions[FIRST_COUNTERS:]
    return [numbers[0], *first, *numbers[1:], *later]
