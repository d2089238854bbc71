"""One hour at 2,000 samples a second: less than 300 MB on disk, judged in 20 s and 1 GB of memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.places import checkout

sys.path.insert(0, str(checkout() / "tests" / "slas"))

import judging_cost
import made_hour

SECONDS = 3600.0


def test_an_hour_is_small_and_judged_quickly(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """With an outage a minute, all of which are measured right."""
    rows = made_hour.write(tmp_path / "hour", SECONDS)
    assert rows == 7_200_000
    size_bytes = judging_cost.size_bytes(tmp_path / "hour")
    cost = judging_cost.judge(tmp_path / "hour")
    for name, value in (("size_bytes", size_bytes), ("wall_s", cost.wall_s), ("peak_bytes", cost.peak_bytes)):
        record_property(name, value)
    assert size_bytes < 300_000_000
    assert cost.wall_s < 20.0
    assert cost.peak_bytes < 1_000_000_000
    known = made_hour.outages(SECONDS)
    truth_s = sum(one.end_s - one.start_s for one in known)
    measured = cost.verdicts["downtime"]["measured"]
    assert measured["lower"] - 0.3 <= truth_s <= measured["upper"] + 0.3
    assert cost.verdicts["downtime"]["evidence"]["outages"] == len(known)
