"""Samples of a run as the picture needs them, read from samples/*.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports.picture import Series

COLUMNS = ["series", "sent_s", "finished_s", "outcome", "retry"]


def read_series(folder: Path, start_s: float, end_s: float, *, slow_ms: float) -> dict[str, Series]:
    """Read the scheduled samples of probes sent within a span (Unix s), by series; those of load are not.

    A segment that a killed writer left torn is passed over: its span shows white.
    """
    tables = []
    for segment in sorted(folder.glob("*.parquet")):
        try:
            table = pq.read_table(segment, columns=COLUMNS)
        except (pa.ArrowInvalid, OSError):
            continue
        sent = table["sent_s"]
        inside = pc.and_(pc.greater_equal(sent, pa.scalar(start_s)), pc.less_equal(sent, pa.scalar(end_s)))
        table = table.filter(pc.and_(inside, pc.invert(table["retry"])))
        for name in ("series", "outcome"):
            number = table.schema.get_field_index(name)
            table = table.set_column(number, name, table[name].cast(pa.string()))
        tables.append(table)
    if not tables:
        return {}
    whole = pa.concat_tables(tables).sort_by("sent_s")
    names = np.asarray(whole["series"].to_pylist(), dtype=np.str_)
    outcomes = np.asarray(whole["outcome"].to_pylist(), dtype=np.str_)
    sent_s = np.asarray(whole["sent_s"].to_numpy(), dtype=np.float64)
    took_s = np.asarray(whole["finished_s"].to_numpy(), dtype=np.float64) - sent_s
    state = np.select(
        [outcomes == "runner", outcomes != "ok", took_s * 1000 > slow_ms], ["blind", "bad", "stall"], "good"
    )
    return {
        str(name): Series(sent_s=sent_s[names == name], state=state[names == name])
        for name in np.unique(names)
        if not str(name).startswith("load:")
    }
