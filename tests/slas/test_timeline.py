"""The timeline from a run's folder: segments and events, whole, torn and foreign."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_evidence import NEW, REUSED, T0, at, expected, probed, series

from core.errors import SettingsError
from core.files import append_line
from slas.calibration import calibrate
from slas.judge import judge, read_verdicts
from slas.samples import OUTCOMES, SCHEMA, SampleColumns, SegmentWriter
from slas.timeline import Timeline
from slas.verdicts import Outcome


def records(name: str, rows: list[dict[str, Any]]) -> list[SimpleNamespace]:
    """Return samples as a probe hands them over."""
    blank = {"phase": "done", "status": 200, "instance": "pod-a", "version": "1", "error": "", "retry": False}
    return [SimpleNamespace(**blank | row | {"series": name, "scheduled_s": row["sent_s"]}) for row in rows]


def run_folder(folder: Path) -> Path:
    """Write a run of two series in segments of a second, an outage, and one expectation."""
    rows = [
        *records(NEW, series([(2.0, 3.0)], "reset")),
        *records(REUSED, series([(2.0, 3.0)], "status", offset_s=0.005)),
    ]
    writer = SegmentWriter(folder / "samples", "sampler a/b")
    for second in range(10):
        writer.write(row for row in rows if int(row.sent_s - T0) == second)
    for event in (*probed(NEW, REUSED), expected("downtime", end_s=9.99)):
        append_line(folder / "events.jsonl", event)
    return folder


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Every column, in the order of scheduling, whatever segment it came from."""
    timeline = Timeline.load(run_folder(tmp_path))
    assert sorted(timeline.samples) == [NEW, REUSED]
    columns = timeline.samples[NEW]
    assert (len(columns), list(timeline.notes)) == (1000, [])
    assert np.all(np.diff(columns.scheduled_s) > 0)
    failed = np.flatnonzero(columns.outcome == OUTCOMES.index("reset"))
    assert (len(failed), columns.texts[columns.error[failed[0]]]) == (100, "Ereset")
    assert int(timeline.samples[REUSED].status.max()) == 503
    (verdict,) = judge(timeline)
    assert verdict.verdict is Outcome.FAIL


def test_segments_carry_schema_and_version(tmp_path: Path) -> None:
    """So that a reader can refuse what it does not know; no part of a segment is ever left."""
    path = SegmentWriter(tmp_path, "x").write(records(NEW, series(length_s=0.1)))
    assert path is not None
    assert pq.read_schema(path).equals(SCHEMA, check_metadata=False)
    assert pq.read_schema(path).metadata[b"ecochain-verify.samples"] == b"1"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert SegmentWriter(tmp_path, "x").write([]) is None


def test_what_is_torn_is_left_out_and_noted(tmp_path: Path) -> None:
    """A killed run stays readable, and what it lost is missing, not assumed."""
    run = run_folder(tmp_path)
    segments = sorted((run / "samples").iterdir())
    segments[8].write_bytes(segments[8].read_bytes()[:1000])
    segments[9].write_bytes(b"")
    foreign = pq.read_table(segments[7]).replace_schema_metadata({b"ecochain-verify.samples": b"2"})
    pq.write_table(foreign, segments[7])
    (run / "samples" / ".x.parquet.tmp").write_bytes(b"PAR1")
    with (run / "events.jsonl").open("a") as events:
        events.write('{"t": 1, "kind": "torn')
    timeline = Timeline.load(run)
    assert len(timeline.notes) == 5
    assert len(timeline.samples[NEW]) == 700
    (verdict,) = judge(timeline)
    assert verdict.evidence["notes"] == list(timeline.notes)
    assert verdict.evidence["coverage"][NEW] < 0.71


def test_an_empty_folder_is_an_empty_timeline(tmp_path: Path) -> None:
    """Nothing to judge, and a note that says so."""
    timeline = Timeline.load(tmp_path)
    assert (len(timeline.events), len(timeline.samples), len(timeline.notes)) == (0, 0, 1)
    with pytest.raises(SettingsError, match=r"verdicts\.json"):
        read_verdicts(tmp_path)


@pytest.mark.parametrize("mode", ["refused", "reset", "status", "hang"])
def test_calibration_finds_a_known_outage(mode: str) -> None:
    """Its length is then the proved resolution."""
    length_s = 0.5 if mode == "hang" else 0.04
    rows = SampleColumns.of(series([(1.0, 1.0 + length_s)], mode, length_s=3.0))
    result = calibrate(
        NEW, rows, truth_start_s=T0 + 1.0, truth_end_s=T0 + 1.0 + length_s, rate=100.0, slow_s=0.25
    )
    assert result.found
    assert result.resolution_s == pytest.approx(length_s)
    assert result.bracket.lower <= length_s <= result.bracket.upper


def test_calibration_says_why_it_failed() -> None:
    """No samples, no failed probe, or a truth outside the bracket."""
    truth = {"truth_start_s": T0 + 1.0, "truth_end_s": T0 + 2.0, "rate": 100.0, "slow_s": 0.25}
    for rows, reason in (
        ([], "no samples"),
        (series(length_s=3.0), "not seen"),
        (series([(1.0, 1.5)], length_s=3.0), "is not in"),
    ):
        result = calibrate(NEW, SampleColumns.of(rows), **truth)
        assert (result.found, result.resolution_s) == (False, None)
        assert reason in str(result.reason)
        assert result.as_event()["reason"] == result.reason


def test_events_are_found_by_kind_span_and_fields() -> None:
    """Both ends of the span belong to it."""
    timeline = Timeline.of(events=[at(3, "a", x=1), at(1, "a", x=2), at(2, "b", x=1)])
    assert [event["t"] - T0 for event in timeline.of_kind("a", "b")] == [1, 2, 3]
    assert [event["x"] for event in timeline.of_kind("a", start_s=T0 + 1, end_s=T0 + 1)] == [2]
    assert [event["t"] - T0 for event in timeline.of_kind("a", x=1)] == [3]
