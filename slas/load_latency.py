"""The latency of a load, from every sample: as it was due (corrected) and as it was sent.

A user whose answers are slow sends its next request late. Counted from its sending, that request looks fast,
although whoever meant to send it waited: so the verdict counts from when it was due. A request without a good
answer counts as slow as its time-out, also one that the load's end cut off or left unsent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slas.loads import Load
from slas.percentiles import nearest_rank
from slas.samples import OK, SampleColumns
from slas.spans import Spans, overlap


@dataclass(frozen=True, kw_only=True)
class LoadLatency:
    """Sorted latencies in milliseconds, by both ways of counting; nothing is rounded."""

    corrected_ms: npt.NDArray[np.float64]
    uncorrected_ms: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """Return how many requests were due."""
        return len(self.corrected_ms)

    def percentile_ms(self, percent: int) -> float:
        """Return the corrected percentile by the nearest rank (at least one sample)."""
        return _ranked(self.corrected_ms, percent)

    def as_json(self) -> dict[str, dict[str, float]]:
        """Return both, for the evidence of a verdict and for people."""
        return {
            "corrected_ms": _summary(self.corrected_ms),
            "uncorrected_ms": _summary(self.uncorrected_ms),
        }


def latency_of(load: Load, blind: Spans) -> LoadLatency:
    """Measure the load's samples; what the generator's machine slept through (`blind`) is not waited for."""
    corrected, uncorrected = [np.empty(0)], [np.empty(0)]
    for columns in load.samples:
        corrected.append(_waits(columns, columns.scheduled_s, load.timeout_s, blind))
        sent = columns.take(columns.sent_s > 0)
        uncorrected.append(_waits(sent, sent.sent_s, load.timeout_s, blind))
    return LoadLatency(
        corrected_ms=np.sort(np.concatenate(corrected)) * 1000,
        uncorrected_ms=np.sort(np.concatenate(uncorrected)) * 1000,
    )


def _waits(
    columns: SampleColumns, since_s: npt.NDArray[np.float64], timeout_s: float, blind: Spans
) -> npt.NDArray[np.float64]:
    wait_s = columns.finished_s - since_s - overlap(since_s, columns.finished_s, blind)
    waited: npt.NDArray[np.float64] = np.where(columns.outcome == OK, wait_s, np.maximum(wait_s, timeout_s))
    return waited


def _ranked(sorted_ms: npt.NDArray[np.float64], percent: int) -> float:
    return float(sorted_ms[nearest_rank(percent, len(sorted_ms)) - 1])


def _summary(sorted_ms: npt.NDArray[np.float64]) -> dict[str, float]:
    if not len(sorted_ms):
        return {}
    return {
        **{f"p{percent}": _ranked(sorted_ms, percent) for percent in (50, 90, 95, 99)},
        "max": float(sorted_ms[-1]),
        "samples": float(len(sorted_ms)),
    }
