"""A twentieth of an hour at 2,000 samples a second; the whole hour is in tests/campaigns/test_hour.py."""

from __future__ import annotations

import time
from pathlib import Path

import judging_cost
import made_hour
import pyarrow.parquet as pq

SECONDS = 180.0
# A twentieth of 300 MB and 1 GB.
SIZE_BYTES, PEAK_BYTES = 15_000_000, 50_000_000
# Processors differ, and others use them: so the time is compared with a peer's in the same run. The 20 s of
# an hour are held by the campaign.
READINGS = 3.0


def _reading_s(run: Path) -> float:
    """Return the processor time that pyarrow alone takes to read the samples, in seconds."""
    began_s = time.process_time()
    rows = sum(
        pq.ParquetFile(path).read(use_threads=False).num_rows for path in (run / "samples").glob("*.parquet")
    )
    assert rows == 2000 * SECONDS
    return time.process_time() - began_s


def test_a_run_is_small_and_judged_quickly(tmp_path: Path) -> None:
    """Beyond what a run of ten seconds takes; the outages that it holds are measured right."""
    made_hour.write(tmp_path / "least", 10.0)
    rows = made_hour.write(tmp_path / "part", SECONDS)
    assert rows == 2000 * SECONDS
    assert judging_cost.size_bytes(tmp_path / "part") < SIZE_BYTES
    least, cost = (judging_cost.judge(tmp_path / name) for name in ("least", "part"))
    assert cost.cpu_s - least.cpu_s < READINGS * _reading_s(tmp_path / "part")
    assert cost.peak_bytes - least.peak_bytes < PEAK_BYTES
    # A measurement that measures nothing would pass as well.
    assert cost.cpu_s > least.cpu_s
    known = made_hour.outages(SECONDS)
    truth_s = sum(one.end_s - one.start_s for one in known)
    measured = cost.verdicts["downtime"]["measured"]
    assert measured["lower"] - 0.02 <= truth_s <= measured["upper"] + 0.02
    assert cost.verdicts["downtime"]["evidence"]["outages"] == len(known)
