"""What the tests of the benchmarks share."""

from __future__ import annotations

import pytest

from core.clock import RunClock


@pytest.fixture
def clock() -> RunClock:
    return RunClock.start()
