"""One second of load: counts and a latency histogram, of one worker or of all together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

ERROR_KINDS_KEPT = 5


def bucket_ms(latency_ms: float) -> int:
    """Return the upper bound of the latency's bucket: 1 ms wide to 250 ms, 5 ms to 1 s, then 50 ms.

    For reading a run as it goes; verdicts come from the samples, which are not rounded.
    """
    width = 1 if latency_ms <= 250 else 5 if latency_ms <= 1000 else 50
    return max(1, math.ceil(latency_ms / width) * width)


def percentile_ms(histogram: Mapping[int, int], share: float) -> float | None:
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
    """What happened since the last tick. The histogram holds successes only: a fast error is no latency.

    `achieved` counts the requests of the plan, `requests` also what users sent before their schedule.
    """

    requests: int = 0
    achieved: int = 0
    failures: int = 0
    users: int = 0
    cpu: float = 0.0
    late_ms: float = 0.0
    latency_ms: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def count(self, latency_ms: float, error: str | None, *, planned: bool = True) -> None:
        """Count one finished request."""
        self.requests += 1
        self.achieved += planned
        if error is None:
            self.latency_ms[bucket_ms(latency_ms)] += 1
        else:
            self.failures += 1
            self.errors[error[:160]] += 1

    def as_message(self) -> dict[str, Any]:
        """Return what a worker tells its master."""
        return {
            **vars(self),
            "latency_ms": dict(self.latency_ms),
            "errors": dict(self.errors.most_common(ERROR_KINDS_KEPT)),
        }

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> Self:
        """Read a worker's message."""
        return cls(
            **{
                **message,
                "latency_ms": Counter(message["latency_ms"]),
                "errors": Counter(message["errors"]),
            }
        )

    def add(self, other: Second) -> None:
        """Add another worker's second: counts are summed, of CPU and lateness the highest stands."""
        for name in ("requests", "achieved", "failures", "users"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cpu, self.late_ms = max(self.cpu, other.cpu), max(self.late_ms, other.late_ms)
        self.latency_ms.update(other.latency_ms)
        self.errors.update(other.errors)

    def as_event(self) -> dict[str, object]:
        """Return the fields of the `load.second` event that come from requests."""
        histogram = dict(sorted(self.latency_ms.items()))
        return {
            "requests": self.requests,
            "achieved": self.achieved,
            "failures": self.failures,
            "p50_ms": percentile_ms(histogram, 0.50),
            "p95_ms": percentile_ms(histogram, 0.95),
            "latency_ms": histogram,
            "users": self.users,
            "cpu": round(self.cpu, 3),
            "late_ms": round(self.late_ms, 3),
            **({"errors": dict(self.errors.most_common(ERROR_KINDS_KEPT))} if self.errors else {}),
        }
