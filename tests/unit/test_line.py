"""The ratio, the order and the wait."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue.domain.line import (
    Head,
    LineHeads,
    NoOpenCounter,
    Ratio,
    RatioState,
    call_order,
    choose_by_ratio,
    choose_first_come,
    choose_full,
    estimate_wait,
    people_ahead_of_new,
    reinsert_place,
    rounded_minutes,
)
from puskesmas_queue.domain.tickets import Lane

P, G = Lane.PRIORITY, Lane.GENERAL
ratios = st.builds(Ratio, st.just("ratio"), st.integers(1, 9), st.integers(1, 9))
any_ratio = st.one_of(ratios, st.just(Ratio("full")), st.just(Ratio("first_come")))


def heads(count, start=0):
    return [Head(start + index, 0) for index in range(count)]


def letters(priority, general, text, state=RatioState()):
    order = call_order(heads(priority), heads(general, 1000), Ratio.parse(text), state)
    return "".join("P" if lane is P else "A" for lane, _ in order)


@pytest.mark.parametrize(
    ("priority", "general", "ratio", "expected"),
    [
        (4, 3, "2:1", "PPAPPAA"),
        (3, 3, "1:1", "PAPAPA"),
        (2, 5, "1:2", "PAAPAAA"),
        (5, 2, "3:1", "PPPAPPA"),
        (3, 3, "full", "PPPAAA"),
        (0, 3, "2:1", "AAA"),
        (3, 0, "2:1", "PPP"),
    ],
)
def test_order_of_calls(priority, general, ratio, expected):
    """Scenario 4, one lane empty, `full`, and other ratios."""
    assert letters(priority, general, ratio) == expected


def test_first_come_ignores_lanes():
    """Whoever came first is first."""
    order = call_order([Head(5, 0)], [Head(1, 0), Head(9, 0)], Ratio("first_come"), RatioState())
    assert order == [(G, 0), (P, 0), (G, 1)]


def test_general_calls_alone_start_a_new_round():
    """Scenario 5: after general tickets alone, a priority ticket is next."""
    state = RatioState(2, 0)
    for _ in range(3):
        choice = choose_by_ratio(LineHeads(None, Head(1, 0), Ratio("ratio", 2, 1), state))
        state = choice.state
    both = LineHeads(Head(2, 0), Head(1, 0), Ratio("ratio", 2, 1), state)
    assert choose_by_ratio(both).lane is P


def test_priority_calls_alone_do_not_use_up_the_ratio():
    """What nobody waited for is not owed."""
    state = RatioState(1, 0)
    choice = choose_by_ratio(LineHeads(Head(1, 0), None, Ratio("ratio", 2, 1), state))
    assert choice.state == state


@given(ratios, st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_ratio_is_never_broken_and_nobody_starves(ratio, presence):
    """While both wait: at most `a` priority calls in a row, at most `b` general ones."""
    state = RatioState()
    priority_run = general_run = 0
    for has_priority, has_general in presence:
        if not (has_priority or has_general):
            continue
        choice = choose_by_ratio(
            LineHeads(
                Head(1, 0) if has_priority else None,
                Head(1, 0) if has_general else None,
                ratio,
                state,
            )
        )
        state = choice.state
        if choice.lane is P:
            assert has_priority
            priority_run = priority_run + 1 if has_general else priority_run
            general_run = 0
        else:
            assert has_general
            general_run = general_run + 1 if has_priority else 0
            priority_run = 0
        assert priority_run <= ratio.a
        assert general_run <= ratio.b


@given(ratios, st.integers(0, 9), st.integers(1, 30))
def test_a_general_ticket_waits_for_a_bounded_number_of_calls(ratio, taken, ahead):
    """However many priority patients stream in, the n-th general ticket is called."""
    state = RatioState(min(taken, ratio.a), 0)
    calls, left = 0, ahead
    while left:
        choice = choose_by_ratio(LineHeads(Head(1, 0), Head(1, 0), ratio, state))
        state = choice.state
        left -= choice.lane is G
        calls += 1
    assert calls <= ahead + ratio.a * (1 + -(-ahead // ratio.b))


@given(any_ratio, st.integers(0, 40), st.integers(0, 40), st.data())
def test_people_ahead_of_a_newcomer_is_its_place_in_the_order(ratio, priority, general, data):
    """The count without the line agrees with running the line on."""
    a = data.draw(st.integers(0, ratio.a))
    state = RatioState(a, data.draw(st.integers(0, ratio.b - 1)) if a == ratio.a else 0)
    if ratio.policy != "ratio":
        state = RatioState()
    for lane in (P, G):
        lanes = {P: heads(priority), G: heads(general, 500)}
        lanes[lane] = [*lanes[lane], Head(10_000, 0)]
        order = call_order(lanes[P], lanes[G], ratio, state)
        place = order.index((lane, len(lanes[lane]) - 1))
        assert people_ahead_of_new(lane, priority, general, ratio, state) == place


@given(any_ratio, st.integers(0, 30), st.integers(0, 30))
def test_the_order_calls_everybody_once(ratio, priority, general):
    """A permutation, each lane in its own order."""
    order = call_order(heads(priority), heads(general), ratio, RatioState())
    assert [index for lane, index in order if lane is P] == list(range(priority))
    assert [index for lane, index in order if lane is G] == list(range(general))


def test_full_and_first_come_take_the_lane_that_is_there():
    """One lane empty is no special case."""
    only_general = LineHeads(None, Head(1, 0), Ratio("full"), RatioState())
    only_priority = LineHeads(Head(1, 0), None, Ratio("full"), RatioState())
    for choose in (choose_full, choose_first_come):
        assert choose(only_general).lane is G
        assert choose(only_priority).lane is P
    same = LineHeads(Head(1, 2), Head(1, 3), Ratio("first_come"), RatioState())
    assert choose_first_come(same).lane is P


@pytest.mark.parametrize("text", ["", "0:1", "2:0", "2", "2:1:1", "100:1", "FULL", "-1:1", "2 : 1"])
def test_ratio_refuses_nonsense(text):
    """Only a:b with 1 to 99, full or first_come."""
    with pytest.raises(ValueError, match=r".*"):
        Ratio.parse(text)


def test_reinsert_place():
    """Behind the third of its lane, or the last where there are fewer."""
    lane = [(10, 0), (20, 0), (30, 0), (30, 1024), (40, 0)]
    assert reinsert_place(lane, 3) == (30, 1)
    assert (30, 0) < (30, 1) < (30, 1024)
    assert reinsert_place(lane[:2], 3) == (20, 1)
    assert reinsert_place([], 3) is None


def test_estimate():
    """People ahead × median ÷ counters."""
    assert estimate_wait(6, [100, 300, 200], 2) == timedelta(seconds=600)
    assert estimate_wait(0, [100], 1) == timedelta()
    with pytest.raises(NoOpenCounter):
        estimate_wait(1, [100], 0)


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0, 0), (1, 5), (299, 5), (450, 10), (449, 5), (1500, 25)]
)
def test_estimates_are_shown_in_steps_of_five(seconds, minutes):
    """Rounded to 5, and never 0 while somebody is ahead."""
    assert rounded_minutes(timedelta(seconds=seconds)) == minutes
