"""The ticket's state machine has the edges of the domain rules and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue.domain.errors import EdgeNotAllowed
from puskesmas_queue.domain.tickets import (
    CODE_ALPHABET,
    CODE_LENGTH,
    EDGES,
    OPEN,
    Action,
    Lane,
    TicketState,
    format_number,
    new_code,
    next_state,
    prefix_for,
)

S, A = TicketState, Action
RULES = {
    (S.BOOKED, A.CONFIRM): S.CONFIRMED,
    (S.BOOKED, A.CANCEL): S.CANCELLED,
    (S.BOOKED, A.MISS): S.NO_SHOW,
    (S.NO_SHOW, A.RESTORE): S.CONFIRMED,
    (S.WAITING, A.CALL): S.CALLED,
    (S.CONFIRMED, A.CALL): S.CALLED,
    (S.WAITING, A.CANCEL): S.CANCELLED,
    (S.CONFIRMED, A.CANCEL): S.CANCELLED,
    (S.CALLED, A.SERVE): S.SERVING,
    (S.CALLED, A.SKIP): S.SKIPPED,
    (S.CALLED, A.GIVE_BACK): S.WAITING,
    (S.CALLED, A.CANCEL): S.CANCELLED,
    (S.SERVING, A.COMPLETE): S.COMPLETED,
    (S.SERVING, A.HOLD): S.HELD,
    (S.SERVING, A.CANCEL): S.CANCELLED,
    (S.WAITING, A.TRANSFER_AWAY): S.WAITING,
    (S.CONFIRMED, A.TRANSFER_AWAY): S.WAITING,
    (S.CALLED, A.TRANSFER_AWAY): S.WAITING,
    (S.SERVING, A.TRANSFER_AWAY): S.WAITING,
    (S.HELD, A.SERVE): S.SERVING,
    (S.HELD, A.SKIP): S.SKIPPED,
    (S.HELD, A.CANCEL): S.CANCELLED,
    (S.SKIPPED, A.REINSERT): S.WAITING,
    (S.SKIPPED, A.CANCEL): S.CANCELLED,
    **{(state, A.EXPIRE): S.EXPIRED for state in OPEN},
}
"""Domain rules, section 2, copied out by hand."""


@pytest.mark.parametrize("lane", [Lane.PRIORITY, Lane.GENERAL])
@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("action", [a for a in A if a is not A.ARRIVE_EMERGENCY])
def test_every_pair_of_state_and_action(state, action, lane):
    """An edge of the table leads where it says, its own end is a no-op, all else is refused."""
    ends = {end for (_, by), end in RULES.items() if by is action}
    if (state, action) in RULES:
        assert next_state("A-001", state, action, lane) is RULES[state, action]
    elif state in ends:
        assert next_state("A-001", state, action, lane) is state
    else:
        with pytest.raises(EdgeNotAllowed) as refusal:
            next_state("A-001", state, action, lane)
        assert refusal.value.number == "A-001"


def test_emergency_is_never_called():
    """An E ticket is only closed, cancelled or expired."""
    assert next_state("E-001", S.WAITING, A.ARRIVE_EMERGENCY, Lane.EMERGENCY) is S.COMPLETED
    assert next_state("E-001", S.WAITING, A.CANCEL, Lane.EMERGENCY) is S.CANCELLED
    assert next_state("E-001", S.WAITING, A.EXPIRE, Lane.EMERGENCY) is S.EXPIRED
    for action in (A.CALL, A.SERVE, A.SKIP, A.HOLD, A.COMPLETE, A.TRANSFER_AWAY):
        with pytest.raises(EdgeNotAllowed):
            next_state("E-001", S.WAITING, action, Lane.EMERGENCY)


def test_other_lanes_do_not_arrive_at_ugd():
    """*Sudah di UGD* closes emergency tickets only."""
    with pytest.raises(EdgeNotAllowed):
        next_state("A-001", S.WAITING, A.ARRIVE_EMERGENCY, Lane.GENERAL)


@given(st.lists(st.sampled_from(list(A)), max_size=60), st.sampled_from(list(Lane)))
def test_a_random_walk_never_leaves_the_machine(actions, lane):
    """Whatever is asked in whatever order, each step is an edge or nothing."""
    state = S.WAITING
    for action in actions:
        try:
            after = next_state("X-001", state, action, lane)
        except EdgeNotAllowed:
            continue
        assert after is state or EDGES[action][state] is after
        state = after


@pytest.mark.parametrize(
    ("sequence", "number"), [(1, "P-001"), (99, "P-099"), (999, "P-999"), (1000, "P-1000")]
)
def test_numbers_have_three_digits_and_grow(sequence, number):
    """P-999 is followed by P-1000."""
    assert format_number("P", sequence) == number


def test_priority_tickets_share_a_letter():
    """P for every priority ticket, else the unit's letter."""
    assert prefix_for(Lane.PRIORITY, "B") == "P"
    assert prefix_for(Lane.GENERAL, "B") == "B"
    assert prefix_for(Lane.EMERGENCY, "E") == "E"


def test_codes_have_no_look_alikes():
    """A code can be read aloud and typed."""
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == CODE_LENGTH and set(code) <= set(CODE_ALPHABET) for code in codes)
    assert not set("01ILO") & set(CODE_ALPHABET)
