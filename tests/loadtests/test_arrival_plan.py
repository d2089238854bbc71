"""The arrival plan: every request has its moment, and the moments add up to the stages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MisuseError
from loadtests.plan import Plan, Stage

RATES = st.floats(0, 500, allow_nan=False)
STAGES = st.lists(
    st.builds(Stage, duration_s=st.floats(0.5, 20), rate=RATES, to_rate=st.none() | RATES),
    min_size=1,
    max_size=5,
).filter(lambda stages: sum(stage.arrivals(stage.duration_s) for stage in stages) >= 1)


@given(STAGES)
def test_moments_rise_and_agree_with_what_is_offered(stages: list[Stage]) -> None:
    """Request n is due just when n and a half requests were offered."""
    plan = Plan(stages)
    moments = [plan.due_s(number) for number in range(int(plan.arrivals + 0.5))]
    known = [moment for moment in moments if moment is not None]
    assert len(known) >= len(moments) - 1
    assert known == sorted(known)
    assert all(0 <= moment <= plan.duration_s + 1e-6 for moment in known)
    for number in range(0, len(known), max(1, len(known) // 50)):
        assert plan.offered(known[number]) == pytest.approx(number + 0.5, abs=1e-3)
    assert plan.due_s(int(plan.arrivals) + 1) is None


def test_a_steady_plan_is_evenly_spaced() -> None:
    """At ten a second a request is due every tenth of one."""
    plan = Plan([Stage(rate=10, duration_s=1)])
    assert [plan.due_s(number) for number in range(11)] == [
        *(pytest.approx(0.05 + number / 10) for number in range(10)),
        None,
    ]


def test_a_ramp_sends_most_at_its_end() -> None:
    """From nothing to 100/s in ten seconds: 500 requests, a quarter of them in the first half."""
    plan = Plan([Stage(rate=0, to_rate=100, duration_s=10)])
    assert (plan.arrivals, plan.offered(5), plan.peak_rate) == (500, 125, 100)


@pytest.mark.parametrize(
    ("rate", "duration_s"), [(0, 10), (-1, 10), (10, 0), (10, -1), (float("nan"), 1), (0.01, 1)]
)
def test_a_plan_that_sends_nothing_is_misuse(rate: float, duration_s: float) -> None:
    """Neither a rate of zero nor a span without length is a load."""
    with pytest.raises(MisuseError):
        Plan([Stage(rate=rate, duration_s=duration_s)])
