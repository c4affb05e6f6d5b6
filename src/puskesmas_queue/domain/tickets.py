"""
Tickets: their state machine, names and codes.

Source: domain rules, sections 1 to 3.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from puskesmas_queue.domain.errors import EdgeNotAllowed


class TicketState(StrEnum):
    """Where a ticket stands."""

    BOOKED = "booked"
    """Taken for a later time; the person is not here yet."""
    CONFIRMED = "confirmed"
    """Booked, and the person is here."""
    WAITING = "waiting"
    """Stands in the line."""
    CALLED = "called"
    """Called to a counter; nobody answered yet."""
    SERVING = "serving"
    """Served at a counter."""
    HELD = "held"
    """Put aside by the counter, for a missing paper say."""
    SKIPPED = "skipped"
    """Called as often as it must be; nobody came."""
    COMPLETED = "completed"
    """Served."""
    CANCELLED = "cancelled"
    """Given up, by staff or the patient."""
    NO_SHOW = "no_show"
    """Booked, and nobody came in time."""
    EXPIRED = "expired"
    """Still open when its day ended."""


class Lane(StrEnum):
    """Which line a ticket waits in; `emergency` is never picked from."""

    PRIORITY = "priority"
    """The elderly, pregnant women, people with a disability, small children."""
    GENERAL = "general"
    """Everybody else."""
    EMERGENCY = "emergency"
    """Sent to UGD at once."""


class PriorityReason(StrEnum):
    """Why a ticket is in the priority lane. Health data: staff only."""

    LANSIA = "lansia"
    """Elderly."""
    BUMIL = "bumil"
    """Pregnant."""
    DISABILITAS = "disabilitas"
    """With a disability."""
    BALITA = "balita"
    """With a child below five."""


class PaymentType(StrEnum):
    """How the visit is paid."""

    BPJS = "bpjs"
    """By the national health insurance."""
    UMUM = "umum"
    """By the patient."""
    SKEMA_DAERAH = "skema_daerah"
    """By a scheme of the region."""


class Source(StrEnum):
    """Where a ticket was taken; follows from the credential."""

    KIOSK = "kiosk"
    """At a kiosk in the hall."""
    WEB = "web"
    """On a page of this server, from elsewhere."""
    MOBILE = "mobile"
    """By another program."""
    COUNTER = "counter"
    """By staff."""


class Action(StrEnum):
    """What moves a ticket along an edge."""

    CONFIRM = "confirm"
    MISS = "miss"
    RESTORE = "restore"
    CALL = "call"
    SERVE = "serve"
    SKIP = "skip"
    GIVE_BACK = "give_back"
    COMPLETE = "complete"
    HOLD = "hold"
    REINSERT = "reinsert"
    TRANSFER_AWAY = "transfer_away"
    CANCEL = "cancel"
    EXPIRE = "expire"
    ARRIVE_EMERGENCY = "arrive_emergency"


PRIORITY_PREFIX = "P"
NUMBER_DIGITS = 3
CODE_LENGTH = 8
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""No 0/O, 1/I/L: a code is read aloud and typed by old people."""

STANDING = frozenset({TicketState.WAITING, TicketState.CONFIRMED})
"""The person is here and stands in the line."""
AT_COUNTER = frozenset({TicketState.CALLED, TicketState.SERVING})
OPEN = frozenset(
    {
        TicketState.BOOKED,
        TicketState.CONFIRMED,
        TicketState.WAITING,
        TicketState.CALLED,
        TicketState.SERVING,
        TicketState.HELD,
        TicketState.SKIPPED,
    }
)

_S = TicketState
EDGES: Mapping[Action, Mapping[TicketState, TicketState]] = {
    Action.CONFIRM: {_S.BOOKED: _S.CONFIRMED},
    Action.MISS: {_S.BOOKED: _S.NO_SHOW},
    Action.RESTORE: {_S.NO_SHOW: _S.CONFIRMED},
    Action.CALL: {_S.WAITING: _S.CALLED, _S.CONFIRMED: _S.CALLED},
    Action.SERVE: {_S.CALLED: _S.SERVING, _S.HELD: _S.SERVING},
    Action.SKIP: {_S.CALLED: _S.SKIPPED, _S.HELD: _S.SKIPPED},
    Action.GIVE_BACK: {_S.CALLED: _S.WAITING},
    Action.COMPLETE: {_S.SERVING: _S.COMPLETED},
    Action.HOLD: {_S.SERVING: _S.HELD},
    Action.REINSERT: {_S.SKIPPED: _S.WAITING},
    Action.TRANSFER_AWAY: {
        _S.WAITING: _S.WAITING,
        _S.CONFIRMED: _S.WAITING,
        _S.CALLED: _S.WAITING,
        _S.SERVING: _S.WAITING,
    },
    Action.CANCEL: {
        _S.BOOKED: _S.CANCELLED,
        _S.WAITING: _S.CANCELLED,
        _S.CONFIRMED: _S.CANCELLED,
        _S.CALLED: _S.CANCELLED,
        _S.SERVING: _S.CANCELLED,
        _S.HELD: _S.CANCELLED,
        _S.SKIPPED: _S.CANCELLED,
    },
    Action.EXPIRE: dict.fromkeys(OPEN, _S.EXPIRED),
    Action.ARRIVE_EMERGENCY: {_S.WAITING: _S.COMPLETED},
}
"""Every edge of the machine, by what moves it. There is no other."""


def next_state(number: str, state: TicketState, action: Action, lane: Lane) -> TicketState:
    """
    Follow one edge.

    Asking for the state one is in already answers that state, so that a double click or a
    retry changes nothing; callers compare and write nothing then.

    Args:
        number: The ticket's number, for the error.
        state: Where it stands.
        action: What was asked.
        lane: Its lane; an emergency ticket is only sent to UGD, cancelled or expired.

    Raises:
        EdgeNotAllowed: The machine has no such edge.
    """
    if lane is Lane.EMERGENCY:
        allowed = action in {Action.ARRIVE_EMERGENCY, Action.CANCEL, Action.EXPIRE}
    else:
        allowed = action is not Action.ARRIVE_EMERGENCY
    edges = EDGES[action] if allowed else {}
    if state in edges:
        return edges[state]
    if state in edges.values():
        return state
    raise EdgeNotAllowed(number, state, action)


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """
    What somebody asks for at a kiosk or counter.

    Args:
        unit: The unit's code.
        lane: Where the person wants to wait.
        payment_type: How the visit is paid; None where nobody asked.
        priority_reason: Why the priority lane; health data.
        exceed_reason: Lets staff take a place over the quota (10 %, with that reason).
    """

    unit: str
    lane: Lane
    payment_type: PaymentType | None = None
    priority_reason: PriorityReason | None = None
    exceed_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """
    One ticket as stored.

    `order_key` is microseconds since the epoch (UTC), `order_tie` parts tickets of the same
    microsecond; together they are its place in its lane. `code` names the status page.
    """

    id: int
    service_date: date
    number: str
    prefix: str
    sequence: int
    unit: str
    unit_sequence: int
    zone: str
    lane: Lane
    priority_reason: PriorityReason | None
    payment_type: PaymentType | None
    source: Source
    state: TicketState
    code: str
    order_key: int
    order_tie: int
    counter: int | None
    calls: int
    skips: int
    issued_at: datetime
    estimated_time: datetime | None
    called_at: datetime | None
    last_called_at: datetime | None
    serving_at: datetime | None
    held_at: datetime | None
    completed_at: datetime | None

    @property
    def journey_status(self) -> str:
        """The analysis's own single status list, derived."""
        return self.state.value


def prefix_for(lane: Lane, unit_prefix: str) -> str:
    """Return the letter of the number: `P` for every priority ticket, else the unit's."""
    return PRIORITY_PREFIX if lane is Lane.PRIORITY else unit_prefix


def format_number(prefix: str, sequence: int) -> str:
    """
    Write a number as patients see it.

    >>> format_number("P", 3), format_number("P", 1000)
    ('P-003', 'P-1000')
    """
    return f"{prefix}-{sequence:0{NUMBER_DIGITS}d}"


def new_code() -> str:
    """Draw the code of a status page: unguessable, without look-alike letters."""
    # One draw for the whole code: each would let every other thread go first.
    drawn = secrets.randbelow(len(CODE_ALPHABET) ** CODE_LENGTH)
    letters = []
    for _ in range(CODE_LENGTH):
        drawn, place = divmod(drawn, len(CODE_ALPHABET))
        letters.append(CODE_ALPHABET[place])
    return "".join(letters)
