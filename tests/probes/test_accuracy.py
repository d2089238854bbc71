"""The sampler process against a server with known outages: the campaign of docs/accuracy.md, in short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.campaign import (
    SLOW_S,
    broken_promises,
    compared,
    is_promised,
    observe_outages,
    reported,
)
from slas.timeline import Timeline

RATE = 200.0
LENGTHS_S = (0.01, 0.03, 0.1, SLOW_S + 2 / RATE, 0.5)


@pytest.fixture(scope="module")
def observed():
    """Return the truths, as the server measured them, and what the sampler recorded."""
    return observe_outages(RATE, LENGTHS_S, repeats=2, seed=7)


def test_every_outage_is_found_with_the_truth_in_its_bracket(observed):
    """Each series finds each outage, brackets its truth, is close to it, and reports no other."""
    truths, timeline = observed
    assert set(timeline.samples) == {"p/new", "p/reused"}
    assert sum(is_promised(one, RATE) for one in truths) == 34
    result = compared(truths, reported(timeline, RATE), RATE, timeline.blind_spans())
    assert broken_promises(result) == []


def _sparser(timeline: Timeline) -> Timeline:
    """Return the record of a sampler a tenth as fast."""
    return replace(
        timeline, samples={name: one.take(slice(0, None, 10)) for name, one in timeline.samples.items()}
    )


def _with_a_failure(timeline: Timeline) -> Timeline:
    """Return the record with one failed probe before the first outage."""
    one = timeline.samples["p/new"]
    outcome = one.outcome.copy()
    outcome[20] = 1
    return replace(timeline, samples={**timeline.samples, "p/new": replace(one, outcome=outcome)})


def test_a_slower_sampler_would_miss_outages(observed):
    """Sabotage: at 20 probes a second, short outages are not found."""
    truths, timeline = observed
    broken = broken_promises(compared(truths, reported(_sparser(timeline), RATE), RATE))
    assert any("found, missed 10" in one for one in broken)


def test_a_detector_that_counts_errors_only_would_miss_the_stalls(observed):
    """Sabotage: without `slow_ms` a stall shorter than the time-out is not found; errors still are."""
    truths, timeline = observed
    broken = broken_promises(compared(truths, reported(timeline, RATE, slow_s=60.0), RATE))
    assert any("stall: 0 of 4 found" in one for one in broken)
    assert not any("refused" in one and "found" in one for one in broken)


def test_an_upper_bound_that_is_a_period_short_would_exclude_the_truth(observed):
    """Sabotage: an interval cut by one period does not reach around the outage any more."""
    truths, timeline = observed
    cut = {
        name: [replace(one, end_s=one.end_s - 1 / RATE, upper_s=one.upper_s - 1 / RATE) for one in seen]
        for name, seen in reported(timeline, RATE).items()
    }
    assert any("inside the bracket" in one for one in broken_promises(compared(truths, cut, RATE)))


def test_an_upper_bound_as_the_length_would_be_too_far_off(observed):
    """Sabotage: a detector that reports the upper bound as the length errs by a period."""
    truths, timeline = observed
    upper = {
        name: [replace(one, lower_s=one.upper_s) for one in seen]
        for name, seen in reported(timeline, RATE).items()
    }
    assert any("mean error" in one for one in broken_promises(compared(truths, upper, RATE)))


def test_a_failure_in_health_would_be_a_false_interval(observed):
    """Sabotage: one failed probe outside every outage is counted against us."""
    truths, timeline = observed
    seen = reported(_with_a_failure(timeline), RATE)
    broken = broken_promises(compared(truths, seen, RATE, timeline.blind_spans()))
    assert broken == ["p/new: 1 false intervals", "merged: 1 false intervals"]


def test_no_answer_delays_a_later_probe(observed):
    """Every tick was sent, and during a stall of the server they went on as before."""
    truths, timeline = observed
    stall = next(one for one in truths if one.mode == "stall" and one.planned_s == LENGTHS_S[-1])
    for columns in timeline.samples.values():
        ticks = columns.take(~columns.retry)
        span_s = ticks.scheduled_s[-1] - ticks.scheduled_s[0]
        assert len(ticks) == round(span_s * RATE) + 1
        during = (ticks.scheduled_s > stall.start_s) & (ticks.scheduled_s < stall.end_s)
        assert np.count_nonzero(during) >= 0.9 * RATE * stall.least_s
        # A closed loop would send them all after the stall; half of it is far from both.
        late_s = ticks.sent_s[during] - ticks.scheduled_s[during]
        assert float(np.median(late_s)) < stall.least_s / 10


def test_a_machine_that_was_blind_most_of_the_time_proves_nothing(observed):
    """Sabotage: outages next to blind moments are not compared, and many of them break the campaign."""
    truths, timeline = observed
    blind = [(one.start_s, one.end_s) for one in truths[:5]]
    result = compared(truths, reported(timeline, RATE), RATE, blind)
    assert result["disturbed"] >= 5
    assert any("too busy" in one for one in broken_promises(result))
