"""Samples of probes: the schema of samples/*.parquet, their columns in memory, and the writer of segments.

One row is one request. Times are Unix seconds of the run's clock; rows of a segment are in the order of
`scheduled_s`. `series` is `<target>/<new|reused>`; `status` 0 is none; `retry` marks the immediate fresh
follow-up of a failed reused connection, which is no scheduled tick. The file's metadata names the
schema's version under `ecochain-verify.samples`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = 1
VERSION_KEY = b"ecochain-verify.samples"

OUTCOMES = ("ok", "refused", "reset", "timeout", "truncated", "status", "body", "runner", "other")
PHASES = ("none", "connect", "tls", "first_byte", "body", "done")
OK, RUNNER, OTHER = (OUTCOMES.index(name) for name in ("ok", "runner", "other"))

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("series", _TEXT, nullable=False),
        pa.field("scheduled_s", pa.float64(), nullable=False),
        pa.field("sent_s", pa.float64(), nullable=False),
        pa.field("finished_s", pa.float64(), nullable=False),
        pa.field("outcome", _TEXT, nullable=False),
        pa.field("phase", _TEXT, nullable=False),
        pa.field("status", pa.int16(), nullable=False),
        pa.field("instance", _TEXT, nullable=False),
        pa.field("version", _TEXT, nullable=False),
        pa.field("error", _TEXT, nullable=False),
        pa.field("retry", pa.bool_(), nullable=False),
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()},
)


_TIMES = [field.name for field in SCHEMA if field.type == pa.float64()]
_DICTIONARIES = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]


class SampleRecord(Protocol):
    """What a writer needs to know of one request; `slas.samples.SCHEMA` says what each field means."""

    series: str
    scheduled_s: float
    sent_s: float
    finished_s: float
    outcome: str
    phase: str
    status: int
    instance: str
    version: str
    error: str
    retry: bool


class Texts:
    """Strings by number, so that a million rows hold each text once."""

    def __init__(self) -> None:
        self._by_number: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text, new or known."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self._by_number)
            self._by_number.append(text)
        return found

    def __getitem__(self, number: int) -> str:
        return self._by_number[number]


@dataclass(frozen=True, kw_only=True)
class SampleColumns:
    """What is judged of the samples of one series, as arrays of one length.

    `outcome` is an index of OUTCOMES, `error` a number of `texts`.
    """

    scheduled_s: npt.NDArray[np.float64]
    sent_s: npt.NDArray[np.float64]
    finished_s: npt.NDArray[np.float64]
    outcome: npt.NDArray[np.int8]
    status: npt.NDArray[np.int16]
    error: npt.NDArray[np.int32]
    retry: npt.NDArray[np.bool_]
    texts: Texts

    def __len__(self) -> int:
        return len(self.sent_s)

    def take(self, selection: Any) -> SampleColumns:
        """Return the samples that a slice, mask or index array selects."""
        chosen = {name: getattr(self, name)[selection] for name in COLUMNS}
        return SampleColumns(**chosen, texts=self.texts)

    def without(self, mask: npt.NDArray[np.bool_]) -> SampleColumns:
        """Return the samples that the mask does not name, without a copy if it names none."""
        return self.take(~mask) if mask.any() else self

    def in_order(self) -> SampleColumns:
        """Return the samples in the order of sending; what was never sent stands at its scheduled time."""
        sent = self.sent_s
        if not np.all(sent > 0):
            sent = np.where(sent > 0, sent, self.scheduled_s)
        return self if bool(np.all(sent[1:] >= sent[:-1])) else self.take(np.argsort(sent, kind="stable"))

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> SampleColumns:
        """Build from rows: `sent_s` and `finished_s` must be given, the rest defaults to a good answer."""
        texts = Texts()
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for row in rows:
            columns["scheduled_s"].append(row.get("scheduled_s", row["sent_s"]))
            columns["sent_s"].append(row["sent_s"])
            columns["finished_s"].append(row["finished_s"])
            columns["outcome"].append(OUTCOMES.index(row.get("outcome", "ok")))
            columns["status"].append(row.get("status", 0))
            columns["retry"].append(row.get("retry", False))
            columns["error"].append(texts.number(row.get("error", "")))
        return cls(**{name: np.asarray(columns[name], dtype=COLUMNS[name]) for name in COLUMNS}, texts=texts)

    @classmethod
    def joined(cls, parts: Sequence[SampleColumns]) -> SampleColumns:
        """Join parts that share one `texts`, in the order given (at least one part)."""
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        return cls(**joined, texts=parts[0].texts)


COLUMNS: Mapping[str, Any] = {
    field.name: dtype
    for field, dtype in zip(
        fields(SampleColumns),
        (*(np.float64,) * 3, np.int8, np.int16, np.int32, np.bool_),
        strict=False,
    )
}


class SegmentWriter:
    """Writes segments of samples into a folder, each whole or absent.

    Segments are named `<name>-<pid>-<number>.parquet`, so that several writers never collide.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._stem = f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)}-{os.getpid()}"
        self._number = 0

    def write(self, samples: Iterable[SampleRecord]) -> Path | None:
        """Write one segment, sorted by `scheduled_s`, and return its path; None if there is no sample.

        Raises OSError, after which the samples may be written again.
        """
        rows = sorted(samples, key=lambda sample: sample.scheduled_s)
        if not rows:
            return None
        arrays: list[Any] = []
        for field in SCHEMA:
            values = [getattr(row, field.name) for row in rows]
            if pa.types.is_dictionary(field.type):
                arrays.append(pa.array(values, pa.string()).dictionary_encode())
            else:
                arrays.append(pa.array(values, field.type))
        table = pa.Table.from_arrays(arrays, schema=SCHEMA)
        path = self._folder / f"{self._stem}-{self._number:06d}.parquet"
        temporary = path.with_name(f".{path.name}.tmp")
        pq.write_table(
            table,
            temporary,
            # Of thousands of small files the fixed part of each counts most: these encodings keep them
            # smallest and quickest to read (tests/campaigns/test_hour.py).
            compression="lz4",
            use_dictionary=_DICTIONARIES,  # type: ignore[arg-type]
            column_encoding=dict.fromkeys(_TIMES, "BYTE_STREAM_SPLIT"),
            write_statistics=False,
        )
        temporary.replace(path)
        self._number += 1
        return path
