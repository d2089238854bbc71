"""How far another machine's clock is from ours: bounded by exchanges, not believed.

An exchange says that the other clock showed `their_s` at some moment between our `sent_s` and
`received_s`; so the offset (theirs minus ours) lies between their_s - received_s and their_s - sent_s.
Exchanges are intersected; between them the interval grows by what two clocks can drift apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# NTP slews a clock by at most 500 ppm, and the crystal may be off by about 100 ppm: on both sides.
MAX_DRIFT = 1.2e-3


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question about the time and its answer (seconds; `their_s` on the other clock)."""

    sent_s: float
    their_s: float
    received_s: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """The other clock jumped between two moments of ours: nothing stamped there can be placed."""

    start_s: float
    end_s: float


class ClockOffset:
    """The interval in which the offset of another clock lies, and the estimate used to convert its times.

    The estimate moves only as far as an exchange forces it to, so that converted times do not jitter.
    """

    def __init__(self, max_drift: float = MAX_DRIFT) -> None:
        self._max_drift = max_drift
        self._low_s = self._high_s = self._at_s = 0.0
        self.offset_s = 0.0
        self.exchanges = 0

    @property
    def known(self) -> bool:
        """Tell whether there was an exchange yet."""
        return self.exchanges > 0

    def take(self, exchange: Exchange) -> Step | None:
        """Take an exchange into account; returns a Step if no drift explains what it says."""
        # The answer may be as old as the round trip, and the clocks drifted meanwhile too.
        aged_s = (exchange.received_s - exchange.sent_s) * self._max_drift + _rounding_s(exchange)
        low_s = exchange.their_s - exchange.received_s - aged_s
        high_s = exchange.their_s - exchange.sent_s + aged_s
        at_s, before_s = exchange.received_s, self._at_s
        step = None
        if self.exchanges:
            grown_s = self._grown(at_s)
            kept = max(low_s, self._low_s - grown_s), min(high_s, self._high_s + grown_s)
            if kept[0] <= kept[1]:
                low_s, high_s = kept
            else:
                step = Step(start_s=before_s, end_s=at_s)
        if step is not None or not self.exchanges:
            self.offset_s = (low_s + high_s) / 2
        self._low_s, self._high_s, self._at_s = low_s, high_s, at_s
        self.offset_s = min(max(self.offset_s, low_s), high_s)
        self.exchanges += 1
        return step

    def settle(self) -> None:
        """Move the estimate to the middle of what is known: after the first exchanges, before any use."""
        self.offset_s = (self._low_s + self._high_s) / 2

    def ours(self, their_s: float) -> float:
        """Convert a moment of the other clock to ours; it is right within `bound_s` of that moment."""
        return their_s - self.offset_s

    def bound_s(self, ours_s: float) -> float:
        """Return how wrong the conversion of a moment near `ours_s` can be, in seconds."""
        known_s = max(self._high_s - self.offset_s, self.offset_s - self._low_s)
        return known_s + self._grown(ours_s)

    def _grown(self, ours_s: float) -> float:
        return abs(ours_s - self._at_s) * self._max_drift


def _rounding_s(exchange: Exchange) -> float:
    # Of a difference of two clocks that drift by just the limit, the last digits decide; a step is more.
    return 4 * math.ulp(max(abs(exchange.their_s), abs(exchange.received_s)))
