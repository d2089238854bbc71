"""rollback: a bad release left everything as it was before; rollback_time: how long that took.

What counts is the release's manifest, its digests, and the digest that serves, not what Helm says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import InconclusiveError
from slas.expectations import Expectation
from slas.releases import Release, releases_of, service_of
from slas.timeline import Event, Timeline
from slas.verdicts import Outcome, Verdict


@dataclass(frozen=True, kw_only=True)
class _Rollback:
    """The bad release, the states around it, and the restored revision's announcement of serving."""

    bad: Release
    before: Event
    after: Event
    restored: Event | None

    @property
    def differences(self) -> list[str]:
        """What of the state is not as before."""
        differences = []
        if self.before["manifest_sha256"] != self.after["manifest_sha256"]:
            differences.append("the manifests")
        if set(self.before["digests"]) != set(self.after["digests"]):
            differences.append("the digests")
        return differences

    @property
    def evidence(self) -> dict[str, Any]:
        """What the verdict rests on."""
        restored = dict(self.restored) if self.restored else None
        return {
            **self.bad.as_json(),
            "before": dict(self.before),
            "after": dict(self.after),
            "restored": restored,
        }


def check_state(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge whether manifests, digests and the serving digest are those of before; measured 1 or 0."""
    seen = _rollback_of(timeline, expectation)
    if seen.differences:
        cause = f"after the bad release {' and '.join(seen.differences)} differ from before"
        return expectation.verdict(Outcome.FAIL, 0.0, cause=cause, evidence=seen.evidence, samples=1)
    if seen.bad.ended is not None and seen.bad.ended.get("ok"):
        return expectation.unknown(
            "the release did not fail, so nothing was rolled back", evidence=seen.evidence, samples=1
        )
    last = seen.bad.servings[-1] if seen.bad.servings else None
    if last is not None and last.get("digest") not in seen.before["digests"]:
        cause = f"{last.get('digest')} serves, which was not deployed before"
        return expectation.verdict(Outcome.FAIL, 0.0, cause=cause, evidence=seen.evidence, samples=1)
    if seen.restored is None:
        return expectation.unknown(
            "the restored revision was not seen to serve", evidence=seen.evidence, samples=1
        )
    return expectation.verdict(Outcome.PASS, 1.0, evidence=seen.evidence, samples=1)


def check_time(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the time from the start of the bad release to the restored revision serving, in seconds."""
    seen = _rollback_of(timeline, expectation)
    waited_s = expectation.end_s - seen.bad.started_s
    if seen.differences:
        return expectation.verdict(
            Outcome.FAIL, waited_s, cause="never rolled back", evidence=seen.evidence, samples=1
        )
    if seen.bad.ended is not None and seen.bad.ended.get("ok"):
        return expectation.unknown(
            "the release did not fail, so nothing was rolled back", evidence=seen.evidence, samples=1
        )
    if seen.restored is None:
        outcome = Outcome.FAIL if waited_s > expectation.allowed else Outcome.INCONCLUSIVE
        cause = "the restored revision was not serving when the window ended"
        return expectation.verdict(outcome, waited_s, cause=cause, evidence=seen.evidence, samples=1)
    measured = float(seen.restored["t"]) - seen.bad.started_s
    outcome = Outcome.PASS if measured <= expectation.allowed else Outcome.FAIL
    return expectation.verdict(outcome, measured, evidence=seen.evidence, samples=1)


def _rollback_of(timeline: Timeline, expectation: Expectation) -> _Rollback:
    releases = releases_of(timeline, expectation, actions=("install", "upgrade"))
    if not releases:
        raise InconclusiveError("no release was started in the window")
    bad = releases[-1]
    if bad.ended is None:
        raise InconclusiveError("the release was not seen to end")
    service = service_of(expectation)
    before, after = (
        [
            event
            for event in timeline.of_kind(
                "release.state", end_s=expectation.end_s, service=service, when=when
            )
            if (event["t"] <= bad.started_s) is (when == "before")
        ]
        for when in ("before", "after")
    )
    for when, states in (("before", before), ("after", after)):
        if not states:
            raise InconclusiveError(f"the state {when} the release was not recorded")
        if not states[-1].get("digests") or not states[-1].get("manifest_sha256"):
            raise InconclusiveError(f"the state {when} the release lacks its digests or its manifest")
    revision = after[-1].get("revision")
    restored = [
        event
        for event in bad.servings
        if event.get("digest") in before[-1]["digests"]
        and (revision is None or str(event.get("revision")) == str(revision))
    ]
    return _Rollback(bad=bad, before=before[-1], after=after[-1], restored=restored[0] if restored else None)
