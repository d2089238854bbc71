"""error_ratio: failed requests by all requests, of the load, of the probes, or of both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slas.expectations import Expectation
from slas.loads import load_of
from slas.probing import failed_in_window, probing_of
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the ratio (0 to 1) from `details.source`: load, probes, or both.

    Without a source it is the load, unless the details name a series and no `load_id`. No request, a lost
    worker, a generator that died, or probes too thin are INCONCLUSIVE.
    """
    details = expectation.details
    only_probes = details.get("series") and not details.get("load_id")
    source = details.get("source") or ("probes" if only_probes else "load")
    if source not in {"load", "probes", "both"}:
        return expectation.unknown(f"details.source: expected load, probes or both, got {source!r}")
    requests = failures = 0
    problems: list[str] = []
    evidence: dict[str, Any] = {"source": source, "notes": list(timeline.notes)}
    if source in {"load", "both"}:
        load = load_of(timeline, expectation)
        requests, failures = load.requests, load.failures
        problems += load.problems
        evidence |= load.as_json()
    if source in {"probes", "both"}:
        probing = probing_of(timeline, expectation)
        failed, looks = failed_in_window(timeline, probing)
        requests, failures = requests + looks, failures + failed
        problems += probing.problems
        evidence |= probing.as_json()
    evidence |= {"requests": requests, "failures": failures, "problems": problems}
    if not requests:
        return expectation.unknown("; ".join(problems) or "no request", evidence=evidence)
    return _judged(expectation, failures / requests, problems, evidence, requests)


def _judged(
    expectation: Expectation,
    ratio: float,
    problems: list[str],
    evidence: Mapping[str, Any],
    requests: int,
) -> Verdict:
    if problems:
        return expectation.unknown("; ".join(problems), measured=ratio, evidence=evidence, samples=requests)
    outcome = Outcome.PASS if ratio <= expectation.allowed else Outcome.FAIL
    return expectation.verdict(outcome, ratio, evidence=evidence, samples=requests)
