"""The arrival plan of a load: when each request is intended, whatever became of the one before.

A closed loop of users measures fewer requests while the server is slow, and so hides the slowness. Here each
request has its moment before the load starts; one that is sent late keeps its moment.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import MisuseError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A span of a load: `rate` requests/s at its start, going evenly to `to_rate` if that is given."""

    duration_s: float
    rate: float
    to_rate: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise MisuseError(f"load stage duration_s: expected a positive number, got {self.duration_s!r}")
        for name, value in (("rate", self.rate), ("to_rate", self.end_rate)):
            if not (math.isfinite(value) and value >= 0):
                raise MisuseError(f"load stage {name}: expected 0 or a positive number, got {value!r}")

    @property
    def end_rate(self) -> float:
        """Return the rate at the stage's end."""
        return self.rate if self.to_rate is None else self.to_rate

    def arrivals(self, elapsed_s: float) -> float:
        """Return how many requests are due within the first `elapsed_s` of the stage."""
        slope = (self.end_rate - self.rate) / self.duration_s
        return self.rate * elapsed_s + slope * elapsed_s * elapsed_s / 2

    def elapsed_s(self, arrivals: float) -> float:
        """Return when so many requests are due, the inverse of `arrivals`."""
        slope = (self.end_rate - self.rate) / self.duration_s
        # The root in the form that loses no digits where the slope is small.
        root = math.sqrt(max(0.0, self.rate * self.rate + 2 * slope * arrivals))
        return min(self.duration_s, 2 * arrivals / (self.rate + root)) if self.rate + root else 0.0


class Plan:
    """Stages one after the other. Times are seconds since the load's first moment.

    Raises MisuseError when the stages offer no request at all.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._starts_s = list(itertools.accumulate((s.duration_s for s in self.stages), initial=0.0))
        self._counts = list(
            itertools.accumulate((s.arrivals(s.duration_s) for s in self.stages), initial=0.0)
        )
        if self.arrivals < 1:
            raise MisuseError(
                f"load stages: expected at least one request, got {self.arrivals:g} "
                f"in {self.duration_s:g} s: the rate is zero or too low"
            )

    @property
    def duration_s(self) -> float:
        """Return how long the stages last together."""
        return self._starts_s[-1]

    @property
    def arrivals(self) -> float:
        """Return how many requests the whole plan offers."""
        return self._counts[-1]

    @property
    def peak_rate(self) -> float:
        """Return the highest rate, requests per second."""
        return max(max(stage.rate, stage.end_rate) for stage in self.stages)

    def offered(self, until_s: float) -> float:
        """Return how many requests are due before this moment."""
        if until_s <= 0:
            return 0.0
        if until_s >= self.duration_s:
            return self.arrivals
        index = bisect.bisect_right(self._starts_s, until_s) - 1
        return self._counts[index] + self.stages[index].arrivals(until_s - self._starts_s[index])

    def due_s(self, number: int) -> float | None:
        """Return when the request of this number (from 0) is due; None after the last one."""
        count = number + 0.5
        if count >= self.arrivals:
            return None
        index = bisect.bisect_right(self._counts, count) - 1
        return self._starts_s[index] + self.stages[index].elapsed_s(count - self._counts[index])
