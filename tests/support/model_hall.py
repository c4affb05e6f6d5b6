"""A hall without a server: the rules of the line and nothing else, for the simulated morning."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from puskesmas_queue.domain.line import Head, LineHeads, Ratio, RatioState, choose_by_ratio
from puskesmas_queue.domain.tickets import Action, Lane, TicketState, next_state

DAY = date(2026, 2, 26)
RATIO = Ratio.parse("2:1")
ACTIONS = {
    "serve": Action.SERVE,
    "skip": Action.SKIP,
    "hold": Action.HOLD,
    "complete": Action.COMPLETE,
    "reinsert": Action.REINSERT,
    "cancel": Action.CANCEL,
    "arrive": Action.ARRIVE_EMERGENCY,
}
KINDS = {
    "serve": "ticket_serving",
    "skip": "ticket_skipped",
    "hold": "ticket_held",
    "complete": "ticket_completed",
    "reinsert": "ticket_reinserted",
    "cancel": "ticket_cancelled",
    "arrive": "ticket_completed",
    "recall": "ticket_recalled",
}
HOLD_S = 3600.0


@dataclass
class ModelTicket:
    number: str
    lane: Lane
    place: float
    state: TicketState = TicketState.WAITING
    skips: int = 0
    held_s: float = 0.0


@dataclass
class ModelHall:
    """
    Implements `simulators.play.Hall`; `events` are in the form of `/demo/events`.

    `seen` is (seconds, how many stand in the line), looked at once a minute.
    """

    now_s: float = 0.0
    tickets: dict[str, ModelTicket] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    serving: dict[int, ModelTicket | None] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    standing: dict[Lane, list[ModelTicket]] = field(
        default_factory=lambda: {Lane.PRIORITY: [], Lane.GENERAL: []}
    )
    state: RatioState = field(default_factory=RatioState)
    looks_s: float | None = None

    def at(self, at_s):
        assert at_s >= self.now_s
        if self.looks_s is not None:
            while self.looks_s <= at_s:
                self.seen.append(sum(map(len, self.standing.values())))
                self.looks_s += 60.0
        self.now_s = at_s

    def issue(self, visit):
        lane = Lane.EMERGENCY if visit.request is None else visit.request.lane
        number = f"{lane.value[0].upper()}-{len(self.tickets) + 1:03}"
        ticket = ModelTicket(number, lane, float(len(self.tickets)))
        self.tickets[number] = ticket
        if lane is not Lane.EMERGENCY:
            self.standing[lane].append(ticket)
        self.tell("ticket_issued", ticket)
        return number

    def move(self, counter, to):
        assert self.serving.get(counter) is None
        kind = {"open": "counter_opened", "pause": "counter_paused", "close": "counter_closed"}
        self.tell(kind[to], None, counter)
        return True

    def call_next(self, counter):
        current = self.serving.get(counter)
        if current is not None:
            self.step(counter, "complete", current.number)
        heads = {
            lane: Head(int(line[0].place * 1000), 0) if line else None
            for lane, line in self.standing.items()
        }
        if not any(heads.values()):
            return None
        choice = choose_by_ratio(
            LineHeads(heads[Lane.PRIORITY], heads[Lane.GENERAL], RATIO, self.state)
        )
        self.state = choice.state
        ticket = self.standing[choice.lane].pop(0)
        ticket.state = TicketState.CALLED
        self.serving[counter] = ticket
        self.tell("ticket_called", ticket, counter)
        return ticket.number

    def step(self, counter, step, number):
        ticket = self.tickets[number]
        if ticket.state is TicketState.HELD and self.now_s - ticket.held_s >= HOLD_S:
            # The clinic's timer did that meanwhile.
            ticket.state = TicketState.CANCELLED if ticket.skips >= 2 else TicketState.SKIPPED
            ticket.skips += 1
        if step != "recall":
            if step == "serve" and ticket.state in (TicketState.SKIPPED, TicketState.CANCELLED):
                return False
            after = next_state(number, ticket.state, ACTIONS[step], ticket.lane)
            if step == "skip":
                after = TicketState.CANCELLED if ticket.skips >= 2 else after
                ticket.skips += 1
            if step == "cancel":
                self.standing[ticket.lane].remove(ticket)
            if step == "reinsert":
                self.standing[ticket.lane].insert(3, ticket)
            ticket.state = after
        if step == "hold":
            ticket.held_s = self.now_s
        if step in ("skip", "hold", "complete"):
            assert self.serving[counter] is ticket
            self.serving[counter] = None
        if step == "serve":
            self.serving[counter] = ticket
        self.tell(KINDS[step], ticket, None if step in ("reinsert", "cancel") else counter)
        return True

    def tell(self, kind, ticket, counter=None):
        at = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(seconds=self.now_s)
        self.events.append(
            {
                "at": at.isoformat(),
                "kind": kind,
                "number": None if ticket is None else ticket.number,
                "lane": None if ticket is None else ticket.lane.value,
                "counter": counter,
            }
        )

    def rows(self):
        """Tickets in the form of `/demo/tickets`."""
        return [
            {"number": one.number, "lane": one.lane.value, "status": one.state.value}
            for one in self.tickets.values()
        ]
