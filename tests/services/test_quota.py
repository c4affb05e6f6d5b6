"""Quota places: taken with the number, given back, never more than there are."""

import pytest

from puskesmas_queue.domain.errors import InvalidRequest, QuotaFull, UnknownName
from puskesmas_queue.services.day import expire_old_days
from puskesmas_queue.services.line import line_view
from puskesmas_queue.services.masters import change_unit
from puskesmas_queue.services.quota import exceeded
from puskesmas_queue.services.tickets import cancel_ticket, issue_emergency, issue_ticket
from puskesmas_queue.services.transfers import transfer_ticket
from puskesmas_queue.storage import tables
from support.desk import KIOSK, STAFF, at_once, general, places, priority, rows_of, take


def limit(clinic, unit="umum", quota=3):
    change_unit(clinic, unit, STAFF, quota_per_day=quota)


def remaining(clinic, unit="umum"):
    return next(one.remaining for one in line_view(clinic, "main").units if one.code == unit)


def test_full_unit_names_others(clinic):
    """A friendly "penuh": open units with a place, in the order of the screens; never UGD."""
    limit(clinic)
    limit(clinic, "gigi", 0)
    change_unit(clinic, "imunisasi", STAFF, is_active=False)
    take(clinic, "PAA")
    assert remaining(clinic) == 0

    with pytest.raises(QuotaFull) as refusal:
        issue_ticket(clinic, general(), KIOSK)

    assert (refusal.value.unit, refusal.value.alternatives) == ("umum", ("kia",))
    assert places(clinic) == {"umum": 3}
    assert len(rows_of(clinic, tables.tickets)) == 3


def test_refusal_uses_up_no_number(clinic):
    """The next ticket that is given has the next number, in prefix and unit."""
    limit(clinic, quota=1)
    first = take(clinic, "A")[0]
    for _ in range(3):
        with pytest.raises(QuotaFull):
            issue_ticket(clinic, general(), KIOSK)
    cancel_ticket(clinic, first.id, "pulang", STAFF)

    again = take(clinic, "A")[0]

    assert (again.number, again.unit_sequence) == ("A-002", 2)


def test_last_place_asked_for_by_two(clinic):
    """One gets it, the other is told where else; never -1."""
    limit(clinic)
    take(clinic, "AA")

    answers = at_once([lambda: issue_ticket(clinic, general(), KIOSK)] * 2)

    refused = [answer for answer in answers if isinstance(answer, QuotaFull)]
    given = [answer for answer in answers if not isinstance(answer, Exception)]
    assert [ticket.number for ticket in given] == ["A-003"]
    assert refused[0].alternatives == ("gigi", "kia", "imunisasi")
    assert (places(clinic), remaining(clinic)) == ({"umum": 3}, 0)


def test_many_ask_for_few_places(clinic):
    """Both lanes share the unit's places."""
    limit(clinic, quota=4)
    ask = [lambda: issue_ticket(clinic, general(), KIOSK)] * 5
    ask += [lambda: issue_ticket(clinic, priority(), KIOSK)] * 5

    answers = at_once(ask)

    given = [answer for answer in answers if not isinstance(answer, Exception)]
    assert len(given) == 4
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} == {QuotaFull}
    assert places(clinic) == {"umum": 4}


@pytest.mark.parametrize(
    ("quota", "most"), [(0, 1), (1, 2), (9, 10), (10, 11), (19, 20), (20, 22), (100, 110)]
)
def test_ten_percent_more(quota, most):
    """Rounded down, at least one."""
    assert exceeded(quota) == most


def test_staff_exceed_with_a_reason(clinic):
    """10 % and no more, with the reason in event and audit; the remainder shown stays 0."""
    limit(clinic, quota=2)
    take(clinic, "AA")
    for reason in (None, "", "   "):
        with pytest.raises(QuotaFull):
            issue_ticket(clinic, general(exceed_reason=reason), STAFF)

    over = issue_ticket(clinic, general(exceed_reason="rujukan balik"), STAFF)

    assert over.number == "A-003"
    assert (remaining(clinic), places(clinic)) == (0, {"umum": 3})
    assert rows_of(clinic, tables.events)[-1].reason == "rujukan balik"
    assert rows_of(clinic, tables.audit)[-1].reason == "rujukan balik"
    with pytest.raises(QuotaFull):
        issue_ticket(clinic, general(exceed_reason="rujukan balik"), STAFF)


def test_kiosk_never_exceeds(sqlite_clinic):
    """A reason typed into the kiosk's form buys nothing."""
    limit(sqlite_clinic, quota=1)
    take(sqlite_clinic, "A")

    with pytest.raises(QuotaFull):
        issue_ticket(sqlite_clinic, general(exceed_reason="saya mau"), KIOSK)


def test_place_is_given_back_by_cancelling_and_expiry(clinic):
    """Once each; the places of another day are its own."""
    limit(clinic)
    first = take(clinic, "AAA")[0]
    cancel_ticket(clinic, first.id, "pulang", STAFF)
    cancel_ticket(clinic, first.id, "pulang", STAFF)
    assert remaining(clinic) == 1

    clinic.guard.rebase()
    clinic.clock.move_to(clinic.clock.now().replace(hour=17, minute=30))
    clinic.guard.rebase()
    assert remaining(clinic) == 3
    issue_ticket(clinic, general(), STAFF)
    assert expire_old_days(clinic) == 2

    values = {(r.service_date.day, r.value) for r in rows_of(clinic, tables.day_counts)
              if r.kind == "place"}  # fmt: skip
    assert values == {(26, 0), (27, 1)}


def test_quota_that_shrinks_below_what_is_taken(clinic):
    """Nobody is sent away again, nobody more is taken, and the remainder shown is 0."""
    take(clinic, "AAA")
    limit(clinic, quota=1)

    assert remaining(clinic) == 0
    with pytest.raises(QuotaFull):
        issue_ticket(clinic, general(), KIOSK)

    change_unit(clinic, "umum", STAFF, quota_per_day=None)
    assert remaining(clinic) is None
    assert take(clinic, "A")[0].number == "A-004"


def test_change_of_unit_moves_the_place(clinic):
    """One there, none here; full is the quota and 10 %."""
    limit(clinic, "gigi", 1)
    tickets = take(clinic, "AAA")
    for ticket in tickets[:2]:
        transfer_ticket(clinic, ticket.id, "gigi", None, "sakit gigi", STAFF)
    assert places(clinic) == {"umum": 1, "gigi": 2}

    before = rows_of(clinic, tables.tickets)
    with pytest.raises(QuotaFull) as refusal:
        transfer_ticket(clinic, tickets[2].id, "gigi", None, "sakit gigi", STAFF)

    assert refusal.value.unit == "gigi"
    assert places(clinic) == {"umum": 1, "gigi": 2}
    assert rows_of(clinic, tables.tickets) == before


def test_emergency_has_no_quota_to_wait_for(sqlite_clinic):
    """Units without a quota never fill."""
    assert [issue_emergency(sqlite_clinic, KIOSK).number for _ in range(3)] == [
        "E-001", "E-002", "E-003",
    ]  # fmt: skip
    assert remaining(sqlite_clinic, "ugd") is None


@pytest.mark.parametrize("quota", [-1, "3", 2.5])
def test_quota_that_cannot_be(sqlite_clinic, quota):
    """A whole number of at least 0, or none."""
    with pytest.raises(InvalidRequest):
        limit(sqlite_clinic, quota=quota)
    with pytest.raises(UnknownName):
        limit(sqlite_clinic, "bedah")
