"""Beside the verdict on a span with a fault, the same judgement of an equal span without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.errors import InconclusiveError
from slas.expectations import Expectation
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

# What a span without a fault can be asked too.
_SLAS = frozenset(
    {"downtime", "downtime_longest", "error_ratio", "latency_p95", "latency_p99", "steady_state"}
)


def beside(
    check: Callable[[Timeline, Expectation], Verdict],
    timeline: Timeline,
    expectation: Expectation,
    verdict: Verdict,
) -> Verdict:
    """Return the verdict with `evidence.without_fault`, from the span `details.paired` {start_s, end_s}.

    A FAIL that the span without the fault earns too is no finding about the fault: INCONCLUSIVE.
    """
    span = expectation.details.get("paired")
    if not span or expectation.sla not in _SLAS:
        return verdict
    rest = {name: value for name, value in expectation.details.items() if name != "paired"}
    asked = replace(
        expectation, start_s=float(span["start_s"]), end_s=float(span["end_s"]), phase=None, details=rest
    )
    try:
        alone = check(timeline, asked)
    except InconclusiveError as error:
        alone = asked.unknown(str(error))
    shown = alone.as_json()
    kept = {name: shown[name] for name in ("verdict", "measured", "cause", "samples")} | dict(span)
    verdict = replace(verdict, evidence={**verdict.evidence, "without_fault": kept})
    if verdict.verdict is Outcome.FAIL and alone.verdict is Outcome.FAIL:
        cause = f"it fails without the fault too ({alone.cause or shown['measured']}): {verdict.cause or ''}"
        return replace(verdict, verdict=Outcome.INCONCLUSIVE, cause=cause.rstrip(": "))
    return verdict
