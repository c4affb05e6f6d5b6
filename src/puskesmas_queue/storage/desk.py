"""
What a counter sees when it calls: all of it locked and read in one round trip.

Whoever picks holds the line's lock, and everybody else who calls in the zone waits for it. So
nothing is asked twice, and what depends on the counter's zone finds it by itself.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Date, bindparam, text

from puskesmas_queue.domain.line import RatioState
from puskesmas_queue.domain.tickets import Lane, Ticket
from puskesmas_queue.storage.counters import WITH_UNITS, Counter, counter_of
from puskesmas_queue.storage.line import AT_COUNTER
from puskesmas_queue.storage.round_trips import locking
from puskesmas_queue.storage.speech import OPEN, Heard, heard_of
from puskesmas_queue.storage.tables import STANDING_SQL
from puskesmas_queue.storage.tickets import SELECT_TICKET, first_ticket, ticket_of
from puskesmas_queue.storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class Desk:
    """
    A counter and its line.

    Args:
        counter: Where the call is made.
        state: Where the ratio stands.
        current: The ticket that it calls or serves.
        heads: The first ticket of each lane that it may take. Where it was changed while this
            transaction waited for it, it stands here changed.
        heard: What is spoken in its zone.
    """

    counter: Counter
    state: RatioState
    current: Ticket | None
    heads: dict[Lane, Ticket | None]
    heard: Heard


_NEW_LINE = text(
    "INSERT INTO lines (clinic_id, zone, service_date, priority_taken, general_taken) "
    "SELECT clinic_id, zone, :day, 0, 0 FROM counters "
    "WHERE clinic_id = :clinic_id AND number = :counter ON CONFLICT DO NOTHING"
).bindparams(bindparam("day", type_=Date))
_LINE = locking(
    "SELECT lines.priority_taken, lines.general_taken FROM lines "
    "JOIN counters ON counters.clinic_id = lines.clinic_id AND counters.zone = lines.zone "
    "WHERE counters.clinic_id = :clinic_id AND counters.number = :counter "
    "AND lines.service_date = :day",
    of="lines",
)
_COUNTER = locking(
    WITH_UNITS.replace("FROM counters", ", screen, has_voice, seen_at FROM counters")
    + "LEFT JOIN speakers ON speakers.clinic_id = counters.clinic_id "
    "AND speakers.zone = counters.zone "
    "WHERE counters.clinic_id = :clinic_id AND counters.number = :counter "
    "ORDER BY counter_units.unit",
    of="counters",
)
_CURRENT = locking(AT_COUNTER)
_ZONE = "(SELECT zone FROM counters WHERE clinic_id = :clinic_id AND number = :counter)"
_OWN_UNITS = "FROM counter_units WHERE clinic_id = :clinic_id AND counter = :counter"
LANES = (Lane.PRIORITY, Lane.GENERAL)
"""Whom a counter calls; an emergency ticket is sent to UGD."""
FIRST = {
    lane: (
        "(SELECT id FROM tickets WHERE clinic_id = :clinic_id "
        f"AND zone = {_ZONE} AND service_date = :day AND {STANDING_SQL} AND lane = '{lane.value}' "
        f"AND (unit IN (SELECT unit {_OWN_UNITS}) OR NOT EXISTS (SELECT 1 {_OWN_UNITS})) "
        "ORDER BY order_key, order_tie LIMIT 1)"
    )
    for lane in LANES
}
# Each head as it is once its lock is held, which may be in another lane by then.
HEADS = locking(
    f"{SELECT_TICKET.replace(' FROM', ', chosen.lane_of FROM')} JOIN ("
    + " UNION ALL ".join(f"SELECT '{lane.value}' AS lane_of, {FIRST[lane]} AS id" for lane in LANES)
    + ") AS chosen ON chosen.id = tickets.id WHERE tickets.clinic_id = :clinic_id "
    "ORDER BY tickets.id",
    of="tickets",
)
_OPEN_ONES = text(f"{OPEN} {_ZONE} ORDER BY id")


def look(tx: Tx, counter: int, day: date) -> Desk | None:
    """
    Lock the line, the counter, its ticket and both heads, in this order, and read them.

    Args:
        tx: The transaction; it holds none of the locks of the written order but these.
        counter: Its number.
        day: Of the line.

    Returns:
        None where there is no such counter.
    """
    of = {"clinic_id": tx.clinic_id, "counter": counter}
    of_day = {**of, "day": day}
    _, line, counters, current, heads, open_ones = tx.ask(
        # The day's first call makes the line: it is locked before all that follows.
        (_NEW_LINE, of_day),
        (_LINE[tx.dialect], of_day),
        (_COUNTER[tx.dialect], of),
        (_CURRENT[tx.dialect], of),
        (HEADS[tx.dialect], of_day),
        (_OPEN_ONES, of),
    )
    mine = counter_of([row[:-3] for row in counters])
    if mine is None:
        return None
    first = {Lane(lane): ticket_of(values) for *values, lane in heads}
    speakers = [row[-3:] for row in counters[:1] if row[-3] is not None]
    return Desk(
        counter=mine,
        state=RatioState(*line[0]),
        current=first_ticket(current),
        heads={lane: first.get(lane) for lane in LANES},
        heard=heard_of(open_ones, speakers),
    )
