"""error_ratio: failed requests by all requests, of the load, of the probes, or of both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slas.expectations import Expectation
from slas.loads import load_of
from slas.probing import failed_in_window, probing_of
from slas.proportion import Proportion, resolving_requests
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

# "No error at all" is claimed at this resolution unless the expectation names another.
RESOLUTION_RATIO = 0.01


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the ratio (0 to 1) from `details.source`: load, probes, or both.

    The ratio is of all requests of the window, so it is FAIL if it is above the bound and PASS if it is not,
    provided that there were enough requests to resolve the bound: so many that none failed would show it
    with 95 % confidence (`resolving_requests`; of 0 allowed, a bound of `details.resolution_ratio`, 0.01).
    Fewer are INCONCLUSIVE, unless the ratio is above the bound with 95 % confidence.

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
    return _judged(expectation, Proportion(failures=failures, requests=requests), problems, evidence)


def _judged(
    expectation: Expectation, found: Proportion, problems: list[str], evidence: Mapping[str, Any]
) -> Verdict:
    allowed = expectation.allowed
    bound = allowed if allowed > 0 else float(expectation.details.get("resolution_ratio", RESOLUTION_RATIO))
    least = resolving_requests(bound)
    evidence = {**evidence, "proportion": found.as_json(), "requests_needed": least}
    kept: dict[str, Any] = {"evidence": evidence, "samples": found.requests}
    if problems:
        return expectation.unknown("; ".join(problems), measured=found.ratio, **kept)
    if found.requests >= least:
        outcome = Outcome.PASS if found.ratio <= allowed else Outcome.FAIL
        return expectation.verdict(outcome, found.ratio, **kept)
    if found.at_least > allowed:
        return expectation.verdict(Outcome.FAIL, found.ratio, **kept)
    return expectation.unknown(
        f"{found.requests} requests, at least {least} are needed to resolve {bound:g}: with 95 % confidence "
        f"the ratio is between {found.at_least:.4f} and {found.at_most:.4f}",
        measured=found.ratio,
        **kept,
    )
