"""One second of load: counts and a latency histogram."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

ERROR_KINDS_KEPT = 5


def bucket_ms(latency_ms: float) -> int:
    """Return the upper bound of the latency's bucket: 1 ms wide to 250 ms, 5 ms to 1 s, then 50 ms.

    A percentile read from upper bounds is never too good, and at most 5 % too bad above 20 ms.
    """
    width = 1 if latency_ms <= 250 else 5 if latency_ms <= 1000 else 50
    return max(1, math.ceil(latency_ms / width) * width)


def percentile_ms(histogram: dict[int, int], share: float) -> float | None:
    """Return the latency that `share` (0 to 1) of the requests stayed within; None without any."""
    needed = share * sum(histogram.values())
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= needed:
            return float(bucket)
    return None


@dataclass(kw_only=True)
class Second:
    """What happened since the last tick. The histogram holds successes only: a fast error is no latency."""

    requests: int = 0
    failures: int = 0
    latency_ms: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def count(self, latency_ms: float, error: str | None) -> None:
        """Count one finished request."""
        self.requests += 1
        if error is None:
            self.latency_ms[bucket_ms(latency_ms)] += 1
        else:
            self.failures += 1
            self.errors[error[:160]] += 1

    def as_event(self) -> dict[str, object]:
        """Return the fields of the `load.second` event that come from requests."""
        histogram = dict(sorted(self.latency_ms.items()))
        return {
            "requests": self.requests,
            "failures": self.failures,
            "p50_ms": percentile_ms(histogram, 0.50),
            "p95_ms": percentile_ms(histogram, 0.95),
            "latency_ms": histogram,
            **({"errors": dict(self.errors.most_common(ERROR_KINDS_KEPT))} if self.errors else {}),
        }
