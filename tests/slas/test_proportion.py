"""The bounds of a ratio and the sizes of samples, against the definitions worked out in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from slas.percentiles import BEYOND, nearest_rank, needed
from slas.proportion import Proportion, resolving_requests


def at_most(failures: int, requests: int, ratio: Fraction) -> float:
    """Return the chance of no more than so many failures, term by term."""
    return float(
        sum(math.comb(requests, k) * ratio**k * (1 - ratio) ** (requests - k) for k in range(failures + 1))
    )


@pytest.mark.parametrize(
    ("failures", "requests"),
    [(0, 1), (0, 50), (1, 1), (1, 2), (1, 50), (7, 50), (49, 50), (50, 50), (3, 300)],
)
def test_the_bounds_are_where_chance_leaves_five_percent(failures: int, requests: int) -> None:
    """By definition: so few, or so many, failures would come up in one run of twenty."""
    found = Proportion(failures=failures, requests=requests)
    if failures < requests:
        assert at_most(failures, requests, Fraction(found.at_most)) == pytest.approx(0.05, rel=1e-9)
    else:
        assert found.at_most == 1.0
    if failures:
        assert 1 - at_most(failures - 1, requests, Fraction(found.at_least)) == pytest.approx(0.05, rel=1e-9)
    else:
        assert found.at_least == 0.0


def test_the_bounds_hold_for_millions() -> None:
    """Close to the ratio, and on both sides of it."""
    found = Proportion(failures=7200, requests=7_200_000)
    assert 0.00098 < found.at_least < 0.001 < found.at_most < 0.00102
    few = Proportion(failures=1, requests=7_200_000)
    assert few.at_most == pytest.approx(4.7439 / 7_200_000, rel=1e-3)


@pytest.mark.parametrize("allowed", [0.5, 0.1, 0.05, 0.01, 0.001, 0.0001])
def test_enough_requests_are_the_fewest_that_show_the_bound(allowed: float) -> None:
    """One fewer would not."""
    least = resolving_requests(allowed)
    assert 0.05 ** (1 / least) >= 1 - allowed
    assert least == 1 or 0.05 ** (1 / (least - 1)) < 1 - allowed
    assert resolving_requests(1.0) == 1


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
def test_a_percentile_needs_some_samples_beyond_it(percent: int) -> None:
    """Counted, for each number of samples around the least one."""
    least = needed(percent)
    for count in range(1, 3 * least):
        rank = next(k for k in range(1, count + 1) if 100 * k >= percent * count)
        assert nearest_rank(percent, count) == rank
        assert count < least or count - rank >= BEYOND
    assert least - 1 - nearest_rank(percent, least - 1) < BEYOND
