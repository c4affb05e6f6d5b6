"""The line of a hall: numbers only, as the TV shows them."""

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import NotFound
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.schemas import (
    Line,
    LineCounter,
    LineNumber,
    LineQuery,
    LineTotals,
    LineUnit,
    NextNumbers,
)
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.services.line import CounterLine, known_zone, opens_at, seen_line, today


def read_line(call: Call) -> Reply:
    """Read the line: called at each counter, next of each lane, places left, totals."""
    clinic = call.clinic
    seen = seen_line(clinic, known_zone(clinic, call.query(LineQuery).zone))
    opening = opens_at(clinic)
    document = Line(
        zone=seen.zone,
        service_date=today(clinic),
        now=clinic.clock.now().astimezone(clinic.timezone),
        counters=[_counter(one) for one in seen.counters],
        next=NextNumbers(
            priority=[one.number for one in seen.priority],
            general=[one.number for one in seen.general],
            order=list(seen.order),
        ),
        remaining=[
            LineUnit(
                code=unit.code,
                remaining=unit.remaining,
                waiting=unit.waiting,
                last_called=unit.last_called,
            )
            for unit in seen.units
        ],
        totals=LineTotals(
            issued=seen.totals.issued,
            done=seen.totals.done,
            waiting=seen.totals.waiting,
            priority=seen.totals.priority,
            skipped=seen.totals.skipped,
            cancelled=seen.totals.cancelled,
        ),
        opens_at=None if opening is None else opening.astimezone(clinic.timezone),
    )
    return reply(200, document)


def _counter(counter: CounterLine) -> LineCounter:
    ticket = counter.ticket
    return LineCounter(
        number=counter.number,
        state=counter.state,  # type: ignore[arg-type]  # checked by the model
        ticket=None
        if ticket is None
        else LineNumber(
            number=ticket.number, lane=ticket.lane, unit=ticket.unit, status=ticket.state
        ),
    )


endpoints = (
    Endpoint(
        "GET",
        "/line",
        read_line,
        Permission.LINE_VIEW,
        "line",
        summary="Read the line: called at each counter, next of each lane, places left, totals",
        answers={200: Line},
        refusals=(NotFound,),
        query=LineQuery,
    ),
)
