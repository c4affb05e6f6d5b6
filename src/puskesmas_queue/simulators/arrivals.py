"""Who comes to a puskesmas: lanes, reasons, payments and units, drawn from a seed."""

import random
from collections.abc import Sequence

from puskesmas_queue.domain.tickets import Lane, PaymentType, PriorityReason, TicketRequest

PRIORITY_SHARE = 0.3
BPJS_SHARE = 0.74
FIRST_UNIT_SHARE = 0.5
"""Half of the patients go to the first unit, the general one."""


def dice(seed: int | str) -> random.Random:
    """Return dice that always fall the same way for a seed."""
    return random.Random(seed)  # noqa: S311 - plays people, guards nothing


def draw_request(
    rng: random.Random,
    units: Sequence[str],
    lane: Lane | None = None,
    unit: str | None = None,
    priority_share: float = PRIORITY_SHARE,
) -> TicketRequest:
    """
    Draw what one patient asks for.

    Args:
        rng: Seeded by the caller.
        units: Codes of the units that can be chosen, in the order of the screens, at least one.
        lane: Fixed lane, drawn where None.
        unit: Fixed unit code, drawn where None.
        priority_share: How many of all are priority patients, 0 to 1.
    """
    if lane is None:
        lane = Lane.PRIORITY if rng.random() < priority_share else Lane.GENERAL
    if unit is None:
        is_first = len(units) == 1 or rng.random() < FIRST_UNIT_SHARE
        unit = units[0] if is_first else rng.choice(units[1:])
    payment = PaymentType.BPJS if rng.random() < BPJS_SHARE else PaymentType.UMUM
    reason = rng.choice(list(PriorityReason)) if lane is Lane.PRIORITY else None
    return TicketRequest(unit, lane, payment, reason)
