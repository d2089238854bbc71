"""The latency histogram of one second."""

from __future__ import annotations

import pytest

from loadtests.seconds import Second, bucket_ms, percentile_ms


@pytest.mark.parametrize("latency_ms", [0.01, 0.9, 1.0, 19.3, 250.0, 250.1, 999.0, 1001.0, 31_999.0])
def test_a_bucket_never_understates_and_hardly_overstates(latency_ms: float) -> None:
    """The bound lies at or above the latency, by at most 1 ms or five percent."""
    assert latency_ms <= bucket_ms(latency_ms) <= max(latency_ms + 1, latency_ms * 1.05)


def test_percentiles_are_those_of_the_sorted_latencies() -> None:
    """The 95th of a hundred latencies is the 95th, and none has no percentile."""
    histogram = {bucket_ms(n): 1 for n in range(1, 101)}
    assert percentile_ms(histogram, 0.95) == 95
    assert percentile_ms(histogram, 0.50) == 50
    assert percentile_ms({}, 0.95) is None


def test_a_failure_counts_as_request_but_gives_no_latency() -> None:
    """Errors that come fast must not make the percentiles look good."""
    second = Second()
    second.count(10.0, None)
    second.count(0.1, "GET /verify: refused")
    event = second.as_event()
    assert (event["requests"], event["failures"]) == (2, 1)
    assert event["latency_ms"] == {10: 1}
    assert event["errors"] == {"GET /verify: refused": 1}
