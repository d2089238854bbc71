"""How well a detector did against known outages: one rule, whoever the detector is.

- An outage is *found* if the detector reports an interval that overlaps the time in which the service was
  certainly out.
- The *error of the length* is how far what it reports as the length (of several such intervals the sum) is
  from the true one, and zero between the least and the most that the truth can be.
- A *false alarm* is an interval that overlaps no outage, not even the time the server took to switch.
- For a detector that gives a bracket, the truth is *inside* if one interval reaches from before the start
  to after the end, and its two lengths do not exclude the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.outages import Truth


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One interval that a detector reports; without a bracket `lower_s` and `upper_s` are its length."""

    start_s: float
    end_s: float
    lower_s: float
    upper_s: float

    @property
    def length_s(self) -> float:
        """The length to compare: the middle of the bracket."""
        return (self.lower_s + self.upper_s) / 2

    @classmethod
    def plain(cls, start_s: float, end_s: float) -> Seen:
        """Make one without a bracket."""
        return cls(start_s=start_s, end_s=end_s, lower_s=end_s - start_s, upper_s=end_s - start_s)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a detector made of one outage; `error_s` is None if it was not found."""

    truth: Truth
    inside: bool
    error_s: float | None

    @property
    def found(self) -> bool:
        """Tell whether it was found."""
        return self.error_s is not None


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a detector made of all outages; `false_alarms` are intervals that were none."""

    findings: tuple[Finding, ...]
    false_alarms: tuple[Seen, ...]

    @property
    def found(self) -> int:
        """How many outages were found."""
        return sum(one.found for one in self.findings)

    @property
    def mean_error_s(self) -> float | None:
        """The mean error of the length over the outages found; None if there is none."""
        errors = [one.error_s for one in self.findings if one.error_s is not None]
        return sum(errors) / len(errors) if errors else None


def score(truths: Sequence[Truth], seen: Sequence[Seen]) -> Score:
    """Compare what a detector reports with the truth."""
    return Score(
        findings=tuple(_finding(truth, seen) for truth in truths),
        false_alarms=tuple(
            one
            for one in seen
            if not any(
                one.start_s <= truth.outer_end_s and one.end_s >= truth.outer_start_s for truth in truths
            )
        ),
    )


def _finding(truth: Truth, seen: Sequence[Seen]) -> Finding:
    hits = [one for one in seen if one.start_s < truth.end_s and one.end_s > truth.start_s]
    if not hits:
        return Finding(truth=truth, inside=False, error_s=None)
    length_s = sum(one.length_s for one in hits)
    return Finding(
        truth=truth,
        inside=any(
            one.start_s <= truth.start_s
            and one.end_s >= truth.end_s
            and one.lower_s <= truth.most_s
            and one.upper_s >= truth.least_s
            for one in hits
        ),
        error_s=max(truth.least_s - length_s, length_s - truth.most_s, 0.0),
    )
