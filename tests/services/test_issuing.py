"""Giving numbers: words, series, hours, and one ticket per idempotency key."""

from datetime import timedelta

import pytest

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import (
    ClockUnconfirmed,
    InvalidRequest,
    KeyReused,
    KioskClosed,
    UnitClosed,
    UnknownName,
)
from puskesmas_queue.domain.tickets import (
    CODE_LENGTH,
    Lane,
    PaymentType,
    PriorityReason,
    Source,
    TicketRequest,
    TicketState,
)
from puskesmas_queue.services import day, masters
from puskesmas_queue.services.tickets import find_ticket, issue_emergency, issue_ticket
from puskesmas_queue.storage import issuing, tables
from support.desk import KIOSK, STAFF, at_once, execute, general, places, priority, rows_of, take

KEY = "key-of-one-tap"
OTHER_KIOSK = type(KIOSK)("device", name="kiosk", device="z" * 22)


def test_first_numbers_of_each_series(clinic):
    """Scenario 1: P for every priority ticket, the unit's letter for the rest, each from 001."""
    issued = [
        issue_ticket(clinic, priority("umum"), KIOSK),
        issue_ticket(clinic, general("umum"), KIOSK),
        issue_ticket(clinic, priority("gigi"), KIOSK),
        issue_ticket(clinic, general("gigi"), KIOSK),
        issue_ticket(clinic, general("umum"), STAFF),
    ]

    assert [ticket.number for ticket in issued] == ["P-001", "A-001", "P-002", "B-001", "A-002"]
    assert [ticket.unit_sequence for ticket in issued] == [1, 2, 1, 2, 3]
    assert [find_ticket(clinic, ticket.id) for ticket in issued] == issued


def test_ticket_as_it_is_stored(clinic):
    """Everything that was asked for, who asked, and a code; the event and the audit name both."""
    ticket = issue_ticket(clinic, priority("kia"), KIOSK)

    assert ticket.state is TicketState.WAITING
    assert (ticket.unit, ticket.zone, ticket.lane) == ("kia", "main", Lane.PRIORITY)
    assert ticket.priority_reason is PriorityReason.LANSIA
    assert ticket.payment_type is PaymentType.BPJS
    assert ticket.source is Source.KIOSK
    assert len(ticket.code) == CODE_LENGTH
    assert ticket.order_key == int(ticket.issued_at.timestamp() * 1_000_000)
    (event,) = rows_of(clinic, tables.events)
    assert (event.kind, event.ticket_id, event.device) == ("ticket_issued", ticket.id, KIOSK.device)
    assert event.data == {"unit": "kia", "lane": "priority", "source": "kiosk"}
    (audit,) = [row for row in rows_of(clinic, tables.audit) if row.action == "issue_ticket"]
    assert (audit.record_id, audit.ip_address) == (str(ticket.id), KIOSK.address)
    assert audit.new_values == {"number": "P-001", **event.data}


def test_source_follows_from_who_asks(clinic):
    """Staff give tickets at the counter, and their name is kept."""
    issue_ticket(clinic, general(), STAFF)

    (row,) = rows_of(clinic, tables.tickets)
    assert (row.source, row.created_by) == ("counter", STAFF.id)


def test_number_after_999_has_four_digits(clinic):
    """P-999 is followed by P-1000."""
    take(clinic, "P")
    table = tables.day_counts
    is_it = (table.c.kind == "number", table.c.name == "P")
    execute(clinic, table.update().where(*is_it).values(value=998))

    assert [ticket.number for ticket in take(clinic, "PPP")] == ["P-999", "P-1000", "P-1001"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (TicketRequest("bedah", Lane.GENERAL), UnknownName),
        (TicketRequest("umum", Lane.EMERGENCY), InvalidRequest),
        (TicketRequest("ugd", Lane.GENERAL), InvalidRequest),
        (TicketRequest("umum", Lane.PRIORITY), InvalidRequest),
        (TicketRequest("umum", Lane.GENERAL, None, PriorityReason.BUMIL), InvalidRequest),
        (TicketRequest("umum", Lane.GENERAL, PaymentType.SKEMA_DAERAH), InvalidRequest),
    ],
)
def test_words_that_do_not_go_together(sqlite_clinic, words, refusal):
    """Refused, and no number is used up."""
    with pytest.raises(refusal):
        issue_ticket(sqlite_clinic, words, STAFF)

    assert rows_of(sqlite_clinic, tables.tickets) == []
    assert take(sqlite_clinic, "A")[0].number == "A-001"


def test_closed_unit_takes_nobody(sqlite_clinic):
    """Also not from staff; the other units go on."""
    masters.change_unit(sqlite_clinic, "gigi", STAFF, is_active=False)

    for actor in (KIOSK, STAFF):
        with pytest.raises(UnitClosed):
            issue_ticket(sqlite_clinic, general("gigi"), actor)
    assert take(sqlite_clinic, "A")[0].number == "A-001"


def test_emergency_waits_in_no_lane(clinic):
    """An E ticket with an event of its own; opening hours do not bind it."""
    clinic.clock.advance(timedelta(hours=14))
    day.confirm_clock(clinic, STAFF)

    ticket = issue_emergency(clinic, KIOSK)

    assert (ticket.number, ticket.lane) == ("E-001", Lane.EMERGENCY)
    assert ticket.estimated_time is None
    assert rows_of(clinic, tables.events)[-1].kind == "emergency_announced"


def test_clinic_without_emergency_unit(sqlite_clinic):
    """Nothing to send anybody to."""
    masters.change_unit(sqlite_clinic, "ugd", STAFF, is_active=False)

    with pytest.raises(UnitClosed):
        issue_emergency(sqlite_clinic, KIOSK)


def test_kiosk_is_closed_in_the_afternoon(sqlite_clinic):
    """Devices are told when it opens; staff and the system go on."""
    sqlite_clinic.clock.advance(timedelta(hours=6, minutes=31))
    day.confirm_clock(sqlite_clinic, STAFF)

    with pytest.raises(KioskClosed) as refusal:
        issue_ticket(sqlite_clinic, general(), KIOSK)
    assert refusal.value.opens_at.isoformat() == "2026-02-27T06:00:00+07:00"
    assert issue_ticket(sqlite_clinic, general(), STAFF).number == "A-001"
    assert issue_ticket(sqlite_clinic, general(), SYSTEM).number == "A-002"


# Idempotency


def test_same_key_gives_the_same_ticket(clinic):
    """Double tap, lost answer, back button: one ticket, one place, one event."""
    first = issue_ticket(clinic, general(), KIOSK, KEY)
    again = [issue_ticket(clinic, general(), KIOSK, KEY) for _ in range(3)]

    assert again == [first] * 3
    assert len(rows_of(clinic, tables.tickets)) == 1
    assert len(rows_of(clinic, tables.events)) == 1
    assert places(clinic) == {"umum": 1}
    assert take(clinic, "A")[0].number == "A-002"


def test_same_key_shows_what_became_of_the_ticket(clinic):
    """The answer is the ticket as it is now, not a copy of the first answer."""
    first = issue_ticket(clinic, general(), KIOSK, KEY)
    execute(clinic, tables.tickets.update().values(state="cancelled", calls=2))

    again = issue_ticket(clinic, general(), KIOSK, KEY)

    assert (again.id, again.state, again.calls) == (first.id, TicketState.CANCELLED, 2)


def test_key_with_another_request_is_refused(clinic):
    """And the refusal names the ticket that the key made."""
    first = issue_ticket(clinic, general(), KIOSK, KEY)

    for other in (priority(), general("gigi"), TicketRequest("umum", Lane.GENERAL)):
        with pytest.raises(KeyReused) as refusal:
            issue_ticket(clinic, other, KIOSK, KEY)
        assert refusal.value.ticket_id == first.id
    assert len(rows_of(clinic, tables.tickets)) == 1


def test_keys_belong_to_a_device_or_a_user(clinic):
    """The same key from another device or from a user makes tickets of their own."""
    numbers = [
        issue_ticket(clinic, general(), actor, KEY).number
        for actor in (KIOSK, OTHER_KIOSK, STAFF, KIOSK, OTHER_KIOSK, STAFF)
    ]

    assert numbers == ["A-001", "A-002", "A-003"] * 2


def test_user_and_device_of_the_same_name_are_two(sqlite_clinic):
    """A device that calls itself after a user gets no answer of the user's."""
    sly = type(KIOSK)("device", device=str(STAFF.id))
    mine = issue_ticket(sqlite_clinic, general(), STAFF, KEY)

    assert issue_ticket(sqlite_clinic, general(), sly, KEY).id != mine.id


def test_key_is_kept_for_24_hours(clinic):
    """Just before it still answers, afterwards it is forgotten."""
    first = issue_ticket(clinic, general(), STAFF, KEY)

    clinic.clock.advance(timedelta(hours=23, minutes=59))
    day.confirm_clock(clinic, STAFF)
    day.forget_old_keys(clinic)
    assert issue_ticket(clinic, general(), STAFF, KEY).id == first.id

    clinic.clock.advance(timedelta(minutes=2))
    day.forget_old_keys(clinic)
    assert issue_ticket(clinic, general(), STAFF, KEY).id != first.id


def test_key_answers_although_nothing_new_is_given(clinic):
    """Whoever lost the answer before the kiosk or unit closed, or the clock went wrong, gets it."""
    first = issue_ticket(clinic, general(), KIOSK, KEY)
    urgent = issue_emergency(clinic, KIOSK, "key-of-an-emergency")

    clinic.clock.advance(timedelta(hours=7))
    with pytest.raises(KioskClosed):
        issue_ticket(clinic, general(), KIOSK, "another-key")
    with pytest.raises(ClockUnconfirmed):
        issue_ticket(clinic, general(), STAFF, "another-key")
    assert issue_ticket(clinic, general(), KIOSK, KEY).id == first.id
    assert issue_emergency(clinic, KIOSK, "key-of-an-emergency").id == urgent.id

    masters.change_unit(clinic, "umum", STAFF, is_active=False)
    assert issue_ticket(clinic, general(), KIOSK, KEY).id == first.id
    with pytest.raises(KeyReused):
        issue_ticket(clinic, priority(), KIOSK, KEY)


@pytest.mark.parametrize("key", ["short", "x" * 81])
def test_key_of_a_wrong_length(sqlite_clinic, key):
    """8 to 80 characters."""
    with pytest.raises(InvalidRequest):
        issue_ticket(sqlite_clinic, general(), KIOSK, key)


@pytest.mark.parametrize("quota", [None, 50], ids=["one statement", "step by step"])
def test_same_key_at_once_gives_one_ticket(clinic, quota):
    """Taps that overtake each other; with a quota the other way of issuing is taken."""
    masters.change_unit(clinic, "umum", STAFF, quota_per_day=quota)

    answers = at_once([lambda: issue_ticket(clinic, general(), KIOSK, KEY)] * 8)

    assert [getattr(answer, "number", answer) for answer in answers] == ["A-001"] * 8
    assert len(rows_of(clinic, tables.tickets)) == 1
    assert places(clinic) == {"umum": 1}


def test_same_key_at_once_with_two_requests(clinic):
    """One gets its ticket, the other is told that the key was used."""
    answers = at_once(
        [
            lambda: issue_ticket(clinic, general(), KIOSK, KEY),
            lambda: issue_ticket(clinic, priority(), KIOSK, KEY),
        ]
    )

    refused = [answer for answer in answers if isinstance(answer, KeyReused)]
    given = [answer for answer in answers if not isinstance(answer, Exception)]
    assert len(refused) == len(given) == 1
    assert refused[0].ticket_id == given[0].id


def test_taken_code_is_drawn_anew(clinic, monkeypatch):
    """Two tickets never share a status page, and no number is lost over it."""
    codes = iter(["AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "BBBBBBBB"])
    monkeypatch.setattr("puskesmas_queue.services.tickets.new_code", lambda: next(codes))

    issued = take(clinic, "AA")

    assert [(ticket.number, ticket.code) for ticket in issued] == [
        ("A-001", "AAAAAAAA"),
        ("A-002", "BBBBBBBB"),
    ]


def test_failure_leaves_nothing_behind(clinic, monkeypatch):
    """Number, place, key and event are one transaction: what fails at its end was never there."""
    masters.change_unit(clinic, "umum", STAFF, quota_per_day=5)
    before = {table.name: rows_of(clinic, table) for table in tables.metadata.sorted_tables}

    def fail(*arguments):
        raise RuntimeError("after the last row")

    monkeypatch.setattr(issuing, "_ticket", fail)
    with pytest.raises(RuntimeError, match="after the last row"):
        issue_ticket(clinic, general(), KIOSK, KEY)
    monkeypatch.undo()

    after = {table.name: rows_of(clinic, table) for table in tables.metadata.sorted_tables}
    assert after == before
    assert issue_ticket(clinic, general(), KIOSK, KEY).number == "A-001"
