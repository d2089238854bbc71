"""The SLA `acceptance`: a topic passes when every chosen test of it was seen to pass."""

from __future__ import annotations

from typing import Any

import pytest
from made_evidence import at, expected, timeline

from reports.measures import allowed, measured
from slas.judge import judge
from slas.verdicts import Outcome, Verdict

TESTS = ["suites/acceptance/auth/test_a.py::test_one", "suites/acceptance/auth/test_a.py::test_two"]


def ended(test: str, outcome: str, reason: str | None = None) -> dict[str, Any]:
    return at(1, "acceptance.test", test=test, outcome=outcome, reason=reason)


def judged(*events: dict[str, Any], tests: list[str] = TESTS) -> Verdict:
    asked = expected("acceptance", allowed=1, details={"tests": tests})
    (verdict,) = judge(timeline({}, *events, asked))
    return verdict


def test_all_passed_is_a_pass() -> None:
    """The share is whole."""
    verdict = judged(*(ended(test, "passed") for test in TESTS))
    assert (verdict.verdict, verdict.measured, verdict.samples) == (Outcome.PASS, 1.0, 2)
    assert (measured(verdict), allowed(verdict)) == ("100 %", "≥ 100 %")


def test_one_failed_is_a_fail() -> None:
    """The cause names the test, the evidence says why."""
    verdict = judged(ended(TESTS[0], "passed"), ended(TESTS[1], "failed", "got 500"))
    assert (verdict.verdict, verdict.measured) == (Outcome.FAIL, 0.5)
    assert verdict.cause == "1 of 2 tests failed: test_two"
    assert verdict.evidence["failed"] == {TESTS[1]: "got 500"}


@pytest.mark.parametrize(
    ("events", "reason"),
    [([ended(TESTS[1], "inconclusive", "no --release")], "no --release"), ([], "not ended")],
)
def test_what_could_not_know_or_never_ended_is_inconclusive(
    events: list[dict[str, Any]], reason: str
) -> None:
    """Neither is taken for a pass."""
    verdict = judged(ended(TESTS[0], "passed"), *events)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert verdict.cause == f"1 of 2 tests could not know: test_two: {reason}"


def test_a_failure_outweighs_what_could_not_know() -> None:
    """FAIL is worse than INCONCLUSIVE."""
    verdict = judged(ended(TESTS[0], "inconclusive", "skipped"), ended(TESTS[1], "failed"))
    assert verdict.verdict is Outcome.FAIL


def test_the_last_end_of_a_test_counts() -> None:
    """A test that a worker's death had begun twice is judged once."""
    verdict = judged(*(ended(test, "passed") for test in TESTS), ended(TESTS[0], "failed"))
    assert verdict.verdict is Outcome.FAIL


def test_no_share_below_the_whole_reads_as_whole() -> None:
    """It is rounded down."""
    tests = [f"{TESTS[0]}[{number}]" for number in range(3000)]
    verdict = judged(*(ended(test, "passed") for test in tests[1:]), ended(tests[0], "failed"), tests=tests)
    assert measured(verdict) == "99.9 %"
