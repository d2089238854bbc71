"""The way of samples to the disk: a thread, so that writing never makes a tick late."""

from __future__ import annotations

import json
import queue
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import append_line
from probes.blind import BlindWatch, Span
from probes.priority import go_first
from probes.sample import Sample
from probes.sink import Batch
from slas.samples import SegmentWriter


class Flusher:
    """Writes batches as Parquet segments, blind spans as events, and the status to stdout.

    `error` is set when the disk failed; nothing is raised in the sampler's loop.
    """

    def __init__(self, run_dir: Path) -> None:
        self._events = run_dir / "events.jsonl"
        self._blind = BlindWatch(run_dir / "events.jsonl")
        self._writer = SegmentWriter(run_dir / "samples", "sampler")
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self.error = ""
        _warm_up()
        self._thread = threading.Thread(target=self._work, name="flusher", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand a batch over; returns at once."""
        self._queue.put(batch)

    def event(self, record: Mapping[str, Any]) -> None:
        """Append an event to the timeline."""
        append_line(self._events, record)

    def close(self, now_s: float) -> None:
        """Write what is queued and decide the open blind spans (blocking)."""
        self._queue.put(None)
        self._thread.join()
        if not self.error:
            self._emit(self._blind.decided(now_s, final=True), now_s)

    def _work(self) -> None:
        # While it holds Python's lock the ticks wait for it: at an ordinary priority that was up to 0.26 s.
        go_first(but_for_ticks=True)
        try:
            while (batch := self._queue.get()) is not None:
                self._write(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sampler must stop and say so
            traceback.print_exc()
            self.error = f"writing samples: {error!r}"

    def _write(self, batch: Batch) -> None:
        samples = sorted(batch.samples, key=lambda sample: sample.scheduled_s)
        if samples:
            self._writer.write(samples)
        self._blind.feed(samples)
        self._emit([*batch.spans, *self._blind.decided(batch.now_s)], batch.now_s)
        print(json.dumps({"t": batch.now_s, "series": batch.status}), flush=True)  # noqa: T201 - for the parent

    def _emit(self, spans: Sequence[Span], now_s: float) -> None:
        for span in spans:
            self.event(span.as_event(now_s))


def _warm_up() -> None:
    """Write one segment to nowhere: Parquet's first one loads for 50 ms, which would be late ticks."""
    with tempfile.TemporaryDirectory() as folder:
        SegmentWriter(Path(folder), "warm-up").write([Sample("warm-up", 0.0)])
