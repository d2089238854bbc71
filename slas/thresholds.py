"""Thresholds on a load, written as people do: `p95<250ms`, `error_ratio<1%`, `rate>=95`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import MisuseError
from slas.load_latency import LoadLatency
from slas.loads import Load
from slas.percentiles import needed
from slas.verdicts import Outcome

_SHAPE = re.compile(r"^\s*([a-z_]+|p\d{1,2})\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(ms|s|%|)\s*$")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXPECTED = "such as p95<250ms, max<2s, error_ratio<1% or rate>=95"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a threshold says of a load; `measured` is in milliseconds, a ratio, or requests per second."""

    threshold: str
    outcome: Outcome
    measured: float | None
    cause: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the record for a JSON file."""
        return {**vars(self), "outcome": self.outcome.value}


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A bound on one figure of a load: p1 to p99 and max (ms), error_ratio (ratio), rate (achieved/s)."""

    text: str
    figure: str
    compare: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Read one; MisuseError says what is expected."""
        found = _SHAPE.match(text)
        if not found:
            raise MisuseError(f"threshold: expected {_EXPECTED}, got {text!r}")
        figure, compare, number, unit = found.groups()
        timed = figure == "max" or re.fullmatch(r"p[1-9]\d?", figure)
        allowed = {"error_ratio": ("%", ""), "rate": ("",)}.get(figure, ("ms", "s") if timed else ())
        if unit not in allowed:
            raise MisuseError(f"threshold: expected {_EXPECTED}, got {text!r}")
        scale = {"s": 1000.0, "%": 0.01}.get(unit, 1.0)
        return cls(text=text.strip(), figure=figure, compare=compare, bound=float(number) * scale)

    def judge(self, load: Load, latency: LoadLatency, duration_s: float) -> Judged:
        """Judge the figure: what cannot be believed, or rests on too few requests, is INCONCLUSIVE."""
        if load.problems:
            return self._judged(Outcome.INCONCLUSIVE, None, "; ".join(load.problems))
        if self.figure == "error_ratio":
            measured = load.error_ratio
        elif self.figure == "rate":
            measured = load.achieved / duration_s
        else:
            percent = 0 if self.figure == "max" else int(self.figure[1:])
            least = needed(percent) if percent else 1
            if latency.count < least:
                cause = f"{latency.count} requests, at least {least} are needed"
                return self._judged(Outcome.INCONCLUSIVE, None, cause)
            measured = latency.percentile_ms(percent or 100)
        kept = _COMPARE[self.compare](measured, self.bound)
        return self._judged(Outcome.PASS if kept else Outcome.FAIL, measured, None)

    def _judged(self, outcome: Outcome, measured: float | None, cause: str | None) -> Judged:
        return Judged(threshold=self.text, outcome=outcome, measured=measured, cause=cause)
