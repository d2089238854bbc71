"""Reading a run's segments back: what is torn or foreign is left out and noted, never guessed."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slas.samples import (
    COLUMNS,
    OTHER,
    OUTCOMES,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
    SampleColumns,
    Texts,
)

# Segments joined at a time: dictionaries are unified once a batch, and a batch is small beside the whole.
_BATCH = 64
# The columns that are judged by; the others are for people.
_READ = ["series", *COLUMNS]
_TIMES = ("scheduled_s", "sent_s", "finished_s")


def unfinished(folder: Path) -> list[str]:
    """Return a note for each segment that a killed writer did not finish."""
    return [f"{path.name}: unfinished, left out" for path in sorted(folder.glob(".*.tmp"))]


def read_segments(folder: Path) -> tuple[dict[str, SampleColumns], list[str]]:
    """Return the samples by series, ordered by `scheduled_s`, and a note for each segment left out."""
    notes: list[str] = []
    texts = Texts()
    parts: defaultdict[str, list[SampleColumns]] = defaultdict(list)
    for table in _batches(_tables(folder, notes), notes):
        for series, columns in _by_series(table, texts):
            parts[series].append(columns)
    samples: dict[str, SampleColumns] = {}
    for series in sorted(parts):
        joined = SampleColumns.joined(parts.pop(series))
        if bool(np.any(np.diff(joined.scheduled_s) < 0)):
            joined = joined.take(np.argsort(joined.scheduled_s, kind="stable"))
        samples[series] = joined
    return samples, notes


def _tables(folder: Path, notes: list[str]) -> Iterator[tuple[str, pa.Table]]:
    # Sorted by name: to compare ten thousand paths takes half a second.
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        if not name.endswith(".parquet"):
            continue
        try:
            segment = pq.ParquetFile(pa.BufferReader((folder / name).read_bytes()))
            reason = _foreign(segment.schema_arrow)
            table = segment.read(columns=_READ, use_threads=False) if not reason else None
        except (pa.ArrowException, OSError) as error:
            reason, table = f"unreadable: {str(error).splitlines()[0][:200]}", None
        if table is None:
            notes.append(f"{name}: {reason}; left out")
        else:
            yield name, table.replace_schema_metadata(None)


def _foreign(schema: pa.Schema) -> str | None:
    """Say why a file is no segment of ours; that no column has nulls is part of the schema."""
    version = (schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        return f"schema version {version}, expected {SCHEMA_VERSION}"
    return None if schema.equals(SCHEMA) else "columns differ from the schema"


def _sensible(table: pa.Table) -> bool:
    # A sum is finite only if all of its parts are, and no Unix time is so great that sums overflow.
    sums = [pc.sum(table[name]).as_py() or 0.0 for name in _TIMES]
    return all(map(math.isfinite, sums))


def _batches(tables: Iterable[tuple[str, pa.Table]], notes: list[str]) -> Iterator[pa.Table]:
    remaining = iter(tables)
    while batch := list(itertools.islice(remaining, _BATCH)):
        joined = pa.concat_tables([table for _, table in batch])
        if not _sensible(joined):
            bad = {name for name, table in batch if not _sensible(table)}
            notes += [f"{name}: times that are no numbers; left out" for name in sorted(bad)]
            joined = pa.concat_tables(
                [joined.slice(0, 0), *(table for name, table in batch if name not in bad)]
            )
        yield joined.unify_dictionaries().combine_chunks()


def _dictionary(table: pa.Table, name: str) -> pa.DictionaryArray[Any, Any]:
    # The stubs do not know that the chunk of a dictionary column is a dictionary array.
    return cast("pa.DictionaryArray[Any, Any]", table[name].chunk(0))


def _words(column: pa.DictionaryArray[Any, Any]) -> list[str]:
    return [str(word) for word in column.dictionary.to_pylist()]


def _numbers(table: pa.Table, name: str, numbers_of: list[int] | Texts) -> npt.NDArray[np.int32]:
    """Return a text column as numbers of one's own table."""
    column = _dictionary(table, name)
    words = _words(column)
    own = [numbers_of.number(word) for word in words] if isinstance(numbers_of, Texts) else numbers_of
    indices = column.indices.to_numpy(zero_copy_only=False)
    mine: npt.NDArray[np.int32] = np.asarray(own, dtype=np.int32)[indices]
    return mine


def _fixed(table: pa.Table, name: str, known: tuple[str, ...], unknown: int) -> npt.NDArray[np.int32]:
    words = _words(_dictionary(table, name))
    return _numbers(table, name, [known.index(word) if word in known else unknown for word in words])


def _by_series(table: pa.Table, texts: Texts) -> Iterator[tuple[str, SampleColumns]]:
    if not table.num_rows:
        return
    columns: dict[str, npt.NDArray[np.generic]] = {
        "outcome": _fixed(table, "outcome", OUTCOMES, OTHER),
        "error": _numbers(table, "error", texts),
    }
    for name in ("scheduled_s", "sent_s", "finished_s", "status", "retry"):
        columns[name] = table[name].chunk(0).to_numpy(zero_copy_only=False)
    series = _dictionary(table, "series")
    codes = series.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(_words(series)):
        mine = codes == code
        if mine.any():
            chosen = {key: values[mine].astype(COLUMNS[key]) for key, values in columns.items()}
            yield name, SampleColumns(**chosen, texts=texts)
