"""deploy_time: from the start of a release to its revision serving on every replica, in seconds."""

from __future__ import annotations

from slas.expectations import Expectation
from slas.releases import Release, releases_of
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the slowest release of the service in the window.

    The service is `details.service`, else the subject; `details.revision` and `details.action` narrow it
    down. A release that failed, or ended without its revision serving, is FAIL; no release, or one whose
    end is not known, is INCONCLUSIVE.
    """
    releases = releases_of(timeline, expectation, actions=("install", "upgrade"))
    if not releases:
        return expectation.unknown("no release was started in the window")
    verdicts = [_judged(expectation, release) for release in releases]
    order = list(Outcome)
    return min(verdicts, key=lambda one: (order.index(one.verdict), -_seconds(one)))


def _seconds(verdict: Verdict) -> float:
    return verdict.measured if isinstance(verdict.measured, float) else 0.0


def _judged(expectation: Expectation, release: Release) -> Verdict:
    evidence = release.as_json()
    waited_s = expectation.end_s - release.started_s
    if release.ended is not None and not release.ended.get("ok"):
        reason = release.ended.get("error") or "no reason given"
        return expectation.verdict(
            Outcome.FAIL, waited_s, cause=f"the release failed: {reason}", evidence=evidence, samples=1
        )
    if release.serving is not None:
        measured = float(release.serving["t"]) - release.started_s
        outcome = Outcome.PASS if measured <= expectation.allowed else Outcome.FAIL
        return expectation.verdict(outcome, measured, evidence=evidence, samples=1)
    if release.ended is not None:
        cause = "the new revision was not serving when the window ended"
        return expectation.verdict(Outcome.FAIL, waited_s, cause=cause, evidence=evidence, samples=1)
    return expectation.unknown("the release was not seen to end", evidence=evidence, samples=1)
