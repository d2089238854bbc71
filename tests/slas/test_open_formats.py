"""pandas and DuckDB read a run's samples and events as they are, and count what the harness counts."""

from __future__ import annotations

import tarfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from slas.timeline import Timeline

SAVED = Path(__file__).parent / "data" / "steady-state.tar.xz"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the saved run."""
    folder = tmp_path_factory.mktemp("saved")
    with tarfile.open(SAVED) as archive:
        archive.extractall(folder, filter="data")
    (run,) = folder.iterdir()
    return run


def test_pandas_reads_a_run(saved: Path) -> None:
    """Samples from the folder, events from the lines."""
    timeline = Timeline.load(saved)
    samples = pd.read_parquet(saved / "samples")
    counts = samples.groupby("series", observed=True).size().to_dict()
    assert counts == {name: len(columns) for name, columns in timeline.samples.items()}
    assert (samples["finished_s"] >= samples["sent_s"]).all()
    events = pd.read_json(saved / "events.jsonl", lines=True)
    assert len(events) == len(timeline.events)
    assert events["kind"].value_counts()["expectation"] == 4


def test_duckdb_reads_a_run(saved: Path) -> None:
    """Without any preparation, by SQL."""
    timeline = Timeline.load(saved)
    rows = duckdb.sql(f"select series, count(*) from '{saved}/samples/*.parquet' group by series").fetchall()
    assert dict(rows) == {name: len(columns) for name, columns in timeline.samples.items()}
    query = f"select count(*) from read_json('{saved}/events.jsonl', union_by_name = true)"
    assert duckdb.sql(query).fetchall() == [(len(timeline.events),)]
