"""alert_latency: from a disruption to the firing of the alert that must tell of it, in seconds.

Both ends are brackets: the disruption began between a fault's injection and its proof, the alert between
the last look at which it was silent and the first at which it fired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import InconclusiveError
from slas.alerts import Alert, alerts_of, unwatched
from slas.expectations import Expectation
from slas.timeline import Timeline
from slas.verdicts import Bracket, Outcome, Verdict, merge

_END_KINDS = ("fault.gone", "fault.recovered")


@dataclass(frozen=True, kw_only=True)
class _Disruption:
    """It began between `earliest_s` and `latest_s`, and was over at `over_s` if that is known."""

    earliest_s: float
    latest_s: float
    over_s: float | None


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge the first firing after the disruption.

    The disruption is `details.since_s` to `details.until_s`, else the window's fault (`fault_id` or `fault`
    narrow it down) from injection to recovery. An alert that has not fired is FAIL once the bound has
    passed, INCONCLUSIVE before, and also while nobody could see the alerts. With `resolved_within_s` it
    must be resolved so long after the disruption's end; with `silent_otherwise` it may fire neither before
    the disruption nor, within the window, anew after its end.
    """
    disruption = _disruption(timeline, expectation)
    alerts = [one for one in alerts_of(timeline, expectation) if one.fired_s <= expectation.end_s]
    early = [one for one in alerts if one.fired_s < disruption.earliest_s]
    after = [one for one in alerts if one.fired_s >= disruption.earliest_s]
    evidence: dict[str, Any] = {
        "disruption": {"earliest_s": disruption.earliest_s, "latest_s": disruption.latest_s},
        "over_s": disruption.over_s,
        "alerts": [one.as_json() for one in alerts],
        "notes": list(timeline.notes),
    }
    still = [one for one in early if one.resolved_s is None or one.resolved_s > disruption.earliest_s]
    if still and not expectation.details.get("silent_otherwise"):
        return expectation.unknown(
            f"{still[0].name} fired before the disruption already", evidence=evidence, samples=len(alerts)
        )
    first = after[0] if after else None
    measured, findings = _fired(timeline, expectation, disruption, first)
    findings += _resolved(expectation, disruption, first)
    findings += _silent(expectation, disruption, alerts)
    outcome = merge(finding for finding, _ in findings)
    reasons = [reason for finding, reason in findings if finding is outcome and reason]
    return expectation.verdict(
        outcome, measured, cause="; ".join(reasons) or None, evidence=evidence, samples=len(alerts)
    )


Findings = list[tuple[Outcome, str]]


def _fired(
    timeline: Timeline, expectation: Expectation, disruption: _Disruption, first: Alert | None
) -> tuple[float | Bracket, Findings]:
    blind = [
        span
        for span in unwatched(timeline)
        if span[0] < disruption.latest_s + expectation.allowed and span[1] > disruption.earliest_s
    ]
    if first is None:
        waited_s = max(0.0, expectation.end_s - disruption.latest_s)
        missed = waited_s > expectation.allowed and not blind
        why = "nobody could see the alerts" if blind else f"no alert within {waited_s:.1f} s"
        return waited_s, [(Outcome.FAIL if missed else Outcome.INCONCLUSIVE, why)]
    not_before_s = min([first.not_before_s, *(start_s for start_s, end_s in blind if end_s <= first.fired_s)])
    measured = Bracket(
        lower=max(0.0, not_before_s - disruption.latest_s), upper=first.fired_s - disruption.earliest_s
    )
    outcome = measured.judge(expectation.allowed)
    return measured, [(outcome, "" if outcome is Outcome.PASS else f"{first.name} fired late")]


def _resolved(expectation: Expectation, disruption: _Disruption, first: Alert | None) -> Findings:
    within_s = expectation.details.get("resolved_within_s")
    if within_s is None or first is None:
        return []
    if disruption.over_s is None:
        return [(Outcome.INCONCLUSIVE, "the disruption was not seen to end")]
    if first.resolved_s is not None:
        took_s = first.resolved_s - disruption.over_s
        if took_s <= float(within_s):
            return [(Outcome.PASS, "")]
        return [(Outcome.FAIL, f"{first.name} resolved {took_s:.1f} s after, allowed {float(within_s):g} s")]
    waited_s = expectation.end_s - disruption.over_s
    outcome = Outcome.FAIL if waited_s > float(within_s) else Outcome.INCONCLUSIVE
    return [(outcome, f"{first.name} still fired {waited_s:.1f} s after the disruption")]


def _silent(expectation: Expectation, disruption: _Disruption, alerts: list[Alert]) -> Findings:
    if not expectation.details.get("silent_otherwise"):
        return []
    over_s = disruption.over_s if disruption.over_s is not None else float("inf")
    false = [
        one
        for one in alerts
        if (one.fired_s < disruption.earliest_s or one.not_before_s > over_s)
        and (one.resolved_s is None or one.resolved_s > expectation.start_s)
    ]
    return [(Outcome.FAIL, f"{one.name} fired without a disruption") for one in false]


def _disruption(timeline: Timeline, expectation: Expectation) -> _Disruption:
    details = expectation.details
    if details.get("since_s") is not None:
        since_s, until_s = float(details["since_s"]), details.get("until_s")
        over_s = float(until_s) if until_s is not None else None
        return _Disruption(earliest_s=since_s, latest_s=since_s, over_s=over_s)
    wanted = {name: details[name] for name in ("fault_id", "fault") if details.get(name) is not None}
    span = {"start_s": expectation.start_s, "end_s": expectation.end_s}
    proved = list(timeline.of_kind("fault.proved", **span, **wanted))
    if not proved:
        raise InconclusiveError("no fault was proved to land in the window")
    fault_id, latest_s = proved[0].get("fault_id"), float(proved[0]["t"])
    injected = [float(one["t"]) for one in timeline.of_kind("fault.injected", **span, fault_id=fault_id)]
    over = [float(one["t"]) for one in timeline.of_kind(*_END_KINDS, start_s=latest_s, fault_id=fault_id)]
    return _Disruption(
        earliest_s=min([latest_s, *injected]), latest_s=latest_s, over_s=min(over, default=None)
    )
