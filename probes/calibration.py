"""From a planned outage of the control target to what each product series is thereby proved to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.clock import RunClock
from core.files import append_line
from probes.blind import CONTROL
from probes.series import SeriesConfig
from slas.calibration import CalibrationResult, calibrate
from slas.samples import SampleColumns
from slas.timeline import Timeline

# Samples this long before and after the outage are looked at: good ones must frame it.
_AROUND_S = 0.5


def calibrate_run(
    run_dir: Path, clock: RunClock, configs: Sequence[SeriesConfig], truth: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """Judge the control series against the truth, and state it for each product series.

    What `control/new` sees at a rate, `.../new` sees at that rate. Returns the events calibration.result
    (not yet appended), and whether the runner was blind around the outage, which excuses a miss.
    """
    timeline = Timeline.load(run_dir)
    start_s, end_s = truth["start_s"], truth["end_s"]
    blind = [
        span
        for span in timeline.blind_spans()
        if span[0] < end_s + _AROUND_S and span[1] > start_s - _AROUND_S
    ]
    results: dict[str, CalibrationResult] = {}
    for config in configs:
        control = f"{CONTROL}/{config.connection}"
        if control not in results:
            results[control] = calibrate(
                control,
                _around(timeline.samples.get(control), start_s, end_s),
                truth_start_s=start_s,
                truth_end_s=end_s,
                rate=config.rate,
                slow_s=config.slow_ms / 1000,
                blind=blind,
            )
    events = []
    for config in configs:
        control = f"{CONTROL}/{config.connection}"
        said = {**results[control].as_event(), "series": config.series, "by": control, "mode": truth["mode"]}
        events.append({"t": clock.now(), "kind": "calibration.result", "rate": config.rate, **said})
    return events, bool(blind)


def append_results(run_dir: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """Write the events calibration.result into the timeline."""
    for event in events:
        append_line(run_dir / "events.jsonl", event)


def _around(samples: SampleColumns | None, start_s: float, end_s: float) -> SampleColumns:
    if samples is None:
        return SampleColumns.of([])
    near = (samples.sent_s > start_s - _AROUND_S) & (samples.sent_s < end_s + _AROUND_S)
    return samples.take(np.flatnonzero(near))
