"""Thousands of answers at once: this machine reads them one after the other, and that is not downtime."""

from __future__ import annotations

import numpy as np
import pytest

from slas.downtime import measure
from slas.samples import SampleColumns

RATE, START_S, END_S, READ_S = 1000.0, 10.0, 11.0, 0.00008


@pytest.mark.parametrize("gap", [None, (10.2, 10.21), (10.6, 10.608)], ids=str)
def test_the_lower_bound_ends_with_the_first_answer_of_the_burst(gap):
    """A stall ends when its first answer comes, also for the probes after a moment without ticks."""
    sent = 9.0 + np.arange(3000) / RATE
    if gap:
        sent = sent[(sent <= gap[0]) | (sent >= gap[1])]
    there = np.where((sent >= START_S) & (sent < END_S), END_S, sent + 0.0003)
    # Answers are read in the order of sending, each a little after the one before it.
    turns = READ_S * np.arange(len(sent))
    finished = np.maximum.accumulate(there - turns) + turns
    rows = [{"sent_s": float(a), "finished_s": float(b)} for a, b in zip(sent, finished, strict=True)]
    found = measure(
        {"p/new": SampleColumns.of(rows)},
        start_s=9.0,
        end_s=12.0,
        slow_s={"p/new": 0.25},
        rate={"p/new": RATE},
    )
    assert found.outages == 1
    assert 0.9 < found.total.lower <= END_S - START_S + READ_S
    assert found.total.upper >= END_S - START_S
