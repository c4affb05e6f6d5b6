"""The plan of a morning and how it goes in a hall that is only its rules."""

from collections import Counter as Counted
from dataclasses import replace
from itertools import pairwise
from math import exp, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.simulators.morning import (
    ARRIVALS,
    Customs,
    Spread,
    clock,
    plan_morning,
    time_of,
)
from puskesmas_queue.simulators.play import Play
from puskesmas_queue.simulators.report import make_report
from support.model_hall import DAY, ModelHall

UNITS = ("umum", "gigi", "kia")
SEEDS = st.integers(0, 10_000)
SHARES = st.floats(0, 1)
CUSTOMS = st.builds(
    Customs,
    priority_share=SHARES,
    no_show_share=SHARES,
    late_share=SHARES,
    return_share=SHARES,
    lacks_share=SHARES,
    fetch_share=SHARES,
    leave_share=SHARES,
    emergencies=st.integers(0, 4),
)


@given(seed=SEEDS, patients=st.integers(0, 200), customs=CUSTOMS)
def test_the_same_seed_gives_the_same_morning(seed, patients, customs):
    first = plan_morning(seed, patients, (1, 2), UNITS, customs)

    assert plan_morning(seed, patients, (1, 2), UNITS, customs) == first
    assert plan_morning(seed + 1, patients + 1, (1, 2), UNITS, customs) != first


def test_who_comes_more_leaves_the_others_as_they_are():
    few, many = (plan_morning(5, count, (1,), UNITS).visits for count in (50, 80))

    # When they come only shifts by the queue at the kiosk.
    known = {one.index: one for one in many if one.request is not None}
    for one in few:
        if one.request is not None:
            assert replace(known[one.index], comes_s=one.comes_s) == one


@given(seed=SEEDS, not_before_s=st.sampled_from([0.0, clock(7, 30)]))
def test_the_kiosk_serves_one_after_another(seed, not_before_s):
    plan = plan_morning(seed, 120, (1,), UNITS, not_before_s=not_before_s)
    ordinary = [one.comes_s for one in plan.visits if one.request is not None]

    assert len(ordinary) == 120
    assert [one.comes_s for one in plan.visits] == sorted(one.comes_s for one in plan.visits)
    gaps = [after - before for before, after in pairwise(ordinary)]
    assert min(gaps) >= plan.customs.kiosk_s - 1e-6
    assert ordinary[0] >= not_before_s + plan.customs.kiosk_s - 1e-6


def test_people_are_as_the_customs_say():
    customs = replace(Customs(), kiosk_s=0.0)
    people = [one for one in plan_morning(1, 5000, (1,), UNITS, customs).visits if one.request]

    def share(holds):
        return sum(map(holds, people)) / len(people)

    assert share(lambda one: one.comes_s < clock(9)) == pytest.approx(0.5, abs=0.03)
    assert share(lambda one: one.request.lane is Lane.PRIORITY) == pytest.approx(0.3, abs=0.03)
    assert share(lambda one: one.hears[0] != 1) == pytest.approx(0.08, abs=0.015)
    assert share(lambda one: one.hears[0] is None) == pytest.approx(0.04, abs=0.015)
    assert share(lambda one: one.lacks_s is not None) == pytest.approx(0.05, abs=0.015)
    assert share(lambda one: one.service_s < 150) == pytest.approx(0.5, abs=0.03)
    mean_s = sum(one.service_s for one in people) / len(people)
    assert mean_s == pytest.approx(150 * exp(0.5**2 / 2), rel=0.03)
    reasons = Counted(one.request.priority_reason for one in people)
    assert len(reasons) == 5
    assert min(people, key=lambda one: one.comes_s).comes_s >= clock(6, 30)
    assert max(people, key=lambda one: one.comes_s).comes_s <= clock(12)


@given(share=SHARES)
def test_the_curve_is_turned_around(share):
    at_s = time_of(share, ARRIVALS)
    begins = max((one for one in ARRIVALS if one[0] <= at_s), key=lambda one: one[0])
    ends = min((one for one in ARRIVALS if one[0] >= at_s), key=lambda one: one[0])

    assert begins[1] - 1e-9 <= share <= ends[1] + 1e-9


@given(seed=SEEDS, patients=st.integers(0, 150), desks=st.integers(1, 5), customs=CUSTOMS)
def test_a_morning_ends_for_everybody(seed, patients, desks, customs):
    """Whatever people are like: no rule broken, nobody in two places, counters closed."""
    hall = ModelHall()
    plan = plan_morning(seed, patients, range(1, desks + 1), UNITS, customs)

    journal = Play(plan, hall).run()

    assert journal.problems == []
    assert len(journal.people) == len(plan.visits) == len(hall.tickets)
    assert not any(hall.serving.values())
    at_work = {"called", "serving"}
    assert not any(one.where in at_work for one in journal.people.values())
    assert not any(one.state.value in at_work for one in hall.tickets.values())
    for counter, open_s in journal.open_s.items():
        assert journal.busy_s.get(counter, 0.0) <= open_s + 1e-6


@given(seed=SEEDS, patients=st.integers(1, 150), customs=CUSTOMS)
def test_the_report_says_what_the_people_know(seed, patients, customs):
    hall = ModelHall()
    journal = Play(plan_morning(seed, patients, (1, 2, 3), UNITS, customs), hall).run()

    report = make_report(DAY, hall.rows(), hall.events)

    for lane, one in report.lanes.items():
        waited = [
            person.called_s - person.issued_s
            for person in journal.people.values()
            if person.lane is lane and person.called_s is not None
        ]
        assert one.waits.count == len(waited)
        if waited:
            assert one.waits.mean * 60 == pytest.approx(sum(waited) / len(waited), abs=0.01)
            assert one.waits.most * 60 == pytest.approx(max(waited), abs=0.01)
    assert report.counters.keys() == journal.open_s.keys()
    for number, counter in report.counters.items():
        assert counter.open_s == pytest.approx(journal.open_s[number], abs=0.01)
        assert counter.busy_s == pytest.approx(journal.busy_s.get(number, 0.0), abs=1.0)
    assert sum(report.outcomes.values()) == len(hall.tickets)


def test_steady_arrivals_wait_as_queueing_theory_says():
    """Utilisation, Little's law and the mean wait of M/G/c (Allen and Cunneen's approximation)."""
    length_s, patients, desks, sigma = 1_400_000.0, 14_000, 3, 0.5
    steady = Customs(
        arrivals=((0.0, 0.0), (length_s, 1.0)),
        no_show_share=0.0,
        lacks_share=0.0,
        leave_share=0.0,
        emergencies=0,
        service=Spread(170.0, sigma),
        walk=Spread(0.001, 0.0),
        kiosk_s=0.0,
        react_s=0.0,
        opens_s=0.0,
        break_from_s=length_s + 9_000,
        closes_s=length_s,
        last_closes_s=length_s,
        goes_home_s=length_s + 9_000,
    )
    hall = ModelHall(looks_s=0.0)
    journal = Play(plan_morning(3, patients, range(1, desks + 1), UNITS, steady), hall).run()
    report = make_report(DAY, hall.rows(), hall.events)
    rate = patients / length_s
    service_s = 170.0 * exp(sigma**2 / 2)
    load = rate * service_s

    assert journal.problems == []
    utilisation = sum(one.busy_s for one in report.counters.values()) / (
        sum(one.open_s for one in report.counters.values())
    )
    assert utilisation == pytest.approx(load / desks, rel=0.02)
    wait_s = 60 * sum(one.minutes for one in report.waits) / len(report.waits)
    # What somebody who looked in every minute saw, against what those who waited tell.
    assert sum(hall.seen) / len(hall.seen) == pytest.approx(rate * wait_s, rel=0.05)
    assert sum(one.mean_queue for one in report.lanes.values()) == pytest.approx(
        rate * wait_s, rel=0.05
    )
    busy_all = load**desks / factorial(desks) / (1 - load / desks)
    erlang = busy_all / (sum(load**n / factorial(n) for n in range(desks)) + busy_all)
    exponential_s = erlang * service_s / (desks - load)
    assert wait_s == pytest.approx(exponential_s * exp(sigma**2) / 2, rel=0.1)


def test_a_hall_that_breaks_a_rule_is_told():
    class Unfair(ModelHall):
        def call_next(self, counter):
            for line in self.standing.values():
                line.reverse()
            return super().call_next(counter)

    class Forgetful(ModelHall):
        def call_next(self, counter):
            return None if self.now_s < clock(8) else super().call_next(counter)

    for hall, words in ((Unfair(), "was called before"), (Forgetful(), "nobody while people")):
        problems = Play(plan_morning(1, 60, (1,), UNITS), hall).run().problems
        assert any(words in problem for problem in problems), words
