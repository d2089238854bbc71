"""What became of each fault of a run: whom it hit, how long the recovery took, how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.measures import figure
from slas.verdicts import Outcome, Verdict, merge


@dataclass(frozen=True, kw_only=True)
class FaultResult:
    """One fault: `lasted_s` from injection to healing, `recovery_s` as a bracket; None without one."""

    scenario: str
    fault: str
    fault_id: str
    targets: Sequence[str]
    ended: str
    lasted_s: float | None
    recovery_s: tuple[float, float] | None
    outcome: str
    cause: str
    again: str

    def as_json(self) -> dict[str, Any]:
        """Return the record as `verify chaos run --json` prints it."""
        recovery = {"lower": self.recovery_s[0], "upper": self.recovery_s[1]} if self.recovery_s else None
        return {
            "scenario": self.scenario,
            "fault": self.fault,
            "fault_id": self.fault_id,
            "targets": list(self.targets),
            "ended": self.ended,
            "lasted_s": self.lasted_s,
            "recovery_s": recovery,
            "outcome": self.outcome,
            "cause": self.cause,
            "again": self.again,
        }

    @property
    def line(self) -> str:
        """Return it as one line of text."""
        recovery = "no recovery seen"
        if self.recovery_s is not None:
            lower, upper = (figure(value, "s") for value in self.recovery_s)
            recovery = f"recovered after {lower}\N{EN DASH}{upper} s"
        hit = ", ".join(self.targets) or "nothing"
        parts = [f"{self.scenario}: {self.fault} of {hit}: {self.ended}", recovery, self.outcome]
        parts += [f"cause: {self.cause}"] if self.cause else []
        return "; ".join(parts) + f"\n    again: {self.again}"


def fault_results(
    events: Iterable[Mapping[str, Any]], verdicts: Sequence[Verdict], *, environment: str, seed: int
) -> list[FaultResult]:
    """Return a result per fault of the scenarios that files describe, in the order of their selection."""
    found: list[FaultResult] = []
    scenario, file = "", ""
    faults: dict[str, dict[str, Mapping[str, Any]]] = {}
    for event in sorted(events, key=lambda one: float(one["t"])):
        kind = str(event["kind"])
        if kind == "scenario.plan":
            scenario, file = str(event["scenario"]), str(event["file"])
        elif kind.startswith("fault.") and scenario:
            faults.setdefault(str(event["fault_id"]), {})[kind] = event
        elif kind == "scenario.ended" and scenario:
            again = f"verify chaos run {shlex.quote(file)} --env {environment} --seed {seed}"
            mine = [verdict for verdict in verdicts if verdict.scenario == scenario]
            found += [_result(scenario, fault_id, fault, mine, again) for fault_id, fault in faults.items()]
            scenario, faults = "", {}
    return found


def _result(
    scenario: str,
    fault_id: str,
    fault: Mapping[str, Mapping[str, Any]],
    verdicts: Sequence[Verdict],
    again: str,
) -> FaultResult:
    moments = {kind: float(event["t"]) for kind, event in fault.items()}
    injected_s, healed_s = moments.get("fault.injected"), moments.get("fault.healed")
    bad = [verdict for verdict in verdicts if verdict.verdict is not Outcome.PASS and verdict.cause]
    causes = [verdict.cause for verdict in (*bad, *verdicts) if verdict.cause]
    named = next(iter(fault.values()))
    return FaultResult(
        scenario=scenario,
        fault=str(named["fault"]),
        fault_id=fault_id,
        targets=[_target(one) for one in fault.get("fault.selected", {}).get("targets", ())],
        ended=_ended(fault),
        lasted_s=round(healed_s - injected_s, 3) if healed_s is not None and injected_s is not None else None,
        recovery_s=_recovery(fault, moments),
        outcome=merge(verdict.verdict for verdict in verdicts).value,
        cause=str(causes[0]) if causes else "",
        again=again,
    )


def _target(target: Mapping[str, Any]) -> str:
    where = f" on {target['node']}" if target.get("node") and target.get("pod") else ""
    return f"{target.get('pod') or target.get('node') or target.get('name') or '?'}{where}"


def _ended(fault: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how far it came, in a word and with the reason where there is one."""
    for kind, words in (
        ("fault.failed", "not carried out"),
        ("fault.unrecovered", "not recovered from"),
        ("fault.aborted", "ended early"),
    ):
        if kind in fault:
            return f"{words} ({fault[kind].get('reason') or 'no reason given'})"
    healed = fault.get("fault.healed")
    if "fault.proved" not in fault or healed is None:
        return "not proved"
    return f"proved, healed by {healed.get('by') or 'nobody said'}"


def _recovery(
    fault: Mapping[str, Mapping[str, Any]], moments: Mapping[str, float]
) -> tuple[float, float] | None:
    """Return the bracket from the healing, or of a kill from the landing, to the recovery (seconds)."""
    if "fault.recovered" not in moments or "fault.proved" not in moments:
        return None
    latest, earliest = "fault.proved", "fault.injected"
    if fault.get("fault.healed", {}).get("by") != "kubernetes" and "fault.healed" in moments:
        latest, earliest = "fault.healed", "fault.healing"
    until_s, from_s = moments["fault.recovered"], moments[latest]
    return (
        round(max(0.0, until_s - from_s), 3),
        round(max(0.0, until_s - min(from_s, moments.get(earliest, from_s))), 3),
    )
