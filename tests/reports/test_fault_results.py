"""What became of each fault, as a line and as a record, with the command that repeats it."""

from __future__ import annotations

from typing import Any

from reports.faults import FaultResult, fault_results
from slas.verdicts import Outcome, Verdict

TARGET = {"namespace": "ecochain", "pod": "auth-1", "uid": "u1", "node": "node1"}


def event(t: float, kind: str, **fields: Any) -> dict[str, Any]:
    return {"t": t, "kind": kind, "scenario": "crash", **fields}


def fault(t: float, kind: str, **fields: Any) -> dict[str, Any]:
    return {"t": t, "kind": f"fault.{kind}", "fault": "node_cut", "fault_id": "f1", **fields}


def verdict(outcome: Outcome = Outcome.PASS, cause: str | None = None, scenario: str = "crash") -> Verdict:
    return Verdict(
        sla="downtime",
        subject="auth-service",
        scenario=scenario,
        verdict=outcome,
        measured=0.0,
        allowed=0.0,
        unit="s",
        cause=cause,
    )


def results(*events: dict[str, Any], verdicts: tuple[Verdict, ...] = ()) -> list[FaultResult]:
    plan = event(0, "scenario.plan", file="suites/chaos/scenarios/crash.yaml", span_s=10)
    whole = [event(0, "scenario.started"), plan, *events, event(50, "scenario.ended", error=None)]
    return fault_results(whole, verdicts, environment="lab", seed=7)


WHOLE = (
    fault(1, "selected", targets=[TARGET]),
    fault(2, "injected"),
    fault(3, "proved"),
    fault(12, "healing"),
    fault(13, "healed", by="harness"),
    fault(15, "recovered"),
)


def test_a_fault_that_lasted_recovers_from_its_healing() -> None:
    """The line says whom, what became of it, and the command that repeats it with the same seed."""
    (found,) = results(*WHOLE, verdicts=(verdict(Outcome.FAIL, "no ready endpoint"), verdict()))
    assert (found.lasted_s, found.recovery_s, found.outcome) == (11, (2, 3), "FAIL")
    assert found.line.splitlines() == [
        (
            "crash: node_cut of auth-1 on node1: proved, healed by harness; "
            "recovered after 2\N{EN DASH}3 s; FAIL; cause: no ready endpoint"
        ),
        "    again: verify chaos run suites/chaos/scenarios/crash.yaml --env lab --seed 7",
    ]
    assert found.as_json()["recovery_s"] == {"lower": 2, "upper": 3}


def test_a_kill_recovers_from_its_landing() -> None:
    """Kubernetes undoes it, so there is no healing to count from."""
    killed = [fault(13, "healed", by="kubernetes") if one["kind"] == "fault.healed" else one for one in WHOLE]
    (found,) = results(*killed)
    assert found.recovery_s == (12, 13)


def test_what_was_not_carried_out_or_not_recovered_from_says_why() -> None:
    """Its reason is in the line, and nothing judged is INCONCLUSIVE."""
    (refused,) = results(fault(1, "selected", targets=[]), fault(2, "failed", reason="no pod"))
    assert "node_cut of nothing: not carried out (no pod); no recovery seen; INCONCLUSIVE" in refused.line
    (stuck,) = results(*WHOLE[:-1], fault(40, "unrecovered", reason="1 of 2 Ready"))
    assert stuck.ended == "not recovered from (1 of 2 Ready)"
    assert stuck.recovery_s is None
    (unproved,) = results(*WHOLE[:2])
    assert unproved.ended == "not proved"


def test_each_scenario_has_its_own_faults_and_verdicts() -> None:
    """A fault of a scenario written in Python has no file to repeat, and is left out."""
    other = [fault(60, "selected", targets=[TARGET]), fault(61, "injected")]
    found = results(*WHOLE, *other, verdicts=(verdict(), verdict(Outcome.FAIL, "x", scenario="other")))
    assert [(one.fault_id, one.outcome) for one in found] == [("f1", "PASS")]
