"""alert_latency: in time, late, never, before its time, and never resolved."""

from __future__ import annotations

from typing import Any

import pytest
from made_evidence import T0, at, expected, timeline

from slas.judge import judge
from slas.verdicts import Bracket, Outcome, Verdict

FAULT = {"fault": "pod_delete", "fault_id": "f1"}
LANDED = (
    at(2, "fault.injected", **FAULT),
    at(3, "fault.proved", **FAULT),
    at(20, "fault.recovered", **FAULT),
)


def firing(second: float, **more: Any) -> dict[str, Any]:
    return at(second, "alert.firing", **{"alert": "Down", "labels": {"severity": "page"}} | more)


def resolved(second: float, **more: Any) -> dict[str, Any]:
    return at(second, "alert.resolved", **{"alert": "Down", "labels": {"severity": "page"}} | more)


def judged(*events: dict[str, Any], allowed: float = 10.0, end_s: float = 60.0, **details: Any) -> Verdict:
    asked = expected("alert_latency", allowed=allowed, end_s=end_s, details=details)
    (verdict,) = judge(timeline({}, *events, asked))
    return verdict


def test_the_latency_runs_from_the_disruption_to_the_firing() -> None:
    """Between the shortest and the longest that it can have been."""
    events = (*LANDED, firing(8, not_before_s=T0 + 7))
    outcomes = [judged(*events, allowed=bound).verdict for bound in (3.9, 5.0, 6.0)]
    assert outcomes == [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
    assert judged(*events).measured == Bracket(lower=4.0, upper=6.0)
    assert judged(firing(8), since_s=T0 + 2).measured == Bracket(lower=6.0, upper=6.0)


def test_an_alert_that_never_fires_fails_once_its_time_is_over() -> None:
    """Before, it may still fire; and where nobody could see it, it may have."""
    assert judged(*LANDED).verdict is Outcome.FAIL
    assert judged(*LANDED, end_s=12.0).verdict is Outcome.INCONCLUSIVE
    gap = at(30, "alert.gap", start_s=T0 + 5, end_s=T0 + 6, reason="connection refused")
    assert judged(*LANDED, gap).verdict is Outcome.INCONCLUSIVE
    assert judged(*LANDED, firing(61)).verdict is Outcome.FAIL


def test_a_gap_before_the_firing_leaves_the_bound_open() -> None:
    """It may have fired as soon as nobody could see it: FAIL is not certain any more."""
    gap = at(30, "alert.gap", start_s=T0 + 5, end_s=T0 + 15, reason="connection refused")
    assert judged(*LANDED, firing(15)).verdict is Outcome.FAIL
    assert judged(*LANDED, gap, firing(15)).verdict is Outcome.INCONCLUSIVE


def test_without_a_disruption_there_is_nothing_to_measure() -> None:
    """Neither no fault, nor one that was not proved to land."""
    assert judged(firing(8)).verdict is Outcome.INCONCLUSIVE
    assert judged(LANDED[0], firing(8)).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "other",
    [{"alert": "Slow"}, {"labels": {"severity": "info"}}, {"subject": "billing-service"}],
    ids=["name", "labels", "subject"],
)
def test_another_alert_does_not_count(other: dict[str, Any]) -> None:
    """By its name, its labels or its subject."""
    details = {"alert": "Down", "labels": {"severity": "page"}}
    assert judged(*LANDED, firing(8), **details).verdict is Outcome.PASS
    assert judged(*LANDED, firing(8, subject="auth-service"), **details).verdict is Outcome.PASS
    assert judged(*LANDED, firing(8, **other), **details).verdict is Outcome.FAIL


def test_an_alert_that_fires_already_tells_nothing() -> None:
    """Unless it was resolved before; where silence is asked for, it is a false alarm."""
    early = (firing(1), *LANDED)
    assert judged(*early).verdict is Outcome.INCONCLUSIVE
    assert judged(*early, firing(5)).verdict is Outcome.INCONCLUSIVE
    assert judged(firing(1), resolved(1.5), *LANDED, firing(5)).verdict is Outcome.PASS
    assert judged(*early, silent_otherwise=True).verdict is Outcome.FAIL
    calm = (*LANDED, firing(5), resolved(22))
    assert judged(*calm, silent_otherwise=True).verdict is Outcome.PASS
    again = judged(*calm, firing(40), silent_otherwise=True)
    assert (again.verdict, again.cause) == (Outcome.FAIL, "Down fired without a disruption")
    assert judged(*calm, firing(40)).verdict is Outcome.PASS


def test_an_alert_must_be_resolved_in_time_where_that_is_asked_for() -> None:
    """After the disruption's end, which must be known."""
    fired = (*LANDED, firing(5))
    for events, within_s, outcome in (
        ((*fired, resolved(25)), 10.0, Outcome.PASS),
        ((*fired, resolved(35)), 10.0, Outcome.FAIL),
        (fired, 10.0, Outcome.FAIL),
        (fired, 50.0, Outcome.INCONCLUSIVE),
        ((*LANDED[:2], firing(5), resolved(25)), 10.0, Outcome.INCONCLUSIVE),
    ):
        assert judged(*events, resolved_within_s=within_s).verdict is outcome
