"""The whole accuracy campaign: minutes of outages and of health. `make test-full`, not `make test`."""

from __future__ import annotations

import pytest

from benchmarks.accuracy import health_piece, outages_piece
from benchmarks.campaign import SHORTEST_S, broken_promises

HEALTH_S = 600.0
RATES = sorted(SHORTEST_S)


@pytest.mark.parametrize("rate", RATES)
def test_every_outage_is_found_and_bracketed(rate):
    """Each promised outage is found, the truth is in every bracket, and the middle is close to it."""
    outages = outages_piece(rate)
    assert outages["outages"] == 96
    assert broken_promises(outages) == []


@pytest.mark.parametrize("rate", RATES)
def test_health_shows_no_outage(rate):
    """Ten minutes of health give no interval, while nearly every tick was probed."""
    health = health_piece(rate, HEALTH_S)
    assert health["false_intervals"] == 0, health["intervals"]
    assert health["coverage"] >= 0.99
    assert health["sent"] >= 0.99 * 2 * rate * HEALTH_S
