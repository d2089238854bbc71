"""The sampler process against a server with known outages."""

from __future__ import annotations

import numpy as np
import pytest

from slas.downtime import measure
from slas.segments import read_segments

RATE, SLOW_S = 200, 0.25
SHORT = [(mode, length_s) for length_s in (0.01, 0.03, 0.1, 0.5) for mode in ("refused", "reset", "503")]
OUTAGES = [*SHORT, ("stall", SLOW_S + 2 / RATE), ("stall", 0.6)]
_QUIET_S = 0.3


@pytest.fixture(scope="module")
def measured(outages):
    """Return the truths, as the server measured them, and the samples of each series."""
    truths, run_dir = outages(OUTAGES, _QUIET_S, rate=RATE, slow_ms=SLOW_S * 1000)
    samples, notes = read_segments(run_dir / "samples")
    assert notes == []
    return truths, samples


def test_every_outage_is_found_with_the_truth_in_its_bracket(measured):
    """Each series finds each outage that a probe was sent into, brackets its truth, and reports no other."""
    truths, samples = measured
    assert set(samples) == {"p/new", "p/reused"}
    for series, columns in samples.items():
        sent = np.sort(columns.sent_s[~columns.retry])
        seen = measure(
            {series: columns},
            start_s=float(sent[0]),
            end_s=float(sent[-1]),
            slow_s={series: SLOW_S},
            rate={series: RATE},
        )
        explained = set()
        for truth in truths:
            start_s, end_s = truth["start_s"], truth["end_s"]
            within = [
                i for i, one in enumerate(seen.intervals) if one.start_s < end_s and one.end_s > start_s
            ]
            into = np.count_nonzero((sent > start_s) & (sent < end_s))
            # A freeze of this machine may keep every probe out of a short outage, then nobody can see it.
            assert within or not into, (series, truth)
            if within:
                hit = seen.intervals[within[0]]
                assert hit.start_s <= start_s, (series, truth, hit)
                assert hit.end_s >= end_s, (series, truth, hit)
                assert hit.lower_s <= truth["outer_end_s"] - truth["outer_start_s"], (series, truth, hit)
                explained.update(within)
        assert len(explained) >= len(OUTAGES) - 2, "a machine this busy proves nothing"
        assert explained == set(range(len(seen.intervals))), "an interval that is no outage"


def test_no_answer_delays_a_later_probe(measured):
    """Every tick was sent, and during a stall of the server they went on as before."""
    truths, samples = measured
    stall = truths[-1]
    for columns in samples.values():
        ticks = columns.take(~columns.retry)
        span_s = ticks.scheduled_s[-1] - ticks.scheduled_s[0]
        assert len(ticks) == round(span_s * RATE) + 1
        during = (ticks.scheduled_s > stall["start_s"]) & (ticks.scheduled_s < stall["end_s"])
        assert np.count_nonzero(during) >= 0.9 * RATE * (stall["end_s"] - stall["start_s"])
        # A closed loop would send them all after the stall; half of it is far from both.
        late_s = ticks.sent_s[during] - ticks.scheduled_s[during]
        assert float(np.median(late_s)) < (stall["end_s"] - stall["start_s"]) / 10
