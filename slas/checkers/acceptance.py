"""acceptance: every test of one topic of the acceptance suites passes.

Measured is the share of them that did. A test that was chosen and never ended, or that could not know,
makes it INCONCLUSIVE; one that failed makes it FAIL.
"""

from __future__ import annotations

from slas.expectations import Expectation
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

_NAMED = 3


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge by the last `acceptance.test` event of each test that `details.tests` names."""
    chosen = [str(name) for name in expectation.details.get("tests") or ()]
    if not chosen:
        return expectation.unknown("no test was chosen")
    ended = {str(event["test"]): event for event in timeline.of_kind("acceptance.test")}
    outcomes = {name: str(ended[name]["outcome"]) if name in ended else "not ended" for name in chosen}
    passed = [name for name, outcome in outcomes.items() if outcome == "passed"]
    failed = [name for name, outcome in outcomes.items() if outcome == "failed"]
    others = [name for name in chosen if name not in {*passed, *failed}]
    share = len(passed) / len(chosen)
    unknown = {name: ended[name].get("reason") if name in ended else "not ended" for name in others}
    evidence = {
        "tests": len(chosen),
        "passed": len(passed),
        "failed": {name: ended[name].get("reason") for name in failed},
        "inconclusive": unknown,
    }
    if failed:
        cause = f"{len(failed)} of {len(chosen)} tests failed: {_some(failed)}"
        return expectation.verdict(Outcome.FAIL, share, cause=cause, evidence=evidence, samples=len(chosen))
    if others:
        cause = f"{len(others)} of {len(chosen)} tests could not know: {_some(others)}: {unknown[others[0]]}"
        return expectation.unknown(cause, measured=share, evidence=evidence, samples=len(chosen))
    return expectation.verdict(Outcome.PASS, share, evidence=evidence, samples=len(chosen))


def _some(names: list[str]) -> str:
    short = [name.rpartition("::")[2] for name in names[:_NAMED]]
    return ", ".join(short) + (" and more" if len(names) > _NAMED else "")
