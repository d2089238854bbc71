"""steady_state: with nothing done to it, the subject serves and nothing fails; measured 1 or 0."""

from __future__ import annotations

from typing import Any

from slas.causes import explain, summary
from slas.expectations import Expectation
from slas.loads import load_of
from slas.probing import probing_of
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge that requests were served, no probe failed, and the load's error ratio kept its bound.

    The bound is `details.error_ratio` (0 unless given). `details.source` probes leaves the load out.
    """
    probing = probing_of(timeline, expectation)
    seen = probing.downtime(timeline, expectation.resolution_s)
    bound = float(expectation.details.get("error_ratio", 0.0))
    problems = list(probing.problems)
    reasons: list[str] = []
    evidence: dict[str, Any] = {**probing.as_json(), "failed": seen.failed, "notes": list(timeline.notes)}
    if seen.failed:
        cause = summary([explain(timeline, interval) for interval in seen.intervals])
        reasons.append(f"{seen.failed} of {seen.looks} probes failed: {cause}")
    if expectation.details.get("source") != "probes":
        load = load_of(timeline, expectation)
        problems += load.problems
        evidence |= load.as_json()
        if not load.problems and load.error_ratio > bound:
            reasons.append(f"{load.failures} of {load.requests} requests failed, allowed {bound:g}")
    evidence["problems"] = problems
    if reasons:
        return expectation.verdict(
            Outcome.FAIL, 0.0, cause="; ".join(reasons), evidence=evidence, samples=seen.looks
        )
    if problems:
        return expectation.unknown("; ".join(problems), evidence=evidence, samples=seen.looks)
    return expectation.verdict(Outcome.PASS, 1.0, evidence=evidence, samples=seen.looks)
