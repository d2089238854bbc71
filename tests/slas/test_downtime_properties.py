"""The bracket against the truth of simulated outages, and what no change for the worse may improve."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from made_evidence import MODES, NEW, REUSED, T0, expected, probed, series, timeline

from slas.downtime import Downtime, measure
from slas.judge import judge
from slas.samples import SampleColumns
from slas.verdicts import Outcome

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
EXACT = 1e-6
# The slowest and the quickest normal answer of the simulated service.
SERVICE_S = (0.001, 0.004)


def measured(
    some: dict[str, list[dict[str, Any]]], start_s: float, end_s: float, rate: float = 100.0
) -> Downtime:
    return measure(
        {name: SampleColumns.of(rows) for name, rows in some.items()},
        start_s=T0 + start_s,
        end_s=T0 + end_s,
        slow_s=dict.fromkeys(some, 0.25),
        rate=dict.fromkeys(some, rate),
    )


@QUICK
@given(
    mode=st.sampled_from(MODES),
    begin_s=st.floats(1.0, 2.0),
    length_s=st.floats(0.001, 3.5),
    rate=st.sampled_from([5.0, 40.0, 100.0]),
    seed=st.integers(0, 999),
)
def test_the_truth_lies_within_the_bracket(
    mode: str, begin_s: float, length_s: float, rate: float, seed: int
) -> None:
    """Whatever the mode, length and rate, an outage that was seen lasted as long as the bracket says."""
    jitter = random.Random(seed)
    service_s = [jitter.uniform(*SERVICE_S) for _ in range(97)]
    rows = series([(begin_s, begin_s + length_s)], mode, length_s=9.0, rate=rate, service_s=service_s)
    seen = measured({NEW: rows}, 0.0, 9.0, rate)
    slack_s = SERVICE_S[1] - SERVICE_S[0] + EXACT
    assert seen.total.lower <= length_s + slack_s
    if seen.failed:
        assert seen.total.upper >= length_s - EXACT
        assert seen.total.upper <= length_s + 2 / rate + 2 * SERVICE_S[1] + 2.0 * (mode == "retransmit") + 0.5
    else:
        assert length_s <= 1 / rate + SERVICE_S[1] + 0.25 * (mode == "hang")


@QUICK
@given(
    modes=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    gaps=st.lists(st.floats(0.3, 1.2), min_size=2, max_size=3),
    lengths=st.lists(st.floats(0.02, 1.0), min_size=3, max_size=3),
    offset_s=st.floats(0.0, 0.009),
)
def test_several_outages_seen_by_two_series_lie_within_the_total(
    modes: tuple[str, str], gaps: list[float], lengths: list[float], offset_s: float
) -> None:
    """Two series, each with its own mode, of a service that is down several times."""
    outages = []
    moment_s = 0.0
    for gap_s, length_s in zip(gaps, lengths, strict=False):
        outages.append((moment_s + gap_s, moment_s + gap_s + length_s))
        moment_s = outages[-1][1]
    truth_s = sum(end - begin for begin, end in outages)
    rows = {NEW: series(outages, modes[0]), REUSED: series(outages, modes[1], offset_s=offset_s)}
    seen = measured(rows, 0.0, 10.0)
    assert seen.total.lower <= truth_s + EXACT
    # Those shorter than a stall's threshold may be unseen by a series that only waits.
    surely_s = sum(b - a for a, b in outages if b - a > 0.27)
    assert seen.total.upper >= surely_s - EXACT
    assert seen.longest.lower <= max(lengths[: len(outages)]) + EXACT or len(seen.intervals) < len(outages)


@QUICK
@given(
    mode=st.sampled_from(MODES),
    length_s=st.floats(0.05, 3.0),
    cut_s=st.floats(0.5, 5.5),
)
def test_cutting_a_run_in_two_never_hides_an_outage(mode: str, length_s: float, cut_s: float) -> None:
    """The halves together have at least the longest outage of the whole, and exactly its failures."""
    rows = {NEW: series([(1.5, 1.5 + length_s)], mode, length_s=7.0)}
    whole = measured(rows, 0.0, 7.0)
    halves = [measured(rows, 0.0, cut_s), measured(rows, cut_s, 7.0)]
    assert sum(half.longest.upper for half in halves) >= whole.longest.upper - EXACT
    assert sum(half.total.lower for half in halves) >= whole.total.lower - EXACT
    assert sum(half.failed for half in halves) == whole.failed


@QUICK
@given(
    mode=st.sampled_from(MODES),
    outage=st.none() | st.floats(0.02, 0.8),
    allowed=st.sampled_from([0.0, 0.1, 0.5]),
    flipped=st.lists(st.integers(0, 299), min_size=1, max_size=4),
    becomes=st.sampled_from(["refused", "reset", "status", "body", "timeout", "other"]),
    sla=st.sampled_from(["downtime", "latency_p95", "error_ratio", "steady_state"]),
)
def test_turning_a_success_into_a_failure_never_improves_the_verdict(
    *, mode: str, outage: float | None, allowed: float, flipped: list[int], becomes: str, sla: str
) -> None:
    """A run that went worse is never judged better."""
    rows = series([(1.0, 1.0 + outage)] if outage else [], mode, length_s=3.0)
    worse = [dict(row) for row in rows]
    for index in flipped:
        if worse[index]["outcome"] == "ok":
            worse[index] |= {"outcome": becomes}
    bound = allowed * 1000 if sla == "latency_p95" else allowed
    asked = expected(sla, allowed=bound, end_s=2.99, details={"series": NEW, "source": "probes"})
    verdicts = [judge(timeline({NEW: some}, *probed(NEW), asked))[0].verdict for some in (rows, worse)]
    order = list(Outcome)
    assert order.index(verdicts[1]) <= order.index(verdicts[0])


@QUICK
@given(
    mode=st.sampled_from(MODES),
    length_s=st.floats(0.05, 2.0),
    missing=st.tuples(st.floats(0.5, 3.0), st.floats(0.06, 1.0)),
)
def test_what_the_runner_did_not_see_widens_upper_only(
    mode: str, length_s: float, missing: tuple[float, float]
) -> None:
    """Leaving samples out never raises lower above the truth, and never lowers upper below it."""
    rows = series([(1.5, 1.5 + length_s)], mode, length_s=6.0)
    begin_s, end_s = T0 + missing[0], T0 + sum(missing)
    kept = [row for row in rows if not begin_s <= row["sent_s"] < end_s]
    seen = measured({NEW: kept}, 0.0, 6.0)
    assert seen.total.lower <= length_s + EXACT
    if seen.failed:
        assert seen.total.upper >= length_s - EXACT
    assert seen.total.upper >= missing[1] - 0.01 - EXACT
