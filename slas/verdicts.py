"""Verdicts: PASS, FAIL or INCONCLUSIVE, with what was measured, what is allowed and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The three answers, in the order of merging: the worst one wins."""

    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"  # noqa: S105 - a verdict, no password


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of several outcomes; of none at all, INCONCLUSIVE, since nothing was seen."""
    order = list(Outcome)
    return min(outcomes, key=order.index, default=Outcome.INCONCLUSIVE)


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """A measured quantity that lies between `lower` and `upper`."""

    lower: float
    upper: float

    def judge(self, allowed: float) -> Outcome:
        """PASS when upper ≤ allowed, FAIL when lower > allowed, else INCONCLUSIVE."""
        if self.upper <= allowed:
            return Outcome.PASS
        return Outcome.FAIL if self.lower > allowed else Outcome.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One SLA's answer for one subject in one scenario, as written to verdicts.json."""

    sla: str
    subject: str
    scenario: str
    verdict: Outcome
    measured: float | Bracket | None
    allowed: float | None
    unit: str
    resolution_s: float | None = None
    cause: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0
    phase: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """Return what tells this verdict from the others of its run."""
        return (self.scenario, self.sla, self.subject, self.phase)

    def as_json(self) -> dict[str, Any]:
        """Return the record as verdicts.json holds it (schema 1, docs/formats.md)."""
        measured: Any = self.measured
        if isinstance(measured, Bracket):
            measured = {"lower": measured.lower, "upper": measured.upper}
        return {
            "sla": self.sla,
            "subject": self.subject,
            "scenario": self.scenario,
            "phase": self.phase,
            "verdict": self.verdict.value,
            "measured": measured,
            "allowed": self.allowed,
            "unit": self.unit,
            "resolution_s": self.resolution_s,
            "cause": self.cause,
            "evidence": dict(self.evidence),
            "samples": self.samples,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Verdict:
        """Read a record of verdicts.json; raises KeyError, TypeError or ValueError if it is none."""
        measured = record["measured"]
        bracket = Bracket(**measured) if isinstance(measured, dict) else measured
        return cls(**{**record, "verdict": Outcome(record["verdict"]), "measured": bracket})
