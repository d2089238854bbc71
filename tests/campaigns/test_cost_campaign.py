"""What probing costs on this machine; it must be idle, so `make test-full`, not `make test`."""

from __future__ import annotations

from benchmarks.cost import measure_cost
from probes.series import NEW, REUSED


def test_two_thousand_probes_a_second_cost_what_is_promised():
    """Half on new, half on reused connections: processor time and lateness stay within the promise."""
    cost = measure_cost({NEW: 1000, REUSED: 1000}, 20)
    assert cost.holds, str(cost)
