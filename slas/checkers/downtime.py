"""downtime: how long the subject was down, as a bracket; zero allowed means that no probe failed."""

from __future__ import annotations

from slas.causes import explain, summary
from slas.expectations import Expectation
from slas.probing import probing_of, unproved_resolution
from slas.timeline import Timeline
from slas.verdicts import Bracket, Outcome, Verdict


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the total downtime in the window, in seconds.

    With `allowed` 0 a single failed probe is FAIL, and PASS needs every series to be proved by calibration
    to see outages of `resolution_s`. Thin evidence is INCONCLUSIVE, unless the failure is certain anyway.
    """
    probing = probing_of(timeline, expectation)
    seen = probing.downtime(timeline, expectation.resolution_s)
    problems = list(probing.problems)
    down = seen.failed > 0 or seen.total.lower > 0
    measured = seen.total
    if expectation.allowed <= 0:
        outcome = Outcome.FAIL if down else Outcome.PASS
        measured = seen.total if down else Bracket(lower=0.0, upper=0.0)
        unproved = [unproved_resolution(timeline, expectation, series) for series in probing.samples]
        problems += [reason for reason in unproved if reason]
        bound = expectation.resolution_s
        if bound is not None and seen.longest_gap_s > bound:
            problems.append(f"nothing was seen for {seen.longest_gap_s:.3f} s, longer than {bound:g} s")
    else:
        outcome = seen.total.judge(expectation.allowed)
        unproved = [
            unproved_resolution(timeline, expectation, str(event["series"]))
            for event in timeline.of_kind("calibration.result")
            if event.get("series") in probing.samples and event.get("found") is not True
        ]
        problems += sorted({reason for reason in unproved if reason})
    explained = [(interval, explain(timeline, interval)) for interval in seen.intervals]
    evidence = {
        **probing.as_json(),
        "failed": seen.failed,
        "outages": seen.outages,
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
            measured=seen.total if seen.looks else None,
            evidence=evidence,
            samples=seen.looks,
        )
    cause = summary([cause for _, cause in explained]) if down else None
    if outcome is Outcome.INCONCLUSIVE:
        cause = f"the bound lies within the uncertainty{f': {cause}' if cause else ''}"
    return expectation.verdict(outcome, measured, cause=cause, evidence=evidence, samples=seen.looks)
