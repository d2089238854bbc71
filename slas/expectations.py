"""Expectations: which SLA is to be judged, about whom, over which span, against which bound.

A scenario writes its expectations into the timeline as events of kind `expectation`; judging a run is
a pure function of them and the rest of the timeline, so that a run can be judged again from its folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from core.errors import InconclusiveError
from slas.verdicts import Bracket, Outcome, Verdict

# The SLAs and their one unit. Extended in docs/formats.md, never renamed.
UNITS: Mapping[str, str] = {
    "acceptance": "share",
    "deploy_time": "s",
    "downtime": "s",
    "downtime_longest": "s",
    "error_ratio": "ratio",
    "latency_p95": "ms",
    "latency_p99": "ms",
    "recovery_time": "s",
    "rollback": "bool",
    "rollback_time": "s",
    "steady_state": "bool",
    "invariant": "bool",
    "alert_latency": "s",
    "rpo": "s",
    "rto": "s",
}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One thing to judge.

    `start_s` and `end_s` bound the span (Unix seconds of the run's clock); `allowed` is in the SLA's
    unit; `resolution_s` is the coarsest resolution at which zero may be claimed; `phase` is the part of
    the scenario that the span is (none: all of it); `details` is what the checker needs besides (series
    names, revisions, the reason why nothing could be measured).
    """

    sla: str
    subject: str
    scenario: str
    start_s: float
    end_s: float
    allowed: float
    unit: str
    resolution_s: float | None = None
    phase: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_event(self) -> dict[str, Any]:
        """Return the fields of the `expectation` event."""
        return asdict(self)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Expectation:
        """Read an `expectation` event; raises InconclusiveError if it is no whole expectation."""
        known = {field.name for field in fields(cls)}
        try:
            made = cls(**{name: value for name, value in event.items() if name in known})
            texts = (made.sla, made.subject, made.scenario, made.unit)
            if not all(isinstance(text, str) for text in texts) or not isinstance(made.details, Mapping):
                raise InconclusiveError(f"not an expectation: {texts}, details {type(made.details).__name__}")
            numbers = (made.start_s, made.end_s, made.allowed)
            if not all(math.isfinite(number) for number in numbers):
                raise InconclusiveError(f"expectation of {made.sla}: expected finite numbers, got {numbers}")
            unit = UNITS.get(made.sla, made.unit)
        except TypeError as error:
            raise InconclusiveError(f"not an expectation: {error}") from error
        if made.end_s <= made.start_s:
            raise InconclusiveError(f"the span {made.start_s} to {made.end_s} has no length")
        if made.unit != unit:
            raise InconclusiveError(f"expectation of {made.sla}: expected the unit {unit}, got {made.unit!r}")
        return made

    def verdict(
        self,
        outcome: Outcome,
        measured: float | Bracket | None,
        *,
        cause: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        samples: int = 0,
    ) -> Verdict:
        """Return this expectation's verdict."""
        return Verdict(
            sla=self.sla,
            subject=self.subject,
            scenario=self.scenario,
            phase=self.phase,
            verdict=outcome,
            measured=measured,
            allowed=self.allowed,
            unit=self.unit,
            resolution_s=self.resolution_s,
            cause=cause,
            evidence=evidence or {},
            samples=samples,
        )

    def unknown(self, cause: str, **kept: Any) -> Verdict:
        """Return INCONCLUSIVE: the evidence does not allow a verdict, and `cause` says why."""
        measured = kept.pop("measured", None)
        return self.verdict(Outcome.INCONCLUSIVE, measured, cause=cause, **kept)
