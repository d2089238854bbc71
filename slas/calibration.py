"""Calibration: an outage whose truth is known must be found, and its bracket must contain the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slas.downtime import measure
from slas.samples import SampleColumns
from slas.verdicts import Bracket

# How far apart the two observers of one moment may stamp it: the server that stops and the probe.
TOLERANCE_S = 0.005


@dataclass(frozen=True, kw_only=True)
class CalibrationResult:
    """Whether a series found a known outage of `truth_s` seconds.

    If so, `resolution_s` is that length: outages as long are proved to be seen. Otherwise it is None and
    `reason` says why not.
    """

    series: str
    found: bool
    resolution_s: float | None
    truth_s: float
    bracket: Bracket
    reason: str | None = None

    def as_event(self) -> dict[str, Any]:
        """Return the fields of the `calibration.result` event."""
        fields: dict[str, Any] = {
            "series": self.series,
            "found": self.found,
            "resolution_s": self.resolution_s,
            "truth_s": self.truth_s,
            "bracket": {"lower": self.bracket.lower, "upper": self.bracket.upper},
        }
        return fields | ({"reason": self.reason} if self.reason else {})


def calibrate(
    series: str,
    samples: SampleColumns,
    *,
    truth_start_s: float,
    truth_end_s: float,
    rate: float,
    slow_s: float,
    blind: Sequence[tuple[float, float]] = (),
    tolerance_s: float = TOLERANCE_S,
    placed_within_s: float = 0.0,
) -> CalibrationResult:
    """Judge one series against an outage known to have lasted from `truth_start_s` to `truth_end_s`.

    `samples` are those of this outage alone, with good ones before and after. It is found if probes
    failed then, and the truth lies within the bracket give or take `tolerance_s`. `placed_within_s` is how
    far off the truth's place may be, where another clock measured it: its length is right all the same.
    """
    truth_s = truth_end_s - truth_start_s
    start_s = min([truth_start_s, *samples.sent_s[samples.sent_s > 0].tolist()])
    end_s = max([truth_end_s, *samples.finished_s.tolist()])
    seen = measure(
        {series: samples},
        start_s=start_s,
        end_s=end_s,
        slow_s={series: slow_s},
        rate={series: rate},
        blind={series: blind},
    )
    from_s, to_s = truth_start_s - placed_within_s, truth_end_s + placed_within_s
    hits = [one for one in seen.intervals if one.start_s < to_s and one.end_s > from_s]
    bracket = Bracket(lower=sum(hit.lower_s for hit in hits), upper=sum(hit.upper_s for hit in hits))
    reason = None
    if not len(samples):
        reason = "no samples"
    elif not hits:
        reason = f"an outage of {truth_s:.3f} s was not seen by {seen.looks} probes"
    elif not bracket.lower - tolerance_s <= truth_s <= bracket.upper + tolerance_s:
        reason = f"the truth, {truth_s:.3f} s, is not in [{bracket.lower:.3f}, {bracket.upper:.3f}] s"
    return CalibrationResult(
        series=series,
        found=reason is None,
        resolution_s=truth_s if reason is None else None,
        truth_s=truth_s,
        bracket=bracket,
        reason=reason,
    )
