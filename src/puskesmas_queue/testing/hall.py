"""What the contract lets happen in a clinic: a small morning, each question of the line once."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from puskesmas_queue.domain.announcements import Announcement, Call
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import TicketObjected
from puskesmas_queue.domain.line import Head, LaneChoice, LineHeads, RatioState
from puskesmas_queue.domain.tickets import (
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    Ticket,
    TicketRequest,
)
from puskesmas_queue.testing.clinic import ClinicUnderTest


def play_morning(clinic: ClinicUnderTest, deliver: Callable[[], Any] | None = None) -> None:
    """Play a small morning, every fact of which is delivered while it is worth hearing."""
    deliver = deliver or clinic.deliver

    def issue(unit: str, lane: Lane = Lane.GENERAL) -> Ticket | None:
        # To object is a plugin's right.
        with suppress(TicketObjected):
            return clinic.issue(unit, lane)
        return None

    def call() -> Ticket | None:
        found = clinic.call_next()
        deliver()
        return found

    for unit in ("umum", "gigi", "kia"):
        issue(unit)
    issue("umum", Lane.PRIORITY)
    clinic.issue_emergency()
    deliver()
    if ticket := call():
        clinic.recall(ticket)
        deliver()
        clinic.complete(clinic.serve(ticket))
    if ticket := call():
        held = clinic.hold(clinic.serve(ticket))
        deliver()
        clinic.complete(clinic.serve(held))
    if ticket := call():
        clinic.skip(ticket)
        deliver()
    if late := issue("umum"):
        clinic.cancel(late)
    deliver()
    clinic.end_day()
    deliver()


def questions(opened: ClinicUnderTest) -> Iterator[Callable[[int], object]]:
    """Return each decision and veto for each lane, as the server asks it; turns count from 1."""
    clinic, now = opened.clinic, opened.clock.now()
    hooks, at = clinic.hooks, int(now.timestamp() * 1_000_000)
    day, ratio = service_date(now, clinic.timezone), clinic.settings.get("queue.priority_ratio")
    first, second = Head(at - 1, 0), Head(at, 0)

    def number(prefix: str, turn: int) -> str:
        return hooks.format_ticket_number(prefix, turn, day, now)

    def lane(priority: Head | None, general: Head | None, turn: int) -> LaneChoice:
        state = RatioState(turn % 2, 0)
        return hooks.choose_lane(LineHeads(priority, general, ratio, state), now)

    def wait(turn: int) -> timedelta:
        return hooks.estimate_wait(turn - 1, (60.0, 300.0), 1, now)

    def words(language: str, turn: int) -> Announcement:
        return hooks.format_announcement(Call(f"A-{turn:03d}", "A", turn, 1, language), now)

    def objections(request: TicketRequest, source: Source, turn: int) -> list[str]:
        return hooks.objections(request, source, now)

    yield from (partial(number, prefix) for prefix in ("A", "P"))
    heads = ((first, second), (second, first), (first, None), (None, first))
    yield from (partial(lane, *pair) for pair in heads)
    yield wait
    yield from (partial(words, language) for language in ("id", "en"))
    yield partial(objections, TicketRequest("umum", Lane.GENERAL), Source.KIOSK)
    elderly = PriorityReason.LANSIA
    asked = TicketRequest("gigi", Lane.PRIORITY, PaymentType.UMUM, elderly)
    yield partial(objections, asked, Source.COUNTER)
