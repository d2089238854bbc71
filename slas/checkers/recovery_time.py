"""recovery_time: from a fault's landing to the workload's full strength, in seconds.

The fault landed between its injection and its proof, so the time is a bracket. A fault that lasts until it is
undone is judged from there (`details.since` healed): how long it lasted was somebody's choice.
"""

from __future__ import annotations

from slas.expectations import Expectation
from slas.timeline import Event, Timeline
from slas.verdicts import Bracket, Outcome, Verdict


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the slowest recovery among the faults of the window.

    `details.fault_id` or `details.fault` narrow them down. A fault that selected nothing, failed, or was
    not proved to land is INCONCLUSIVE. One that landed and was not recovered from in the window took at
    least as long as the window lasted.
    """
    details = expectation.details
    wanted = {name: details[name] for name in ("fault_id", "fault") if details.get(name) is not None}
    events = list(timeline.of_kind(*_KINDS, start_s=expectation.start_s, end_s=expectation.end_s))
    ids = {
        event.get("fault_id")
        for event in events
        if all(event.get(name) == value for name, value in wanted.items())
    }
    faults = {
        one: {str(event["kind"]): event for event in events if event.get("fault_id") == one} for one in ids
    }
    if not faults:
        return expectation.unknown("no fault was injected in the window")
    verdicts = [_judged(expectation, fault) for fault in faults.values()]
    order = list(Outcome)
    return min(verdicts, key=lambda one: (order.index(one.verdict), -_upper_s(one)))


_KINDS = (
    "fault.selected",
    "fault.injected",
    "fault.proved",
    "fault.healing",
    "fault.healed",
    "fault.failed",
    "fault.recovered",
    "fault.unrecovered",
)


def _upper_s(verdict: Verdict) -> float:
    return verdict.measured.upper if isinstance(verdict.measured, Bracket) else 0.0


def _judged(expectation: Expectation, fault: dict[str, Event]) -> Verdict:
    evidence = {kind: dict(event) for kind, event in fault.items()}
    if "fault.failed" in fault:
        reason = fault["fault.failed"].get("reason") or "no reason given"
        return expectation.unknown(f"the fault was not carried out: {reason}", evidence=evidence)
    if "fault.selected" in fault and not fault["fault.selected"].get("targets"):
        return expectation.unknown("the fault selected no target", evidence=evidence)
    if "fault.proved" not in fault:
        return expectation.unknown("the fault was not proved to land", evidence=evidence)
    latest, earliest = "fault.proved", "fault.injected"
    if expectation.details.get("since") == "healed":
        if "fault.healed" not in fault:
            return expectation.unknown("the fault was not healed in the window", evidence=evidence)
        # Nobody heals a kill: it is over with its proof.
        if fault["fault.healed"].get("by") != "kubernetes":
            latest, earliest = "fault.healed", "fault.healing"
    proved_s = float(fault[latest]["t"])
    landed_s = min(proved_s, float(fault.get(earliest, fault[latest])["t"]))
    if "fault.recovered" not in fault:
        waited_s = expectation.end_s - proved_s
        outcome = Outcome.FAIL if waited_s > expectation.allowed else Outcome.INCONCLUSIVE
        return expectation.verdict(
            outcome, waited_s, cause="not recovered when the window ended", evidence=evidence, samples=1
        )
    recovered_s = float(fault["fault.recovered"]["t"])
    measured = Bracket(lower=max(0.0, recovered_s - proved_s), upper=max(0.0, recovered_s - landed_s))
    return expectation.verdict(measured.judge(expectation.allowed), measured, evidence=evidence, samples=1)
