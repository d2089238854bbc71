"""What failures among requests say about the ratio behind them: exact 95 % bounds (Clopper-Pearson)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Each bound holds with 95 % confidence by itself.
DOUBT = 0.05


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """`failures` of `requests`, at least one request; ratios go from 0 to 1."""

    failures: int
    requests: int

    @property
    def ratio(self) -> float:
        """The share that failed."""
        return self.failures / self.requests

    @property
    def at_most(self) -> float:
        """With 95 % confidence the ratio is no higher; of no failure that is 1 - 0.05^(1/requests)."""
        failures, requests = self.failures, self.requests
        if failures == requests:
            return 1.0
        if failures == 0:
            return -math.expm1(math.log(DOUBT) / requests)
        # The ratio at which so few failures would come up in one run of twenty.
        return _root(lambda ratio: 1 - _beta(failures + 1, requests - failures, ratio) - DOUBT)

    @property
    def at_least(self) -> float:
        """With 95 % confidence the ratio is no lower."""
        failures, requests = self.failures, self.requests
        if failures == 0:
            return 0.0
        # The ratio at which so many failures would come up in one run of twenty.
        return _root(lambda ratio: DOUBT - _beta(failures, requests - failures + 1, ratio))

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "failures": self.failures,
            "requests": self.requests,
            "ratio": self.ratio,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "confidence": 1 - DOUBT,
        }


def resolving_requests(allowed: float) -> int:
    """Return how many requests without a failure show, with 95 % confidence, a ratio of at most `allowed`.

    That is ln 0.05 / ln(1 - allowed), rounded up. `allowed` is more than 0; of 1 a single request is enough.
    """
    if allowed >= 1:
        return 1
    needed = max(1, math.ceil(math.log(DOUBT) / math.log1p(-allowed)))
    # Rounding may put the boundary one off.
    while Proportion(failures=0, requests=needed).at_most > allowed:
        needed += 1
    return needed


def _root(falling: Callable[[float], float]) -> float:
    """Return where a function that falls from above 0 to below it between 0 and 1 is 0, by halving."""
    low, high = 0.0, 1.0
    # Beyond twelve digits it is the function that is rounded; a ratio near 0 needs more halvings for them.
    while high - low > 1e-12 * high and high > 1e-300:
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (Numerical Recipes, 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges fast on one side of the mean; the other side is its mirror image.
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny, c = 1e-300, 1.0
    d = 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 10_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + step * d or tiny)
            c = 1 + step / c or tiny
            value *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return math.exp(front) * value / a
