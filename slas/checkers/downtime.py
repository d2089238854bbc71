"""downtime, downtime_longest: how long the subject was down, in all and at a stretch, as brackets.

Zero allowed means for both that no probe failed.
"""

from __future__ import annotations

from collections.abc import Callable

from slas.causes import explain, summary
from slas.downtime import Downtime
from slas.expectations import Expectation
from slas.probing import missed_calibration, probing_of, unproved_resolution
from slas.proportion import Proportion
from slas.timeline import Timeline
from slas.verdicts import Bracket, Outcome, Verdict


def check_total(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the total downtime in the window, in seconds."""
    return _check(timeline, expectation, lambda seen: seen.total)


def check_longest(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the longest outage in the window, in seconds."""
    return _check(timeline, expectation, lambda seen: seen.longest)


def _check(timeline: Timeline, expectation: Expectation, of: Callable[[Downtime], Bracket]) -> Verdict:
    """Judge one of the brackets.

    With `allowed` 0 a single failed probe is FAIL, and PASS needs every series to be proved by calibration
    to see outages of `resolution_s`. Thin evidence is INCONCLUSIVE, unless the failure is certain anyway.
    """
    probing = probing_of(timeline, expectation)
    seen = probing.downtime(timeline, expectation.resolution_s)
    problems = list(probing.problems)
    down = seen.failed > 0 or seen.total.lower > 0
    measured = of(seen)
    if expectation.allowed <= 0:
        outcome = Outcome.FAIL if down else Outcome.PASS
        measured = measured if down else Bracket(lower=0.0, upper=0.0)
        unproved = [unproved_resolution(timeline, expectation, series) for series in probing.samples]
        problems += [reason for reason in unproved if reason]
        bound = expectation.resolution_s
        if bound is not None and seen.longest_gap_s > bound:
            problems.append(f"nothing was seen for {seen.longest_gap_s:.3f} s, longer than {bound:g} s")
    else:
        outcome = measured.judge(expectation.allowed)
        missed = [missed_calibration(timeline, expectation, series) for series in probing.samples]
        problems += [reason for reason in missed if reason]
    explained = [(interval, explain(timeline, interval)) for interval in seen.intervals]
    evidence = {
        **probing.as_json(),
        "failed": seen.failed,
        "outages": seen.outages,
        "looks": Proportion(failures=seen.failed, requests=seen.looks).as_json() if seen.looks else None,
        "total": {"lower": seen.total.lower, "upper": seen.total.upper},
        "longest": {"lower": seen.longest.lower, "upper": seen.longest.upper},
        "blind_s": round(seen.blind_s, 6),
        "longest_gap_s": round(seen.longest_gap_s, 6),
        "intervals": [interval.as_json() | cause.as_json() for interval, cause in explained],
        "stalls": [stall.as_json() for stall in seen.stalls],
        "problems": problems,
        "notes": list(timeline.notes),
    }
    if outcome is not Outcome.FAIL and problems:
        return expectation.unknown(
            "; ".join(problems),
            measured=of(seen) if seen.looks else None,
            evidence=evidence,
            samples=seen.looks,
        )
    cause = summary([cause for _, cause in explained]) if down else None
    if outcome is Outcome.INCONCLUSIVE:
        cause = f"the bound lies within the uncertainty{f': {cause}' if cause else ''}"
    return expectation.verdict(outcome, measured, cause=cause, evidence=evidence, samples=seen.looks)
