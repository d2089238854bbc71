"""The measurement of what probing costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.cost import Cost, measure_cost
from probes.series import NEW, REUSED

KEPT = Cost(
    rates={NEW: 1000, REUSED: 1000},
    span_s=20.0,
    cpu_share=0.40,
    late_ms={"p50": 0.1, "p99": 2.0, "max": 50.0},
    coverage=0.99,
    failed=0,
)


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_share": 0.401},
        {"late_ms": {"p50": 0.1, "p99": 2.01, "max": 2.1}},
        {"coverage": 0.989},
        {"failed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_bound_alone_breaks_the_promise(change):
    """At the bounds the promise holds; past any of them it does not."""
    assert KEPT.holds
    assert not replace(KEPT, **change).holds


def test_more_probes_cost_more():
    """The figures are those of the sampler's process: they follow the rate, and every probe is in them."""
    few, many = (measure_cost({NEW: rate, REUSED: rate}, 2.0) for rate in (50, 500))
    assert 0 < few.cpu_share < many.cpu_share < 1
    assert few.coverage > 0.95
    assert many.coverage > 0.95
    assert few.failed == many.failed == 0
    assert few.late_ms["p50"] <= few.late_ms["p99"] <= few.late_ms["max"]
