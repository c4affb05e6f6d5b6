"""Who comes to a puskesmas: lanes, reasons, payments and units, drawn from a seed."""

import random
from collections.abc import Sequence

from puskesmas_queue.domain.tickets import Lane, PaymentType, PriorityReason, TicketRequest
from puskesmas_queue.storage.units import Unit

PRIORITY_SHARE = 0.3
BPJS_SHARE = 0.74
FIRST_UNIT_SHARE = 0.5
"""Half of the patients go to the first unit, the general one."""


def dice(seed: int) -> random.Random:
    """Return dice that always fall the same way for a seed."""
    return random.Random(seed)  # noqa: S311 - plays people, guards nothing


def draw_request(
    rng: random.Random,
    units: Sequence[Unit],
    lane: Lane | None = None,
    unit: str | None = None,
) -> TicketRequest:
    """
    Draw what one patient asks for.

    Args:
        rng: Seeded by the caller.
        units: The clinic's units; active ones that are no emergency unit are drawn from.
        lane: Fixed lane, drawn where None.
        unit: Fixed unit code, drawn where None.
    """
    open_units = [one for one in units if one.is_active and not one.is_emergency]
    if lane is None:
        lane = Lane.PRIORITY if rng.random() < PRIORITY_SHARE else Lane.GENERAL
    if unit is None:
        is_first = len(open_units) == 1 or rng.random() < FIRST_UNIT_SHARE
        unit = (open_units[0] if is_first else rng.choice(open_units[1:])).code
    payment = PaymentType.BPJS if rng.random() < BPJS_SHARE else PaymentType.UMUM
    reason = rng.choice(list(PriorityReason)) if lane is Lane.PRIORITY else None
    return TicketRequest(unit, lane, payment, reason)
