"""Reading a run's segments back: what is torn or foreign is left out and noted, never guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slas.samples import (
    COLUMNS,
    OTHER,
    OUTCOMES,
    PHASES,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
    SampleColumns,
    Texts,
)

# Segments joined at a time: dictionaries are unified once a batch, and a batch is small beside the whole.
_BATCH = 256


def read_segments(folder: Path) -> tuple[dict[str, SampleColumns], list[str]]:
    """Return the samples by series, ordered by `scheduled_s`, and a note for each segment left out."""
    notes: list[str] = []
    texts = Texts()
    parts: defaultdict[str, list[SampleColumns]] = defaultdict(list)
    for table in _batches(_tables(folder, notes)):
        for series, columns in _by_series(table, texts):
            parts[series].append(columns)
    samples: dict[str, SampleColumns] = {}
    for series in sorted(parts):
        joined = SampleColumns.joined(parts.pop(series))
        if bool(np.any(np.diff(joined.scheduled_s) < 0)):
            joined = joined.take(np.argsort(joined.scheduled_s, kind="stable"))
        samples[series] = joined
    return samples, notes


def _tables(folder: Path, notes: list[str]) -> Iterator[pa.Table]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.endswith(".tmp"):
            notes.append(f"{path.name}: unfinished, left out")
        elif path.suffix == ".parquet":
            try:
                table = pq.ParquetFile(path).read(use_threads=False)
            except (pa.ArrowException, OSError) as error:
                notes.append(f"{path.name}: unreadable, left out: {str(error).splitlines()[0][:200]}")
                continue
            reason = _refusal(table)
            if reason:
                notes.append(f"{path.name}: {reason}, left out")
            else:
                yield table.replace_schema_metadata(None)


def _refusal(table: pa.Table) -> str | None:
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        return f"schema version {version}, expected {SCHEMA_VERSION}"
    if not table.schema.equals(SCHEMA):
        return "columns differ from the schema"
    if any(column.null_count for column in table.columns):
        return "nulls"
    if not all(np.isfinite(table[name].to_numpy()).all() for name in ("scheduled_s", "sent_s", "finished_s")):
        return "times that are no numbers"
    return None


def _batches(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    batch: list[pa.Table] = []
    for table in tables:
        batch.append(table)
        if len(batch) == _BATCH:
            yield pa.concat_tables(batch).unify_dictionaries().combine_chunks()
            batch = []
    if batch:
        yield pa.concat_tables(batch).unify_dictionaries().combine_chunks()


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
        "phase": _fixed(table, "phase", PHASES, 0),
    }
    for name in ("instance", "version", "error"):
        columns[name] = _numbers(table, name, texts)
    for name in ("scheduled_s", "sent_s", "finished_s", "status", "retry"):
        columns[name] = table[name].chunk(0).to_numpy(zero_copy_only=False)
    series = _dictionary(table, "series")
    codes = series.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(_words(series)):
        mine = codes == code
        if mine.any():
            chosen = {key: values[mine].astype(COLUMNS[key]) for key, values in columns.items()}
            yield name, SampleColumns(**chosen, texts=texts)
