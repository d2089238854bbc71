"""One clock for a run: Unix seconds that never step, because they advance with the monotonic clock.

On one machine CLOCK_MONOTONIC is shared by all processes, so processes that anchor with the same
`offset_s` stamp the same instant alike even if the wall clock is stepped meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RunClock:
    """Unix time as monotonic seconds plus a fixed offset (seconds)."""

    offset_s: float

    @classmethod
    def start(cls) -> RunClock:
        """Anchor the monotonic clock to the wall clock now."""
        return cls(offset_s=time.time() - time.monotonic())

    def now(self) -> float:
        """Return the present in Unix seconds."""
        return time.monotonic() + self.offset_s
