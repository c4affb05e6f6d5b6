"""
What goes in and out, as pydantic models: the OpenAPI document is made of these very classes.

What comes in is read strictly and holds nothing unknown. Times go out as ISO 8601 with the
clinic's offset.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from puskesmas_queue.domain.access import Role
from puskesmas_queue.domain.devices import MAX_NAME, DeviceKind, DeviceState
from puskesmas_queue.domain.tickets import Lane, PaymentType, PriorityReason, Source, TicketState

# No control characters: they are in nobody's name, and PostgreSQL keeps no NUL.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500)]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
Number = Annotated[int, Field(ge=1, le=999_999_999)]
Id = Annotated[int, Field(ge=1, le=2**53 - 1)]
CounterState = Literal["open", "paused", "closed"]


class In(BaseModel):
    """What a program sends."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Out(BaseModel):
    """What a program is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Logging in


class Credentials(In):
    """Who logs in."""

    username: Name
    password: Annotated[str, StringConstraints(max_length=1000)]


class RefreshToken(In):
    """A refresh token, good once."""

    refresh: Annotated[str, StringConstraints(max_length=200)]


class Tokens(Out):
    """What a program logs in with from now on."""

    access: str = Field(description="For the header Authorization: Bearer.")
    refresh: str = Field(description="For the next pair of tokens; good once.")
    expires_in: int = Field(description="Seconds for which the access token is good.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme


class Me(Out):
    """Who a token belongs to."""

    username: str
    name: str
    role: Role


# Units


class Unit(Out):
    """A service unit today."""

    code: str
    name: str
    prefix: str = Field(description="The letter of its numbers.")
    remaining: int | None = Field(description="Places left today; null without a limit.")
    open: bool = Field(description="Whether a patient may take a number for it now.")
    zone: str
    room: str
    quota_per_day: int | None
    is_active: bool
    is_emergency: bool


class Units(Out):
    """All units, in the order of the screens."""

    items: list[Unit]


class UnitChange(In):
    """What is to change; what is not named stays."""

    quota_per_day: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="Places of a day; null lifts the limit."
    )
    room: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=50)] = ""
    is_active: bool = True


# Tickets


class NewTicket(In):
    """A number that is asked for."""

    unit: Code
    lane: Lane
    payment_type: PaymentType | None = Field(
        description="How the visit is paid; null where that is not known yet."
    )
    priority_reason: PriorityReason | None = Field(
        default=None, description="Needed in the priority lane, and there only."
    )
    exceed_reason: Text | None = Field(
        default=None, description="Staff may go over the quota by a tenth, for this reason."
    )


class Ticket(Out):
    """A ticket. Its number never changes."""

    id: int
    number: str
    prefix: str
    sequence: int
    unit_sequence: int
    unit: str
    lane: Lane
    priority_reason: PriorityReason | None = Field(description="For staff only; else null.")
    payment_type: PaymentType | None
    source: Source = Field(description="Follows from who asked for it.")
    service_date: date
    status: TicketState
    journey_status: str
    code: str = Field(description="Names the patient's own page, /t/{code}.")
    slot_start: AwareDatetime | None = Field(description="Of a booked ticket.")
    counter: int | None
    people_ahead: int | None = Field(description="Calls before this one, while it stands in line.")
    estimate_minutes: int | None = Field(description="Rounded to 5; null while no counter is open.")
    issued_at: AwareDatetime
    confirmed_at: AwareDatetime | None = Field(description="Of a booked ticket.")
    called_at: AwareDatetime | None
    serving_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    calls: int


class TicketQuery(BaseModel):
    """Which tickets are asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service_date: date | None = Field(default=None, description="Today, if not given.")
    status: TicketState | None = None
    unit: Code | None = None
    cursor: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="From next_cursor of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class TicketPage(Out):
    """One page of tickets, in the order in which they were issued."""

    items: list[Ticket]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class Move(In):
    """Why a ticket is moved."""

    reason: Text | None = None


class Service(In):
    """Where a ticket is served."""

    reason: Text | None = None
    counter: Number | None = Field(
        default=None, description="For a held ticket, where the program holds several counters."
    )


class Transfer(In):
    """Where a ticket goes, and why."""

    unit: Code | None = None
    lane: Lane | None = None
    reason: Text


# Counters and the line


class Counter(Out):
    """A counter and who works there."""

    number: int
    zone: str
    state: CounterState
    user_name: str | None
    units: list[str] = Field(description="The units that it takes; none stands for all.")


class LineNumber(Out):
    """A number as everybody may see it."""

    number: str
    lane: Lane
    unit: str
    status: TicketState


class LineCounter(Out):
    """A counter and the number that is called or served there."""

    number: int
    state: CounterState
    ticket: LineNumber | None


class NextNumbers(Out):
    """Who stands in the line, each lane in its order, and all in the order of their calls."""

    priority: list[str]
    general: list[str]
    order: list[str]


class LineUnit(Out):
    """A unit of the line."""

    code: str
    remaining: int | None
    waiting: int
    last_called: str | None


class LineTotals(Out):
    """The day so far."""

    issued: int
    done: int
    waiting: int
    priority: int
    skipped: int
    cancelled: int


class Line(Out):
    """The line of one hall."""

    zone: str
    service_date: date
    now: AwareDatetime
    counters: list[LineCounter]
    next: NextNumbers
    remaining: list[LineUnit]
    totals: LineTotals
    opens_at: AwareDatetime | None = Field(description="When the kiosk opens; null while it is.")


class LineQuery(BaseModel):
    """Whose line is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Code | None = Field(default=None, description="The first hall, if not given.")


# Devices


class Device(Out):
    """A machine that was or will be paired."""

    id: int
    kind: DeviceKind
    name: str
    zone: str
    counter: int | None
    state: DeviceState
    code_expires_at: AwareDatetime | None
    paired_at: AwareDatetime | None
    seen_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class Devices(Out):
    """All machines, revoked ones last."""

    items: list[Device]


class NewDevice(In):
    """A machine that is to be paired."""

    kind: DeviceKind
    name: Annotated[
        str,
        StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=MAX_NAME),
    ]
    zone: Code | None = Field(default=None, description="The first hall, if not given.")
    counter: Number | None = Field(default=None, description="For kind counter, and there only.")


class WaitingDevice(Out):
    """A machine that waits for its code, which is told once."""

    device: Device
    code: str


class PairingCode(In):
    """The code that was read out."""

    code: Annotated[str, StringConstraints(max_length=40)]


class PairedDevice(Out):
    """A machine that was paired just now."""

    device: Device
    token: str = Field(description="For the header Authorization: Bearer; told once.")


# Refusals


class FieldError(Out):
    """What is wrong with one part of a request."""

    pointer: str = Field(description="JSON pointer into the body, or the name in query or header.")
    kind: str
    detail: str


class Problem(Out):
    """A refusal, RFC 9457."""

    type: str = Field(description="Names the kind of refusal; its anchor explains it.")
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="Names this very refusal in the log.")
    errors: list[FieldError] | None = None
    alternatives: list[str] | None = Field(default=None, description="Units that have a place.")
    opens_at: AwareDatetime | None = None
    counter: int | None = None
    number: str | None = None
    retry_after_s: int | None = None
